"""Comparison: one named column of both sides, made comparable, and the tests that apply to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.paired import Gaps, Matched, concordance, flips
from sluice.monitor.reservoir import OTHER
from sluice.monitor.twosample import Comparison, contingency, is_rare, kolmogorov_smirnov, more_missing
from sluice.monitor.vector import (
    MOST_NUMBERS,
    VECTOR,
    Vectors,
    chances,
    gathered,
    lengths,
    told_apart,
    vectors,
    width,
)
from sluice.monitor.window import Column, Floats, Frame

MAX_DISCRETE = 20
"""Whole numbers with at most this many different values are categories: classes, flags, ratings."""

GLANCE = 1_000
"""Values that are looked at before all are."""


class ColumnKind(StrEnum):
    """How a column is compared."""

    NUMERIC = "Numeric"
    CATEGORICAL = "Categorical"
    TEXT = "Text"
    """Texts that hardly repeat, such as what a language model answers: compared by their length."""
    VECTOR = "Vector"
    """Numbers that are one thing, such as an embedding: compared by the scores of a classifier, see ``vector``."""
    EMPTY = "Empty"
    """Neither side has a value."""


@dataclass(frozen=True, slots=True)
class ColumnSide:
    """One side of one column."""

    rows: int
    """Rows of the side, whether the column has a value in them or not."""
    values: Floats
    """Shape (present,): the numbers, positions in the pair's labels, lengths of texts in characters, or scores of
    vectors."""
    other_type: int
    """Cells of the kind that the column is not: text in a numeric column, numbers among text."""

    @property
    def present(self) -> int:
        """Rows with a value."""
        return len(self.values)

    @property
    def missing(self) -> int:
        """Rows without a value: null, NaN, infinite, absent, or of the other type."""
        return self.rows - len(self.values)

    @property
    def missing_share(self) -> float:
        """From 0 to 1; 0 for a side without rows."""
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class ColumnPair:
    """One column of both sides on common ground."""

    name: str
    kind: ColumnKind
    candidate: ColumnSide
    stable: ColumnSide
    labels: tuple[str, ...] = ()
    """The categories; empty for numbers and texts."""
    matched: Matched | Gaps | None = None
    """The values row by row, where both sides answered the same requests; of vectors, how far apart they are."""

    @property
    def compared(self) -> int:
        """Rows that can be compared: of the smaller side, or pairs."""
        if self.matched is not None:
            return len(self.matched.requests)
        return min(self.candidate.present, self.stable.present)

    @property
    def counts_missing(self) -> bool:
        """Whether the missing share is tested. Asked of both sides together, never of one, so that the
        number of tests does not depend on which side a row is from."""
        return self.candidate.missing + self.stable.missing > 0

    @property
    def tests(self) -> int:
        """How many tests this column costs out of the error budget, whether or not they can be run."""
        return 0 if self.kind is ColumnKind.EMPTY else 1 + self.counts_missing

    def compare_missing(self) -> Comparison | None:
        """The test for a rise of the missing share; None when nothing is missing, or a side has no rows."""
        if not self.counts_missing or not self.candidate.rows or not self.stable.rows:
            return None
        return more_missing(self.candidate.missing, self.candidate.rows, self.stable.missing, self.stable.rows)

    def compare_values(self, limit: float) -> Comparison | None:
        """The test of the values; both sides have some. None when every category is too rare to compare, or
        every text is as long as the others.

        Args:
            limit: what a paired test asks whether the effect is above; the others ask whether there is any.
        """
        if isinstance(self.matched, Gaps):
            return concordance(self.matched, limit)
        candidate, stable = self.candidate.values, self.stable.values
        first = stable[0]
        if (candidate == first).all() and (stable == first).all():
            if self.kind is ColumnKind.TEXT:
                return None  # texts all of one length, such as identifiers: nothing was measured
            return Comparison("constant", 0.0, 1.0, 0.0)
        if self.matched is not None:
            return (
                flips(self.matched, limit)
                if self.kind is ColumnKind.CATEGORICAL
                else concordance(self.matched.gaps(), limit)
            )
        if self.kind is ColumnKind.CATEGORICAL:
            size = len(self.labels)
            return contingency(_count(candidate, size), _count(stable, size))
        found = kolmogorov_smirnov(candidate, stable)
        if (candidate == candidate[0]).all() and (stable == first).all():
            # Two constants have no spread to measure their distance by, and D is 1 for 0.1 against
            # 0.1002. What a person would call the size of such a change is the relative one.
            change = abs(candidate[0] - first) / max(abs(candidate[0]), abs(first))
            return Comparison("constant", float(change), found.p_value, min(float(change), 1.0))
        return found


def match_columns(candidate: Frame, stable: Frame, names: Sequence[str], *, paired: bool = False) -> list[ColumnPair]:
    """The named columns of both sides, or all of them when none are named, in a stable order.

    Args:
        candidate: the rows of one side.
        stable: the rows of the other.
        names: the columns, or vectors, to compare; none means all.
        paired: whether row ``i`` of both sides answers the same request.
    """
    every = [*stable.columns, *(name for name in candidate.columns if name not in stable.columns)]
    found = vectors(every)
    requests = None
    if paired:
        requests = candidate.origins.clusters() if candidate.origins is not None else np.arange(candidate.rows)
    pairs = []
    for name in dict.fromkeys(names or gathered(every, found)):
        vector = name.removesuffix(VECTOR)
        if vector in found and name not in every:
            pairs.append(_match_vectors(vector, found[vector], candidate, stable, requests))
        else:
            pairs.append(_match(name, candidate, stable, requests))
    return pairs


def _match_vectors(
    name: str, columns: Sequence[str], candidate: Frame, stable: Frame, requests: NDArray[np.intp] | None
) -> ColumnPair:
    """Row by row, where both sides answered the same requests. Else half of the requests are compared, by a classifier
    that the other half taught, and rows are those of the former."""
    luck = [chances(candidate)] * 2 if requests is not None else [chances(candidate), chances(stable)]
    cells = [_vectors(frame, columns, its) for frame, its in zip((candidate, stable), luck, strict=True)]
    numbers = width(cells[1].numbers) or width(cells[0].numbers)
    title = f"{name} ({numbers} numbers)"
    ours, theirs = (side.of_length(numbers) for side in cells)
    kind = ColumnKind.VECTOR if ours.whole.any() or theirs.whole.any() else ColumnKind.EMPTY
    if requests is not None:
        both = ours.whole & theirs.whole
        gaps = Gaps.of(ours.numbers[both], theirs.numbers[both], requests[ours.kept][both])
        sides = [ColumnSide(len(side.kept), _rounded(lengths(side.numbers[side.whole])), 0) for side in (ours, theirs)]
        gaps = gaps._replace(found=_rounded(gaps.found), unrelated=_rounded(gaps.unrelated))
        return ColumnPair(title, kind, sides[0], sides[1], matched=gaps)
    sides = [
        ColumnSide(len(scores) + int((~side.whole & ~side.teaches).sum()), _rounded(scores), 0)
        for scores, side in zip(told_apart(ours, theirs), (ours, theirs), strict=True)
    ]
    return ColumnPair(title, kind, sides[0], sides[1])


def _vectors(frame: Frame, columns: Sequence[str], luck: NDArray[np.uint32]) -> Vectors:
    """Of requests chosen by their luck, as many rows as there is room for."""
    share = min(1.0, MOST_NUMBERS / max(frame.rows * len(columns), 1))
    kept = np.flatnonzero(luck >> 1 < share * 2.0**31)
    numbers = np.empty((len(kept), len(columns)))
    for place, column in enumerate(columns):
        numbers[:, place] = _rounded(_column(frame, column).numbers[kept])
    return Vectors(numbers, kept, luck[kept] & 1 == 0)


def match_rankings(candidate: Frame, stable: Frame, names: Sequence[str], top: int) -> list[ColumnPair]:
    """Of what stable ranks among the ``top`` first of a request: is it among candidate's?

    The share that is not is one minus the overlap of the two lists, over all requests. It needs no whole requests in
    the sample: each of stable's first ``top`` is as likely to be there as any other. Requests of no more than ``top``
    rows say nothing, for all of theirs are among the first.

    Args:
        candidate: the ranks of one side, row ``i`` of both for the same row of the same request.
        stable: those of the other.
        names: the scores that are compared; none means all.
        top: how many are the first.
    """
    chosen = names or [*stable.columns]
    origins = stable.origins
    if origins is None:
        return []
    requests, long = origins.clusters(), origins.size > top
    found = [_overlap(name, candidate, stable, requests, long, top) for name in dict.fromkeys(chosen)]
    return [pair for pair in found if pair.stable.present]


def _overlap(
    name: str, candidate: Frame, stable: Frame, requests: NDArray[np.intp], long: NDArray[np.bool_], top: int
) -> ColumnPair:
    ours, theirs = _column(candidate, name).numbers, _column(stable, name).numbers
    asked = long & (theirs <= top)
    known = asked & ~np.isnan(ours)
    there = (ours[known] <= top).astype(np.float64)
    return ColumnPair(
        f"{name} (first {top})",
        ColumnKind.CATEGORICAL,
        ColumnSide(int(asked.sum()), there, 0),
        ColumnSide(int(asked.sum()), np.ones(int(asked.sum())), 0),
        ("below", "among the first"),
        Matched(there, np.ones(len(there)), requests[known]),
    )


def name_columns(frame: Frame, schema: Sequence[str]) -> Frame:
    """The frame with its columns named by a model's signature, in order.

    A body that already carries any of the signature's names is left as it is: its columns need no names.
    """
    if any(name in frame.columns for name in schema):
        return frame
    named = dict(zip(frame.columns, schema, strict=False))
    return replace(frame, columns={named.get(name, name): column for name, column in frame.columns.items()})


class _Cells(NamedTuple):
    """One side's cells of one kind."""

    values: Floats
    """Shape (rows,); NaN where there is none of this kind."""
    present: Floats
    """Those that there are, in their order."""

    @classmethod
    def of(cls, values: Floats) -> _Cells:
        missing = np.isnan(values)
        return cls(values, values[~missing] if missing.any() else values)

    @classmethod
    def none(cls, rows: int) -> _Cells:
        return cls(np.broadcast_to(np.nan, rows), np.empty(0))


