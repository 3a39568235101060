"""Joining: the rows of one request that two revisions answered, side by side.

A mirrored request reaches the stable revision and the candidate under one request id. Each revision keeps a
sample of its own rows, so of a request that both answered both kept rows only where both samples have it:
at rates of 1/5 and 1/2 that is one in ten. Join before anything is thinned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.origin import UNKNOWN, gather, unknown
from sluice.monitor.reservoir import Chunk, Side
from sluice.monitor.window import Frame, Positions, frame


class Joined(NamedTuple):
    """Two frames of equal length. Row ``i`` of both answers the same row of the same request."""

    candidate: Frame
    stable: Frame


def join(
    candidate: Sequence[Chunk],
    stable: Sequence[Chunk],
    side: Side,
    max_rows: int,
    rng: np.random.Generator,
) -> Joined:
    """The rows that both revisions kept of the same requests, in the candidate's order of time, at most ``max_rows``.

    A row is known by its request's id, its place there, and the number of rows the request had. A request
    that comes twice to one revision, as a gateway's retry does, joins with its first row there. Rows whose
    request nobody wrote down join with nothing.
    """
    ours, theirs = _places(candidate), _places(stable)
    common = [(place, theirs[row]) for row, place in ours.items() if row in theirs]
    if len(common) > max_rows:
        chosen = np.sort(rng.choice(len(common), max_rows, replace=False))
        common = [common[index] for index in chosen]
    pairs = np.array(common, dtype=np.intp).reshape(len(common), 2)
    return Joined(_frame(candidate, pairs[:, 0], side), _frame(stable, pairs[:, 1], side))


def _places(chunks: Sequence[Chunk]) -> dict[tuple[bytes, int, int], int]:
    """Where in all the chunks' rows, one chunk after the other, each row of a known request is first."""
    origins = gather([chunk.origins or unknown(len(chunk.rows)) for chunk in chunks])
    rows = zip(origins.requests.tolist(), origins.index.tolist(), origins.size.tolist(), strict=True)
    places: dict[tuple[bytes, int, int], int] = {}
    for place, row in enumerate(rows):
        if row[0] != UNKNOWN:
            places.setdefault(row, place)
    return places


def _frame(chunks: Sequence[Chunk], places: Positions, side: Side) -> Frame:
    """The rows at these places, in the order of the places given."""
    ends = np.cumsum([len(chunk.rows) for chunk in chunks])
    order = np.argsort(places, kind="stable")
    ascending = places[order]
    bounds = np.searchsorted(ascending, ends)
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    parts: list[NDArray[np.intp]] = [
        ascending[first:last] - start
        for first, last, start in zip(
            np.concatenate([[0], bounds[:-1]]) if len(bounds) else bounds, bounds, starts, strict=True
        )
    ]
    back = np.empty(len(places), dtype=np.intp)
    back[order] = np.arange(len(places))
    return frame(chunks, parts, side).take(back)
