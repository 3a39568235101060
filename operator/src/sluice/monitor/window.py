"""Window: the buckets of one revision put together as columns, every row with the same chance to be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.origin import Origins, gather, unknown
from sluice.monitor.reservoir import Chunk, Kind, Layout, LayoutFullError, Matrix, Plane, Side

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Positions = NDArray[np.intp]

ROUNDING = 1e-9
"""Keeps a sum of fractions that should be a whole number from falling just short of it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One named column of a window. A cell is a number, a text or missing."""

    numbers: Floats
    """Shape (rows,); NaN where the cell is no finite number."""
    codes: Codes = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    """Shape (rows,); positions in ``labels``, -1 where the cell is no text. Empty when none is."""
    labels: tuple[str, ...] = ()
    """The texts that occur."""
    lengths: Floats = field(default_factory=lambda: np.empty(0))
    """Shape (rows,); characters of the texts, NaN where the cell is none. Empty when no length is known."""

    def take(self, places: Positions) -> Column:
        """The cells at some places, in their order."""
        codes = self.codes[places] if len(self.codes) else self.codes
        lengths = self.lengths[places] if len(self.lengths) else self.lengths
        return Column(self.numbers[places], codes, self.labels, lengths)


@dataclass(frozen=True, slots=True)
class Frame:
    """One side of a comparison: columns of equal length."""

    rows: int
    columns: Mapping[str, Column]
    origins: Origins | None = None
    """Which request each row came from; None where nobody wrote it down."""

    def take(self, places: Positions) -> Frame:
        """The rows at some places, in their order."""
        columns = {name: column.take(places) for name, column in self.columns.items()}
        return Frame(len(places), columns, self.origins.take(places) if self.origins is not None else None)


def assemble(chunks: Sequence[Chunk], side: Side, max_rows: int, rng: np.random.Generator) -> Frame:
    """The columns of one side of a revision's rows, at most ``max_rows`` of them.

    Buckets are sampled at different rates: a busy one keeps 2,000 of 9,000 rows, a quiet one all of 80.
    Put together as they are, they would over-weight quiet times, and two revisions with different
    shares of the traffic would seem to differ whenever the population moves. So every bucket is thinned
    to the lowest rate: with rates 2000/9000 and 80/80, the second keeps 18 of its 80 rows.
    """
    chunks = [chunk for chunk in chunks if chunk.seen and len(chunk.rows)]
    return frame(chunks, _thin(chunks, max_rows, rng), side) if chunks else Frame(0, {})


def condense(chunks: Sequence[Chunk], max_rows: int, rng: np.random.Generator, start: float) -> Chunk:
    """One chunk for several of a revision, at most ``max_rows`` of their rows, thinned as :func:`assemble` does.

    It stands for all the rows that they do, so it can be condensed with later ones again. Ranks are left behind.
    """
    chunks = [chunk for chunk in chunks if chunk.seen and len(chunk.rows)]
    layout = Layout()
    if not chunks:
        return Chunk(start, 0, np.empty((0, 0)), layout)
    parts = _thin(chunks, max_rows, rng)
    blocks = [_relaid(chunk, part, layout) for chunk, part in zip(chunks, parts, strict=True)]
    rows = np.full((sum(map(len, blocks)), len(layout.planes)), np.nan)
    top = 0
    for block in blocks:
        rows[top : top + len(block), : block.shape[1]] = block
        top += len(block)
    origins = gather([_origins(chunk).take(part) for chunk, part in zip(chunks, parts, strict=True)])
    return Chunk(start, sum(chunk.seen for chunk in chunks), rows, layout, origins)


def _relaid(chunk: Chunk, part: Positions, layout: Layout) -> Matrix:
    """Some of a chunk's rows under another layout, which learns what it does not know; what has no room is left out."""
    cells, columns = chunk.rows[part], {}
    for place, plane in enumerate(_planes(chunk)):
        if plane.side is Side.RANKS:
            continue
        try:
            target = layout.place(plane)
        except LayoutFullError:
            continue
        values = cells[:, place]
        if plane.kind is Kind.TEXT:
            codes = _recode(values, chunk.layout.vocabularies[place], layout.vocabularies[target])
            values = np.where(codes < 0, np.nan, codes)
        columns[target] = values
    block = np.full((len(cells), len(layout.planes)), np.nan)
    for target, values in columns.items():
        block[:, target] = values
    return block


