"""Reservoir: a uniform random sample of rows of bounded size, kept as one matrix of numbers.

A row of Python objects costs about 900 bytes at 25 columns; a row of the matrix costs 200, its size
is known exactly, and a verdict reads it without a loop. Text is kept as a code into a vocabulary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.origin import UNKNOWN, USUAL_ID, Ids, Origins, Positions
from sluice.monitor.payload import Cell, Table

Matrix = NDArray[np.float64]

MAX_VOCABULARY = 1_000
"""Distinct texts told apart per column; later ones share the code of ``OTHER``."""
MAX_TEXT = 128
"""Characters of a text that tell it apart."""
MAX_PLANES = 2_048
"""Columns of a matrix. A revision whose rows keep changing shape is cut off here."""
OTHER = "(other values)"
MAX_RANKED = 8
"""Columns of an answer whose rows are ranked: scores are few, and vectors are none."""


class Side(StrEnum):
    """What was asked and what was answered may use the same names."""

    INPUTS = "inputs"
    OUTPUTS = "outputs"
    RANKS = "ranks"
    """The place of each answered number among those of its request, from 1 for the greatest."""


class Kind(StrEnum):
    """JSON is loosely typed: one column may hold numbers in one row and text in another."""

    NUMBER = "number"
    TEXT = "text"
    LENGTH = "length"
    """Characters of a text: texts that hardly repeat are compared by it."""


class Plane(NamedTuple):
    """One column of the matrix: the numbers, the texts or their lengths, of one named column."""

    side: Side
    name: str
    kind: Kind


class LayoutFullError(ValueError):
    """The row needs more planes than a matrix may have."""


Ranks = dict[int, list[int]]
"""By the place of the plane, the rank of each row of one request."""
Encoder = Callable[[Sequence[Cell], Sequence[Cell]], Sequence[float]]
"""Makes values of the matrix of a row's questions and answers."""


class Layout:
    """Where each cell of a revision's rows goes in the matrix.

    Planes and vocabularies only ever grow at the end, so a matrix filled under an earlier state
    stays readable, and may be read by another thread while the layout grows.
    """

    def __init__(self) -> None:
        self.planes: list[Plane] = []
        self.vocabularies: dict[int, dict[str, int]] = {}
        """Codes by text, for each plane of kind TEXT."""
        self._places: dict[Plane, int] = {}
        self._number_places: dict[tuple[Side, tuple[str, ...]], list[int]] = {}
        self._encoders: dict[tuple[tuple[str, ...], tuple[str, ...], bool], Encoder] = {}
        self.columns = 0
        """Planes of what came, without those that were worked out of it."""

    def place(self, plane: Plane) -> int:
        """The plane's column in the matrix.

        Raises:
            LayoutFullError: it is new, and there is no room for it.
        """
        place = self._places.get(plane)
        if place is None:
            if len(self.planes) >= MAX_PLANES:
                raise LayoutFullError(f"more than {MAX_PLANES} columns")
            place = self._places[plane] = len(self.planes)
            if plane.kind is Kind.TEXT:
                self.vocabularies[place] = {}
            self.planes.append(plane)
            self.columns += plane.side is not Side.RANKS
        return place

    def learn(self, side: Side, names: tuple[str, ...]) -> list[int]:
        """The places of the numbers of a row's columns, made where there are none yet.

        A column has a number plane whether it is used or not: one that is always null must still be known.

        Raises:
            LayoutFullError: there is no room for all of them.
        """
        return self._number_places.get((side, names)) or self._learn(side, names)

    def encode(self, side: Side, names: tuple[str, ...], row: Sequence[Cell], into: list[float]) -> None:
        """Writes one row's cells into ``into``, which is as long as there are planes, and lengthens it.

        Raises:
            LayoutFullError: there is no room for all of them.
        """
        places = self.learn(side, names)
        into.extend([math.nan] * (len(self.planes) - len(into)))
        for name, place, cell in zip(names, places, row, strict=True):
            if cell is None:
                continue
            if isinstance(cell, str):
                text_place = self.place(Plane(side, name, Kind.TEXT))
                length_place = self.place(Plane(side, name, Kind.LENGTH))
                into.extend([math.nan] * (len(self.planes) - len(into)))
                into[text_place] = self._code(text_place, cell)
                into[length_place] = len(cell)
            else:
                into[place] = _as_float(cell)

    def rank(self, response: Table) -> Ranks:
        """The ranks of a request's answers, where they are numbers; empty where there are none, or too many.

        Raises:
            LayoutFullError: there is no room for them.
        """
        if len(response.names) > MAX_RANKED:
            return {}
        columns = zip(response.names, zip(*response.rows, strict=True), strict=True)
        return {
            self.place(Plane(Side.RANKS, name, Kind.NUMBER)): _ranks(cells)
            for name, cells in columns
            if all(isinstance(cell, int | float) and cell == cell for cell in cells)
        }

    def encoder(self, request: Table, response: Table) -> Encoder:
        """What turns a row of both tables into values of the matrix, the quickest way that is right.

        Raises:
            LayoutFullError: now or later, there is no room for a column.
        """
        shape = request.names, response.names, request.numeric and response.numeric
        return self._encoders.get(shape) or self._make_encoder(*shape)

    def _make_encoder(self, asked_names: tuple[str, ...], answered_names: tuple[str, ...], numeric: bool) -> Encoder:  # noqa: FBT001
        places = self.learn(Side.INPUTS, asked_names) + self.learn(Side.OUTPUTS, answered_names)

        def encode(asked: Sequence[Cell], answered: Sequence[Cell]) -> list[float]:
            values: list[float] = []
            self.encode(Side.INPUTS, asked_names, asked, values)
            self.encode(Side.OUTPUTS, answered_names, answered, values)
            return values

        # Where the places are the first ones in order, the row as it came is the row of the matrix.
        encoder = _joined if numeric and places == list(range(len(places))) else encode
        if len(self._encoders) >= MAX_PLANES:  # only a cache, as below
            self._encoders.clear()
        self._encoders[asked_names, answered_names, numeric] = encoder
        return encoder

    def _learn(self, side: Side, names: tuple[str, ...]) -> list[int]:
        places = [self.place(Plane(side, name, Kind.NUMBER)) for name in names]
        if len(self._number_places) >= MAX_PLANES:  # only a cache; rows of ever new shape must not fill memory
            self._number_places.clear()
        self._number_places[side, names] = places
        return places

    def _code(self, place: int, text: str) -> int:
        vocabulary = self.vocabularies[place]
        text = text[:MAX_TEXT]
        code = vocabulary.get(text)
        if code is None:
            if len(vocabulary) >= MAX_VOCABULARY:
                text = OTHER
            code = vocabulary.setdefault(text, len(vocabulary))
        return code


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # JSON integers have no upper bound
        return math.nan