def _match(name: str, candidate: Frame, stable: Frame, requests: NDArray[np.intp] | None) -> ColumnPair:
    ours, theirs = _column(candidate, name), _column(stable, name)
    numbers = [_Cells.of(_rounded(side.numbers)) for side in (ours, theirs)]
    codes, labels = _common_labels(ours, theirs)
    counts, texts = ([len(side.present) for side in sides] for sides in (numbers, codes))
    if not any(counts + texts):
        return _pair(name, ColumnKind.EMPTY, numbers, numbers, requests)
    # The column is what most of it is on the stable side; the other type counts as missing. (For a column
    # that is half and half by nature this makes the missing test a little liberal. It is a rare one.)
    judge_by = 1 if counts[1] + texts[1] else 0
    if texts[judge_by] > counts[judge_by]:
        lengths = [_lengths(side) for side in (ours, theirs)]
        # Rows that an earlier version kept have no lengths.
        if [len(side.present) for side in lengths] == texts and _hardly_repeat(codes, labels):
            return _pair(name, ColumnKind.TEXT, lengths, numbers, requests)
        return _pair(name, ColumnKind.CATEGORICAL, codes, numbers, requests, labels)
    distinct = _discrete_values([side.present for side in numbers])
    if distinct is None:
        return _pair(name, ColumnKind.NUMERIC, numbers, codes, requests)
    positions = [
        _Cells.of(np.where(np.isnan(side.values), np.nan, np.searchsorted(distinct, side.values))) for side in numbers
    ]
    labels = tuple(f"{value:.0f}" for value in distinct)
    return _pair(name, ColumnKind.CATEGORICAL, positions, codes, requests, labels)