def _thin(chunks: Sequence[Chunk], max_rows: int, rng: np.random.Generator) -> list[Positions]:
    """The places of each chunk's rows that are left at one rate for all, at most ``max_rows``."""
    rate = min(len(chunk.rows) / chunk.seen for chunk in chunks)
    rate = min(rate, max_rows / sum(chunk.seen for chunk in chunks))
    return [_draw(chunk, count, rng) for chunk, count in zip(chunks, _shares(chunks, rate, rng), strict=True)]


def frame(chunks: Sequence[Chunk], parts: Sequence[Positions], side: Side) -> Frame:
    """The columns of one side of some of each chunk's rows: ``parts`` are their places in it, shape (rows,)."""
    rows = sum(map(len, parts))
    planes = dict.fromkeys(plane for chunk in chunks for plane in _planes(chunk) if plane.side is side)
    names = {name: index for index, name in enumerate(dict.fromkeys(plane.name for plane in planes))}
    numbers = np.full((len(names), rows), np.nan)
    codes = {plane.name: np.full(rows, -1, dtype=np.int32) for plane in planes if plane.kind is Kind.TEXT}
    labels: dict[str, dict[str, int]] = {name: {} for name in codes}
    lengths = {plane.name: np.full(rows, np.nan) for plane in planes if plane.kind is Kind.LENGTH}
    top = 0
    for chunk, part in zip(chunks, parts, strict=True):
        here = slice(top, top + len(part))
        top += len(part)
        cells = chunk.rows[part]
        mine = [(place, plane) for place, plane in enumerate(_planes(chunk)) if plane.side is side]
        # All numbers in one go: column by column they took longer to put together than to be judged.
        places = [place for place, plane in mine if plane.kind is Kind.NUMBER]
        found = cells[:, places].T
        targets = [names[plane.name] for _, plane in mine if plane.kind is Kind.NUMBER]
        numbers[targets, here] = np.where(np.isfinite(found), found, np.nan)
        for place, plane in mine:
            if plane.kind is Kind.TEXT:
                vocabulary = chunk.layout.vocabularies[place]
                codes[plane.name][here] = _recode(cells[:, place], vocabulary, labels[plane.name])
            elif plane.kind is Kind.LENGTH:
                lengths[plane.name][here] = cells[:, place]
    return Frame(
        rows,
        {
            name: Column(numbers[index], codes[name], tuple(labels[name]), lengths.get(name, np.empty(0)))
            if name in codes
            else Column(numbers[index])
            for name, index in names.items()
        },
        gather([_origins(chunk).take(part) for chunk, part in zip(chunks, parts, strict=True)]),
    )


def _planes(chunk: Chunk) -> Sequence[Plane]:
    """What its columns are: the layout may know more by now."""
    return chunk.layout.planes[: chunk.rows.shape[1]]


def _origins(chunk: Chunk) -> Origins:
    return chunk.origins or unknown(len(chunk.rows))


def _shares(chunks: Sequence[Chunk], rate: float, rng: np.random.Generator) -> list[int]:
    """How many rows of each chunk, such that each row it stands for is there with probability ``rate``.

    Fractions are carried from chunk to chunk from a random start: always rounding 0.4 rows down would
    silence quiet times, and rounding each by itself would make the sum uncertain. Shares of 0.4, 0.4 and
    1.2 rows become 0, 1, 1, or 1, 0, 1, or 0, 0, 2: two rows each time.
    """
    ends = np.cumsum([chunk.seen * rate for chunk in chunks]) + rng.random() + ROUNDING
    counts = np.diff(np.floor(ends), prepend=0.0)
    return [min(int(count), len(chunk.rows)) for count, chunk in zip(counts, chunks, strict=True)]


def _draw(chunk: Chunk, count: int, rng: np.random.Generator) -> Positions:
    """The places of so many of a chunk's rows at random, in their order."""
    if count == len(chunk.rows):
        return np.arange(count)
    return np.sort(rng.choice(len(chunk.rows), count, replace=False))


def _recode(values: Floats, vocabulary: Mapping[str, int], labels: dict[str, int]) -> Codes:
    """Codes of one chunk's vocabulary as codes of the window's labels, which grow by what is new."""
    missing = np.isnan(values)
    codes = np.where(missing, -1, values).astype(np.int32)
    texts = list(vocabulary)  # in order of their codes
    translation = np.full(len(texts) + 1, -1, dtype=np.int32)  # the last is for -1
    for code in np.flatnonzero(np.bincount(codes[~missing])):
        translation[code] = labels.setdefault(texts[code], len(labels))
    recoded: Codes = translation[codes]
    return recoded
