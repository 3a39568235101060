"""Reservoir: a uniform random sample of rows of bounded size, kept as one matrix of numbers.

A row of Python objects costs about 900 bytes at 25 columns; a row of the matrix costs 200, its size
is known exactly, and a verdict reads it without a loop. Text is kept as a code into a vocabulary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.payload import Cell

Matrix = NDArray[np.float64]

MAX_VOCABULARY = 1_000
"""Distinct texts told apart per column; later ones share the code of ``OTHER``."""
MAX_TEXT = 128
"""Characters of a text that tell it apart."""
MAX_PLANES = 1_024
"""Columns of a matrix. A revision whose rows keep changing shape is cut off here."""
OTHER = "(other values)"


class Side(StrEnum):
    """What was asked and what was answered may use the same names."""

    INPUTS = "inputs"
    OUTPUTS = "outputs"


class Kind(StrEnum):
    """JSON is loosely typed: one column may hold numbers in one row and text in another."""

    NUMBER = "number"
    TEXT = "text"


class Plane(NamedTuple):
    """One column of the matrix: the numbers, or the texts, of one named column."""

    side: Side
    name: str
    kind: Kind


class LayoutFullError(ValueError):
    """The row needs more planes than a matrix may have."""


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
        return place

    def encode(self, side: Side, names: tuple[str, ...], row: Sequence[Cell], into: list[float]) -> None:
        """Writes one row's cells into ``into``, which is as long as there are planes, and lengthens it."""
        places = self._number_places.get((side, names)) or self._learn(side, names)
        into.extend([math.nan] * (len(self.planes) - len(into)))
        for name, place, cell in zip(names, places, row, strict=True):
            if cell is None:
                continue
            if isinstance(cell, str):
                text_place = self.place(Plane(side, name, Kind.TEXT))
                into.extend([math.nan] * (len(self.planes) - len(into)))
                into[text_place] = self._code(text_place, cell)
            else:
                into[place] = _as_float(cell)

    def _learn(self, side: Side, names: tuple[str, ...]) -> list[int]:
        """A number plane for every name, used or not: a column that is always null must still be known."""
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


class Reservoir:
    """A uniform sample without replacement of all rows offered so far (Vitter's algorithm R)."""

    def __init__(self, capacity: int, rng: random.Random) -> None:
        self._capacity = capacity
        self._rng = rng
        self._matrix: Matrix = np.empty((0, 0))
        self.seen = 0
        """Rows offered."""
        self.kept = 0
        """Rows in the sample: the smaller of ``seen`` and the capacity."""

    @property
    def nbytes(self) -> int:
        """Memory held by the rows."""
        return self._matrix.nbytes

    @property
    def rows(self) -> Matrix:
        """The sample, shape (kept, planes so far): a view, to be copied before more rows are offered."""
        return self._matrix[: self.kept]

    def admit(self) -> int | None:
        """Counts one row, and says where in the sample it goes; None when it is not chosen."""
        self.seen += 1
        if self.kept < self._capacity:
            self.kept += 1
            return self.kept - 1
        slot = int(self._rng.random() * self.seen)
        return slot if slot < self._capacity else None

    def write(self, slot: int, values: Sequence[float]) -> None:
        """Puts an encoded row where :meth:`admit` said."""
        height, width = self._matrix.shape
        if slot >= height or len(values) > width:
            self._grow(max(slot + 1, height), max(len(values), width))
        self._matrix[slot, : len(values)] = values
        self._matrix[slot, len(values) :] = np.nan

    def _grow(self, height: int, width: int) -> None:
        """Doubles the height, so that filling up costs linear time; the width grows as needed."""
        old = self._matrix
        if height > old.shape[0]:
            height = min(max(height, 2 * old.shape[0], 16), self._capacity)
        self._matrix = np.full((height, width), np.nan)
        self._matrix[: old.shape[0], : old.shape[1]] = old


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
