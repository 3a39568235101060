"""Parameters: what a policy writes, read. All are strings; what cannot be read says what it should look like."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sluice.api.base import parse_duration
from sluice.core.governance.control import ParameterError, Parameters


def words(values: Parameters, name: str) -> tuple[str, ...]:
    """A list with commas."""
    return tuple(word for part in values[name].split(",") if (word := part.strip()))


def duration(values: Parameters, name: str) -> timedelta:
    """Such as 30s, 10m or 1h30m."""
    try:
        return parse_duration(values[name])
    except ValueError as problem:
        raise ParameterError(f"{name}: {problem}") from None


def integer(values: Parameters, name: str) -> int:
    """A whole number, not below zero."""
    text = values[name].strip()
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise ParameterError(f"{name}: {values[name]!r} is no whole number; write it like 10")
    return int(text)


def number(values: Parameters, name: str) -> float:
    """A finite number."""
    if (value := measured(values[name])) is None:
        raise ParameterError(f"{name}: {values[name]!r} is no number; write it like 0.05")
    return value


def switch(values: Parameters, name: str) -> bool:
    """true or false."""
    if values[name] not in ("true", "false"):
        raise ParameterError(f"{name}: {values[name]!r} is neither true nor false")
    return values[name] == "true"


def measured(text: str | None) -> float | None:
    """A number as the registry has it; None if it is none, or not finite."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Threshold:
    """A metric and its limit."""

    metric: str
    comparison: str
    limit: float

    def met(self, value: float) -> bool:
        """Whether a value is within the limit."""
        return _COMPARISONS[self.comparison](value, self.limit)

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.limit:g}"


def thresholds(values: Parameters, name: str) -> tuple[Threshold, ...]:
    """Such as ``auc >= 0.8, brier <= 0.2``; at least one."""
    found = []
    for word in words(values, name):
        comparison = next((sign for sign in _COMPARISONS if sign in word), None)
        metric, _, limit = (part.strip() for part in word.partition(comparison or ">="))
        value = measured(limit)
        if comparison is None or not metric or value is None:
            raise ParameterError(f"{name}: {word!r} is no threshold; write it like auc >= 0.8")
        found.append(Threshold(metric, comparison, value))
    if not found:
        raise ParameterError(f"{name} must list at least one threshold, such as auc >= 0.8")
    return tuple(found)


def unmet(asked: tuple[Threshold, ...], metrics: Mapping[str, str]) -> tuple[str, ...]:
    """What is outside its limit, or not there, in words."""
    found = []
    for threshold in asked:
        value = measured(metrics.get(threshold.metric))
        if value is None:
            found.append(f"{threshold.metric} is not recorded as a number")
        elif not threshold.met(value):
            found.append(f"{threshold.metric} is {value:g}, and must be {threshold.comparison} {threshold.limit:g}")
    return tuple(found)
