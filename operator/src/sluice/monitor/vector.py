"""Vector: numbers that are one thing, such as an embedding, and what tells two samples of them apart.

Number by number, a vector of 384 costs 384 tests, and a change of its direction is a little in each of them. So it is
compared as what it is: one half of the requests teaches a classifier to tell the two sides apart, and the scores that
it gives to the other half are compared like any number (Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
2017). As those rows had no part in it, their scores are two samples like any other, and the test keeps its level.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.origin import UNKNOWN, unknown
from sluice.monitor.twosample import Floats
from sluice.monitor.window import Frame

WIDE = 64
"""So many numbers under one name are a vector, unless they are asked for one by one. Fewer are features."""
FEW = 10
"""With fewer rows than this to learn from, nothing is learnt."""
MOST_NUMBERS = 2_000_000
"""Of a side. Of longer vectors fewer rows are looked at: 3,900 of 512 numbers. It bounds memory, and time."""
VECTOR = "[]"
"""After a name: the vector, where a number has the same name."""
_RIDGE = 1e-6
_INDEXED = re.compile(r"(.+)\[(0|[1-9][0-9]{0,3})\]")


def vectors(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Vectors by their name, each with its columns in order: ``embedding`` for ``embedding[0]``, ``embedding[1]``, …"""
    found: dict[str, list[int]] = {}
    for name in names:
        if match := _INDEXED.fullmatch(name):
            found.setdefault(match[1], []).append(int(match[2]))
    return {
        name: tuple(f"{name}[{place}]" for place in range(len(places)))
        for name, places in found.items()
        if len(places) > 1 and sorted(places) == list(range(len(places)))
    }


def gathered(names: Iterable[str], found: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The names with those of each wide vector replaced by the vector's, where its first was."""
    whole = {column: vector for vector, columns in found.items() if len(columns) >= WIDE for column in columns}
    return list(dict.fromkeys(f"{whole[name]}{VECTOR}" if name in whole else name for name in names))


def chances(frame: Frame) -> NDArray[np.uint32]:
    """Shape (rows,): a number by chance for each request, the same wherever and whenever it is asked for.

    Not by the order of ids, which may say what a request is for: one half would be all of one kind.
    """
    origins = frame.origins if frame.origins is not None else unknown(frame.rows)
    known = {request: _chance(request) for request in set(origins.requests.tolist())}
    return np.array(
        [
            known[request] if request != UNKNOWN else _chance(place.to_bytes(8))
            for place, request in enumerate(origins.requests.tolist())
        ],
        dtype=np.uint32,
    )


def _chance(request: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(request, digest_size=4).digest())


class Vectors(NamedTuple):
    """One side's vectors."""

    numbers: Floats
    """Shape (rows, numbers); NaN where there is none."""
    kept: NDArray[np.intp]
    """Shape (rows,): which rows of the side they are."""
    teaches: NDArray[np.bool_]
    """Shape (rows,): whether the row is of the half that is learnt from."""

    def of_length(self, numbers: int) -> Vectors:
        """With so many numbers each; what has more, or fewer, has none."""
        other = ~np.isnan(self.numbers[:, numbers:]).all(axis=1)
        found = self.numbers[:, :numbers].copy()
        found[other] = np.nan
        return self._replace(numbers=found)

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Shape (rows,): which have all their numbers."""
        if not self.numbers.shape[1]:
            return np.zeros(len(self.numbers), dtype=np.bool_)
        return np.logical_not(np.isnan(self.numbers).any(axis=1))


def width(numbers: Floats) -> int:
    """How many numbers most of a side's vectors have; 0 where there are none. One that is longer makes no other so."""
    present = (~np.isnan(numbers)).sum(axis=0)
    return int((np.minimum.accumulate(present) * 2 > present.max(initial=0)).sum()) if present.any() else 0


def lengths(numbers: Floats) -> Floats:
    """Shape (rows,): how long vectors are, as a root mean square. For people to look at."""
    found: Floats = np.sqrt((numbers**2).mean(axis=1)) if numbers.size else np.empty(0)
    return found


def told_apart(candidate: Vectors, stable: Vectors) -> list[Floats]:
    """Scores of the rows of one half of the requests, by a classifier that the other taught; higher is candidate's.

    The classifier is Fisher's linear discriminant. It is given the numbers, each in its spread, and their distance from
    the middle as Mahalanobis has it: so it sees where vectors have moved to, how far they scatter, and whether other
    numbers go together than before.

    Returns:
        Candidate's scores and stable's. Where there was too little to learn from, all are 0, and at least one side has
        fewer than FEW of them.
    """
    taught = [side.numbers[side.whole & side.teaches] for side in (candidate, stable)]
    asked = [side.numbers[side.whole & ~side.teaches] for side in (candidate, stable)]
    if min(map(len, taught)) < FEW:
        return [np.zeros(min(len(rows), len(known))) for rows, known in zip(asked, taught, strict=True)]
    numbers = _Scale.of(np.concatenate(taught))
    within = _covariance(numbers.apply(np.concatenate(taught)))
    distance = _Scale.of(_distance(numbers.apply(np.concatenate(taught)), within))

    def described(rows: Floats) -> Floats:
        scaled = numbers.apply(rows)
        return np.column_stack([scaled, distance.apply(_distance(scaled, within))])

    direction = _direction(*map(described, taught))
    return [described(rows) @ direction for rows in asked]


class _Scale(NamedTuple):
    """Where numbers are, and how far they spread; each of shape (numbers,)."""

    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, rows: Floats) -> _Scale:
        spread = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.where(spread == 0, 1.0, spread))

    def apply(self, rows: Floats) -> Floats:
        return (rows - self.centre) / self.spread


def _distance(rows: Floats, covariance: Floats) -> Floats:
    """Shape (rows, 1): the square of Mahalanobis' distance from 0."""
    found: Floats = (rows * np.linalg.solve(covariance, rows.T).T).sum(axis=1, keepdims=True)
    return found


def _direction(ours: Floats, theirs: Floats) -> Floats:
    means = ours.mean(axis=0), theirs.mean(axis=0)
    within = _covariance(np.concatenate([ours - means[0], theirs - means[1]]))
    found: Floats = np.linalg.solve(within, means[0] - means[1])
    return found


def _covariance(rows: Floats) -> Floats:
    """Of rows around 0, as Ledoit and Wolf estimate it; never singular."""
    from sklearn.covariance import ledoit_wolf  # 80 MiB that few deployments need

    estimate, _ = ledoit_wolf(rows, assume_centered=True)
    found: Floats = estimate + _RIDGE * np.eye(rows.shape[1])
    return found
