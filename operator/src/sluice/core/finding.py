"""Finding: what a check of records came upon, and how bad that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Grade(StrEnum):
    """How bad. The worst comes first."""

    TAMPERED = "Tampered"
    """Two things contradict each other, of which Sluice wrote both: somebody changed, added or removed something."""
    UNREADABLE = "Unreadable"
    """It is not as this version of Sluice writes it, so it cannot be checked."""
    MISSING = "Missing"
    """Something that the check needs is not here. That may be in order; this check cannot tell."""


WORST_FIRST = tuple(Grade)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    revision: str
    """The ModelRevision, or what else it is about."""
    grade: Grade
    message: str
    """What, in a sentence."""
    sequence: int | None = None
    """The record, where it is about one."""


def worst(findings: Iterable[Finding]) -> Grade | None:
    """The worst of their grades; None if there are none."""
    grades = {finding.grade for finding in findings}
    return next((grade for grade in WORST_FIRST if grade in grades), None)


def strange(raw: Any, written: Any, path: str) -> tuple[str, bool] | None:
    """Where JSON data says something else than what was read from it says when it is written again.

    Fields that ``raw`` leaves out do not count: an object need not write defaults out.

    Returns:
        The path, and whether a field is not known at all (or else has another value); None if nothing is strange.
    """
    if isinstance(raw, dict) and isinstance(written, dict):
        for key, value in raw.items():
            if key not in written:
                if value is None:
                    continue
                return f"{path}.{key}", True
            if (found := strange(value, written[key], f"{path}.{key}")) is not None:
                return found
        return None
    if isinstance(raw, list) and isinstance(written, list) and len(raw) == len(written):
        for index, (one, other) in enumerate(zip(raw, written, strict=True)):
            if (found := strange(one, other, f"{path}[{index}]")) is not None:
                return found
        return None
    return None if type(raw) is type(written) and raw == written else (path, False)