def _ranks(scores: Sequence[float]) -> list[int]:
    """From 1 for the greatest; equals share the better place: 0.9, 0.4, 0.9 are 1, 3, 1."""
    falling = sorted(scores, reverse=True)
    first: dict[float, int] = {}
    for place, score in enumerate(falling, 1):
        first.setdefault(score, place)
    return [first[score] for score in scores]


def with_ranks(values: Sequence[float], ranks: Ranks, index: int) -> Sequence[float]:
    """An encoded row with its ranks, each in its place."""
    row = [*values]
    for place, ranked in ranks.items():
        row.extend([math.nan] * (place + 1 - len(row)))
        row[place] = ranked[index]
    return row


def _joined(asked: Sequence[Cell], answered: Sequence[Cell]) -> Sequence[float]:
    return [*asked, *answered]  # type: ignore[list-item]  # tables that are numeric hold nothing else


class Reservoir:
    """A uniform sample without replacement of all rows offered so far (Vitter's algorithm R)."""

    def __init__(self, capacity: int, rng: random.Random) -> None:
        self._capacity = capacity
        self._rng = rng
        self._matrix: Matrix = np.empty((0, 0))
        self._requests: Ids = np.empty(0, dtype=f"S{USUAL_ID}")
        self._positions: Positions = np.empty((0, 2), dtype=np.int32)
        self.nbytes = 0
        """Memory held by the rows and their origins."""
        self.seen = 0
        """Rows offered."""
        self.kept = 0
        """Rows in the sample: the smaller of ``seen`` and the capacity."""

    @property
    def rows(self) -> Matrix:
        """The sample, shape (kept, planes so far): a view, to be copied before more rows are offered."""
        return self._matrix[: self.kept]

    @property
    def origins(self) -> Origins:
        """Where the rows came from: views as well."""
        positions = self._positions[: self.kept]
        return Origins(self._requests[: self.kept], positions[:, 0], positions[:, 1])

    def choose(self) -> int | None:
        """Where in the sample the next row goes; None when it is not chosen, and that has been counted.

        A row that is chosen counts once it is :meth:`put`: one that cannot be encoded never was.
        """
        if self.kept < self._capacity:
            return self.kept
        slot = int(self._rng.random() * (self.seen + 1))
        if slot < self._capacity:
            return slot
        self.seen += 1
        return None

    def put(
        self, slot: int, values: Sequence[float], request: bytes = UNKNOWN, *, index: int = 0, size: int = 1
    ) -> None:
        """Puts an encoded row where :meth:`choose` said, with its request's id, its place there and its rows."""
        height, width = self._matrix.shape
        if slot >= height or len(values) > width:
            self._grow(max(slot + 1, height), max(len(values), width))
        if len(request) > self._requests.itemsize:
            self._requests = self._requests.astype(f"S{len(request)}")
            self._weigh()
        row = self._matrix[slot]
        row[: len(values)] = values
        row[len(values) :] = np.nan
        self._requests[slot] = request
        self._positions[slot] = index, size
        self.seen += 1
        self.kept = max(self.kept, slot + 1)

    def _grow(self, height: int, width: int) -> None:
        """Doubles the height, so that filling up costs linear time; the width grows as needed."""
        old, kept = self._matrix, slice(len(self._matrix))
        if height > len(old):
            height = min(max(height, 2 * len(old), 16), self._capacity)
            requests, positions = self._requests, self._positions
            self._requests = np.zeros(height, dtype=requests.dtype)
            self._requests[kept] = requests
            self._positions = np.zeros((height, 2), dtype=np.int32)
            self._positions[kept] = positions
        self._matrix = np.full((height, width), np.nan)
        self._matrix[kept, : old.shape[1]] = old
        self._weigh()

    def _weigh(self) -> None:
        self.nbytes = self._matrix.nbytes + self._requests.nbytes + self._positions.nbytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """The sample of one bucket at one moment: what a verdict reads and the volume keeps."""

    start: float
    """Seconds since the epoch at which the bucket begins."""
    seen: int
    """Rows that the sample stands for."""
    rows: Matrix
    """Shape (kept, planes); not written to any more."""
    layout: Layout
    """Says what the columns of ``rows`` are. May know more planes than they have."""
    origins: Origins | None = None
    """Which request each row came from; None where nobody wrote it down."""