def _pair(
    name: str,
    kind: ColumnKind,
    cells: Sequence[_Cells],
    others: Sequence[_Cells],
    requests: NDArray[np.intp] | None,
    labels: tuple[str, ...] = (),
) -> ColumnPair:
    """From both sides' cells of the kind that the column is, and of the other."""
    ours, theirs = (
        ColumnSide(len(side.values), side.present, 0 if kind is ColumnKind.EMPTY else len(other.present))
        for side, other in zip(cells, others, strict=True)
    )
    matched = None
    if requests is not None:
        mine, its = (side.values for side in cells)
        both = ~np.isnan(mine) & ~np.isnan(its)
        matched = Matched(mine[both], its[both], requests[both])
    return ColumnPair(name, kind, ours, theirs, labels, matched)


def _lengths(column: Column) -> _Cells:
    return _Cells.of(column.lengths) if len(column.lengths) else _Cells.none(len(column.numbers))


def _hardly_repeat(codes: Sequence[_Cells], labels: tuple[str, ...]) -> bool:
    """Whether most rows have a text that is too rare to be a category. Asked of both sides together, as for
    :attr:`ColumnPair.counts_missing`."""
    table = np.vstack([_count(side.present, len(labels)) for side in codes])
    rare = is_rare(table) | np.array([label == OTHER for label in labels])
    return bool(table[:, rare].sum() * 2 > table.sum())


