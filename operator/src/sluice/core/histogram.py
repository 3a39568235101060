"""Histogram: counts by bucket, as Prometheus keeps them, and whether one side's tail is longer than another's.

Where a quantile lies in its bucket is not known. ``quantile`` and ``above`` assume, as ``histogram_quantile()`` and
``histogram_fraction()`` do, that requests are spread evenly there. ``Race`` assumes nothing: it compares counts at the
buckets' bounds, and rounds in favour of the side that is suspected.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sluice.core import chance


class NotAHistogramError(ValueError):
    """Buckets that make no histogram; the message says what is missing."""


@dataclass(frozen=True)
class Histogram:
    """Requests by how long they took, or by any other measure.

    Args:
        bounds: the buckets' upper bounds in the measure's unit, rising; the last is infinite.
        counts: how many requests were at most that, never falling; not whole where Prometheus extrapolates.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @classmethod
    def of(cls, buckets: Iterable[tuple[str, float]]) -> Histogram:
        """From the label ``le`` and the value of each series.

        Counts that fall from one bucket to the next, as rates of series that are scraped one after the other may, are
        raised to the one before, as Prometheus itself does.

        Raises:
            NotAHistogramError: a series without a bound, two with the same, or none for all requests.
        """
        try:
            found = sorted((float(bound), count) for bound, count in buckets)
        except ValueError:
            raise NotAHistogramError("its series have no bucket's bound, the label le") from None
        bounds = tuple(bound for bound, _ in found)
        if any(math.isnan(bound) for bound in bounds) or len(set(bounds)) < len(bounds):
            raise NotAHistogramError("it has several series for one bucket")
        if len(bounds) < 2 or bounds[-1] != math.inf:
            raise NotAHistogramError("it has no bucket +Inf, or none beside it")
        return cls(bounds, tuple(itertools.accumulate((max(count, 0.0) for _, count in found), max)))

    @property
    def total(self) -> float:
        """All requests."""
        return self.counts[-1]

    def quantile(self, share: float) -> float:
        """What ``share`` of the requests were at most; of those above the last finite bound, that bound.

        Args:
            share: between 0 and 1. There must be requests.
        """
        rank = share * self.total
        place = min(bisect_left(self.counts, rank), len(self.bounds) - 1)
        if self.bounds[place] == math.inf:
            return self.bounds[-2]
        below, lower = self._edge(place)
        inside = self.counts[place] - below
        return lower + (self.bounds[place] - lower) * ((rank - below) / inside if inside else 1.0)

    def beyond(self, share: float) -> bool:
        """Whether the quantile is above the last finite bound: how far, nobody knows."""
        return share * self.total > self.counts[-2]

    def above(self, value: float) -> float:
        """How many requests were above a value; of those above the last finite bound, all where it is beyond that."""
        place = bisect_left(self.bounds, value)
        below, lower = self._edge(place)
        if self.bounds[place] == math.inf:
            return self.total - below
        inside = (value - lower) / (self.bounds[place] - lower) if self.bounds[place] > lower else 1.0
        return self.total - below - (self.counts[place] - below) * max(inside, 0.0)

    def bound_from(self, value: float) -> float:
        """The least bound that is not below a value."""
        return self.bounds[bisect_left(self.bounds, value)]

    def _edge(self, place: int) -> tuple[float, float]:
        """How many requests are below a bucket, and where it begins: the first at 0, if it ends above that."""
        if place == 0:
            return 0.0, min(0.0, self.bounds[0])
        return self.counts[place - 1], self.bounds[place - 1]


@dataclass(frozen=True)
class Race:
    """A candidate's histogram against the stable revision's, in one quantile.

    Args:
        suspect: at least as many requests as are worth a verdict.
        other: what it is held against.
        share: the quantile that is meant, between 0 and 1.
        allowed: what a measure may come to, rising.
    """

    suspect: Histogram
    other: Histogram
    share: float
    allowed: Callable[[float], float]

    def lost(self, confidence: float) -> bool:
        """Whether the suspect's tail is longer than the other's by more than is allowed and more than luck.

        Held against each other are the requests of the other above a bound and those of the suspect above what is
        allowed for that bound, by the exact test on counts: a suspect that is slower by just what is allowed has no
        more of them. Two bounds are looked at, those between which the other's quantile lies, each with half of the
        doubt. ``confidence`` is as for :func:`chance.really_more`.
        """
        return any(
            chance.really_more(
                (self.suspect.above(limit), self.suspect.total),
                (self.other.above(bound), self.other.total),
                confidence=1 - (1 - confidence) / 2,
            )
            for bound, limit in self._looked_at
        )

    @property
    def undecidable(self) -> bool:
        """Whether more requests alike would not show it either: at neither bound the suspect has the longer tail."""
        return not any(
            self.suspect.above(limit) * self.other.total > self.other.above(bound) * self.suspect.total
            for bound, limit in self._looked_at
        )

    @property
    def _looked_at(self) -> list[tuple[float, float]]:
        """The bounds between which the other's quantile lies, each with what the suspect may have there."""
        upper = self.other.bound_from(self.other.quantile(self.share))
        lower = max((bound for bound in self.other.bounds if bound < upper), default=upper)
        return [(b, limit) for b in sorted({lower, upper}) if math.isfinite(limit := self._limit(b))]

    def _limit(self, bound: float) -> float:
        """What the suspect may have where the other has a bound, rounded up to a bound."""
        return self.suspect.bound_from(self.allowed(bound))
