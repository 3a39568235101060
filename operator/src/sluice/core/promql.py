"""PromQL: a monitor's queries and limits with their parameters filled in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sluice.api.base import format_duration
from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import SLO, ModelMonitorSpec

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z][A-Za-z0-9_]*)\}")
_STRAY = re.compile(r"\$\{(?![A-Za-z][A-Za-z0-9_]*\})[^}]{0,40}\}?")
_SAFE = re.compile(r"[A-Za-z0-9_.:/%\-]*")
"""Numbers, durations and the words of labels: nothing that could end a string, a selector or a group."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?")
"""As in ``api.base.Decimal``. Python's float would also take `nan`, a limit that nothing ever exceeds."""


class TemplateError(ValueError):
    """A query or limit that cannot be filled in; the message says what to mend."""


@dataclass(frozen=True)
class Queries:
    """The queries of one service level, ready to be asked. Equal queries of many rollouts are asked once."""

    total: str | None
    bad: str | None
    value: str | None
    histogram: str | None

    @property
    def all(self) -> tuple[str, ...]:
        """Those that there are."""
        stated = (self.total, self.bad, self.value, self.histogram)
        return tuple(query for query in stated if query is not None)


def parameters(monitor: ModelMonitorSpec, use: MonitorUse) -> dict[str, str]:
    """The monitor's defaults, overridden by what this use of it states, and the window.

    Raises:
        TemplateError: a parameter that the monitor does not have, or a value that could change a query's meaning.
    """
    unknown = sorted(use.parameters.keys() - monitor.parameters.keys())
    if unknown:
        known = ", ".join(sorted(monitor.parameters)) or "none"
        raise TemplateError(f"monitor {use.name} has no parameter {', '.join(unknown)} (it has: {known})")
    values = {**monitor.parameters, **use.parameters}
    for name, value in values.items():
        if not _SAFE.fullmatch(value):
            raise TemplateError(f"parameter {name} of monitor {use.name} may hold letters, digits and ._:/%- only")
    if monitor.slo is not None:
        values["window"] = format_duration(monitor.slo.window)
    return values


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with every ``${name}`` replaced, once: a value is never looked into again.

    Raises:
        TemplateError: there is no value of that name, or what stands between the braces is no name.
    """

    def value(match: re.Match[str]) -> str:
        try:
            return values[match[1]]
        except KeyError:
            raise TemplateError(f"there is no parameter {match[1]} for {match[0]}") from None

    if (stray := _STRAY.search(text)) is not None:
        raise TemplateError(f"{stray[0]} names no parameter; write ${{name}}, with letters, digits and _ in the name")
    return _PLACEHOLDER.sub(value, text)


def queries(slo: SLO, values: Mapping[str, str]) -> Queries:
    """The service level's queries with parameters filled in. Raises like :func:`fill`."""
    stated = (slo.total, slo.bad, slo.query, slo.histogram)
    return Queries(*(fill(query, values) if query else None for query in stated))


def number(text: str | None, values: Mapping[str, str]) -> float | None:
    """A limit as a number; None stays None.

    Raises:
        TemplateError: what it comes to is no number.
    """
    if text is None:
        return None
    filled = fill(text, values)
    if not _NUMBER.fullmatch(filled) or not math.isfinite(value := float(filled)):
        raise TemplateError(f"the limit {text} comes to {filled!r}, which is not a number")
    return value


def share(text: str, values: Mapping[str, str]) -> float:
    """A quantile's share as a number between 0 and 1. Raises like :func:`number`, and where it is not between them."""
    value = number(text, values)
    if value is None or not 0 < value < 1:
        raise TemplateError(f"the quantile {text} comes to {value:g}, which is not between 0 and 1")
    return value
