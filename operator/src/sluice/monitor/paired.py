"""Paired tests: of the requests that both revisions answered, how far apart are the two answers?

A shadow is asked what the stable revision is asked, so the answers can be compared one by one. That tells
more than their distributions do: a model that mixes up two customers answers neither of them right, and its
scores are distributed as before. And it needs fewer rows, because what differs from request to request is
the same on both sides.

Two models are never the same. So these tests ask whether the answers are further apart than is allowed, not
whether they differ: the p-value is that of an effect of at most the limit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sluice.monitor.twosample import Comparison, Floats


class Matched(NamedTuple):
    """The answers to the same rows of the same requests, where both revisions gave one; each of shape (rows,)."""

    candidate: Floats
    stable: Floats
    requests: NDArray[np.intp]
    """Rows with the same number came in one request: they are not so many independent observations."""

    def small(self) -> Matched:
        """The same in half the memory. Nothing is lost: values have 32-bit precision."""
        ours, theirs = (values.astype(np.float32) for values in (self.candidate, self.stable))
        return self._replace(candidate=ours, stable=theirs)  # type: ignore[arg-type]  # read as 64-bit again

    def gaps(self) -> Gaps:
        """How far apart numbers are."""
        ours, theirs = (values.astype(np.float64)[:, np.newaxis] for values in (self.candidate, self.stable))
        return Gaps.of(ours, theirs, self.requests)


class Gaps(NamedTuple):
    """How far apart the answers to the same rows are, be they numbers or vectors; each of shape (rows,)."""

    found: Floats
    """Squares of the distances."""
    unrelated: Floats
    """What they would be if the answers had nothing to do with each other."""
    requests: NDArray[np.intp]
    """As in :class:`Matched`."""

    @classmethod
    def of(cls, ours: Floats, theirs: Floats, requests: NDArray[np.intp]) -> Gaps:
        """Of answers of shape (rows, numbers), each number counting in its spread."""
        if not len(ours):
            return cls(np.empty(0), np.empty(0), requests)
        spread = np.concatenate([ours, theirs]).std(axis=0) if ours.shape[1] > 1 else np.ones(1)
        spread[spread == 0] = 1.0
        ours, theirs = ours / spread, theirs / spread
        middle = ours.mean(axis=0), theirs.mean(axis=0)
        unrelated = (ours - middle[0]) ** 2 + (theirs - middle[1]) ** 2 + (middle[0] - middle[1]) ** 2
        return cls(((ours - theirs) ** 2).sum(axis=1), unrelated.sum(axis=1), requests)

    def small(self) -> Gaps:
        """The same in half the memory."""
        found, unrelated = (values.astype(np.float32) for values in (self.found, self.unrelated))
        return self._replace(found=found, unrelated=unrelated)  # type: ignore[arg-type]  # read as 64-bit again


def concordance(gaps: Gaps, limit: float) -> Comparison:
    """Are two numbers, or vectors, for the same thing further apart than ``limit``?

    The effect is sqrt(1 - ccc), with Lin's coefficient of concordance (Biometrics 1989): the root mean square of
    the differences, as a share of what it would be if the answers had nothing to do with each other. 0 for equal
    answers, 1 for unrelated ones. A model trained again on other rows of the same data: 0.04 to 0.12, the more the
    wilder its answers to a few extreme requests; one that answers 5 % of its customers with the mean: 0.16 (measured on
    the models of bench.gates and of the demo). The statistic is Student's t, over requests.
    """
    gap, unrelated = (values.astype(np.float64) for values in (gaps.found, gaps.unrelated))
    whole = float(unrelated.mean())
    effect = min(math.sqrt(float(gap.mean()) / whole), 1.0) if whole else 0.0
    statistic, p_value = _above_zero(gap - limit**2 * unrelated, gaps.requests)
    return Comparison("concordance", statistic, p_value, effect)


def flips(matched: Matched, limit: float) -> Comparison:
    """Is a larger share than ``limit`` of the answers another category?

    Statistic and effect are that share: of 1,000 requests 40 classified otherwise are 0.04. Exact where every
    request has one row, and Student's t over requests otherwise.
    """
    ours, theirs, requests = matched
    other = (ours != theirs).astype(np.float64)
    share = float(other.mean())
    if len(np.unique(requests)) == len(requests):
        p_value = float(stats.binomtest(int(other.sum()), len(other), limit, alternative="greater").pvalue)
    else:
        _, p_value = _above_zero(other - limit, requests)
    return Comparison("flips", share, p_value, share)


def _above_zero(excess: Floats, requests: NDArray[np.intp]) -> tuple[float, float]:
    """Student's t and the one-sided p-value of a mean above zero, with the sums of requests as observations.

    Differences are skewed to the right, which makes the test miss a little too often, and never cry too often:
    a sample that happens to lack the few large ones has a low mean, and one that has them a large spread.
    """
    sums = np.bincount(requests, weights=excess)[np.unique(requests)]
    if len(sums) < 2:
        return 0.0, 1.0
    error = float(sums.std(ddof=1)) / math.sqrt(len(sums))
    mean = float(sums.mean())
    if not error:
        return (math.copysign(math.inf, mean), 0.0) if mean > 0 else (0.0, 1.0)
    return mean / error, float(stats.t.sf(mean / error, len(sums) - 1))
