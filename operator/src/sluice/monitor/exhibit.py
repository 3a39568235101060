"""Exhibit: what a report shows of a verdict, small and plain enough to cross to another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sluice.api.measure import PerformanceMetric
from sluice.monitor.comparison import ColumnPair
from sluice.monitor.grading import Graded
from sluice.monitor.verdict import ColumnVerdict


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One column with its verdict."""

    pair: ColumnPair
    verdict: ColumnVerdict


@dataclass(frozen=True, slots=True)
class Columns:
    """What a report shows of a verdict on drift."""

    min_effect: float
    exhibits: tuple[Exhibit, ...]

    def __len__(self) -> int:
        return len(self.exhibits)


@dataclass(frozen=True, slots=True)
class Grades:
    """What a report shows of a verdict on performance: the answers and the truth, of which the figures are.

    Some 30 bytes a row, and a verdict looks at 20,000 rows of either side.
    """

    metric: PerformanceMetric
    top: int
    """Ranking: how many of a request's rows are looked at."""
    candidate: Graded
    stable: Graded | None = None
    """What it is compared with, if anything."""

    def __len__(self) -> int:
        return len(self.candidate)


Shown = Columns | Grades


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One report to be rendered."""

    title: str
    shown: Shown
    destination: Path


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report that has been rendered, or why it has not."""

    digest: str = ""
    """``sha256:`` and the digest of the file."""
    error: str = ""
    """What went wrong; empty when nothing did."""


def exhibits(pairs: Sequence[ColumnPair], verdicts: Sequence[ColumnVerdict]) -> tuple[Exhibit, ...]:
    """The columns that a report can show: those with values on both sides."""
    return tuple(
        Exhibit(_small(pair), verdict)
        for pair, verdict in zip(pairs, verdicts, strict=True)
        if pair.candidate.present and pair.stable.present
    )


def _small(pair: ColumnPair) -> ColumnPair:
    """The pair in half the memory, while it waits. Nothing is lost: its values have 32-bit precision."""
    sides = [replace(side, values=side.values.astype(np.float32)) for side in (pair.candidate, pair.stable)]
    matched = pair.matched
    if matched is not None:
        matched = matched.small()
    return replace(pair, candidate=sides[0], stable=sides[1], matched=matched)
