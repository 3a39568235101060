"""Outcomes: answers with their labels, as they are kept, and which of them a question is about.

An outcome is kept as an inference is: what was true, and when that was heard and the model was asked, stand where else
stands what was asked.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.origin import Origins, unknown
from sluice.monitor.payload import Cell, Table
from sluice.monitor.reservoir import Chunk, Side
from sluice.monitor.window import Column, Floats, Frame, frame

_LABEL, _ARRIVED, _ASKED = "label", "arrived", "asked"


def truth(label: Cell, *, arrived: float, asked: float) -> Table:
    """What is known of one row; times in seconds since the epoch."""
    return Table((_LABEL, _ARRIVED, _ASKED), ((label, arrived, asked),))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of one revision."""

    label: Column
    """What was true."""
    arrived: Floats
    """Shape (rows,): when the label came, in seconds since the epoch."""
    asked: Floats
    """Shape (rows,): when the model was asked, to the length of a bucket."""
    answers: Frame
    """What was answered, with the requests that it was of."""

    @property
    def rows(self) -> int:
        """How many."""
        return self.answers.rows

    @property
    def origins(self) -> Origins:
        """Which request each is of."""
        return self.answers.origins if self.answers.origins is not None else unknown(self.rows)

    def take(self, places: NDArray[np.intp]) -> Outcomes:
        """Those at some places, in their order."""
        return Outcomes(self.label.take(places), self.arrived[places], self.asked[places], self.answers.take(places))

    def since(self, arrived: float, asked: float) -> Outcomes:
        """Those whose labels came from one moment on, of requests from another on."""
        return self.take(np.flatnonzero((self.arrived >= arrived) & (self.asked >= asked)))

    def latest(self) -> Outcomes:
        """Each row once, with the label that came last."""
        order = np.argsort(self.arrived, kind="stable")
        requests, index = self.origins.requests[order].tolist(), self.origins.index[order].tolist()
        last = dict(zip(zip(requests, index, strict=True), order.tolist(), strict=True))
        return self if len(last) == self.rows else self.take(np.array(sorted(last.values()), dtype=np.intp))

    def bounded(self, rows: int) -> Outcomes:
        """At most so many: those of whole requests, and of two revisions the same requests, by a hash of their ids.

        Where one request has more than that alone, rows of it at even distances.
        """
        if self.rows <= rows:
            return self
        chances = _chances(self.origins)
        kept = np.flatnonzero(chances < np.partition(chances, rows)[rows])
        return self.take(kept if len(kept) else np.linspace(0, self.rows - 1, rows).astype(np.intp))


def gather(chunks: Sequence[Chunk]) -> Outcomes:
    """The outcomes in some chunks."""
    parts = [np.arange(len(chunk.rows)) for chunk in chunks]
    known, answers = (frame(chunks, parts, side) for side in (Side.INPUTS, Side.OUTPUTS))
    nothing = Column(np.full(known.rows, np.nan))
    label, arrived, asked = (known.columns.get(name, nothing) for name in (_LABEL, _ARRIVED, _ASKED))
    return Outcomes(label, arrived.numbers, asked.numbers, Frame(known.rows, answers.columns, known.origins))


def every(chunk: Chunk, stride: int, already: int) -> Chunk:
    """The outcomes of one in so many requests, whole ones, of a chunk that may be thinned to one in some already."""
    if stride == already or chunk.origins is None:
        return chunk
    part = np.flatnonzero(_chances(chunk.origins) % stride == 0)
    return Chunk(chunk.start, chunk.seen, chunk.rows[part], chunk.layout, chunk.origins.take(part))


def _chances(origins: Origins) -> NDArray[np.int64]:
    """A number for each row's request, the same wherever it is known."""
    known = {request: zlib.crc32(request) for request in set(origins.requests.tolist())}
    return np.array([known[request] for request in origins.requests.tolist()], dtype=np.int64)