def _column(frame: Frame, name: str) -> Column:
    column = frame.columns.get(name)
    if column is None:
        return Column(np.full(frame.rows, np.nan))
    return column


def _rounded(numbers: Floats) -> Floats:
    """Numbers to the seven digits of a 32-bit float.

    The same model saved in another precision answers 0.1 here and 0.10000000149 there. With few distinct
    answers (a tree's leaves) that would be a large Kolmogorov-Smirnov distance; it is no change.
    """
    with np.errstate(over="ignore"):
        rounded = numbers.astype(np.float32)
    if np.isinf(rounded).any():
        limit = np.finfo(np.float32).max
        rounded = np.clip(numbers, -limit, limit).astype(np.float32)
    return rounded.astype(np.float64)


def _discrete_values(numbers: Sequence[Floats]) -> Floats | None:
    """The distinct values, ascending, when they are few and whole; None otherwise."""
    first = np.concatenate([side[:GLANCE] for side in numbers])[:GLANCE]
    if len(np.unique(first)) > MAX_DISCRETE:  # settles nearly every column without sorting it all
        return None
    distinct: Floats = np.unique(np.concatenate(numbers))
    whole = len(distinct) <= MAX_DISCRETE and bool((distinct == np.rint(distinct)).all())
    return distinct if whole else None


def _common_labels(ours: Column, theirs: Column) -> tuple[list[_Cells], tuple[str, ...]]:
    """Positions of both sides' texts in one list of labels, which is sorted so that sides may be swapped."""
    labels = tuple(sorted({*ours.labels, *theirs.labels}))
    position = {label: index for index, label in enumerate(labels)}

    def translate(column: Column) -> _Cells:
        if not len(column.codes):
            return _Cells.none(len(column.numbers))
        table = np.array([*(position[label] for label in column.labels), np.nan])  # the last is for -1
        return _Cells.of(table[column.codes])

    return [translate(ours), translate(theirs)], labels


def _count(positions: Floats, size: int) -> Floats:
    return np.bincount(positions.astype(np.int64), minlength=size).astype(np.float64)
