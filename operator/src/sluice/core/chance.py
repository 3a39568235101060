"""Chance: could so many bad events of so many be luck? Two tests on counts, exact enough for small ones.

A release is looked at hundreds of times, every few seconds over a window that moves, and one wrong Fail undoes
it. So the confidence of one look must be far above that of the whole. Simulated for a candidate that equals the
stable revision (holds of 10 minutes at 5, 25 and 50 %, a look every 5 s, windows of 1 minute, 20 to 400 requests
a second, 0.1 to 3 % errors on both sides, "twice as many and 0.5 % more" allowed), rollbacks of 100 good releases:

    ============================  ======  =======  ========
    confidence of one look        0.99    0.999    0.9999
    ============================  ======  =======  ========
    pooled z test                 to 59   to 17    to 5
    exact test (this one)         to 50   to 9     to 1
    ============================  ======  =======  ========

Windows of 30 s are twice as many chances: at 0.9999 up to 2 of 100, at 0.99999, which the shipped gauges have, 0.3.
It costs little. At 40 requests a second, 5 % errors instead of 0.1 % are seen after 65 s; at 100, in the first window.
"""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.9999
"""Of one look at one limit."""


def wilson_lower(bad: float, total: float, confidence: float = CONFIDENCE) -> float:
    """The one-sided Wilson lower bound of a proportion: it is at least this, with ``confidence``.

    Two bad of 50 are 4 %, but surely no less than 0.5 %: no reason to undo a release that may have 1 %.
    """
    z = NormalDist().inv_cdf(confidence)
    share, square = bad / total, z * z
    centre = share + square / (2 * total)
    margin = z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, (centre - margin) / (1 + square / total))


def really_more(side: tuple[float, float], other: tuple[float, float], *, confidence: float) -> bool:
    """Whether the first side's proportion is above the other's by more than luck (Fisher's exact test, one-sided).

    Args:
        side: (bad, total) of the one that is suspected.
        other: (bad, total) of the one that it is held against.
        confidence: how sure to be.

    Counts that are estimates (Prometheus extrapolates) are rounded in favour of the suspect.
    """
    bad, total = math.floor(side[0]), math.ceil(side[1])
    other_bad, other_total = math.ceil(other[0]), math.ceil(other[1])
    all_bad, everything = bad + other_bad, total + other_total
    least = max(bad, all_bad - other_total)
    chance, ways = 0.0, _ways(everything, total)
    for count in range(least, min(all_bad, total) + 1):
        term = math.exp(_ways(all_bad, count) + _ways(everything - all_bad, total - count) - ways)
        chance += term
        if chance >= 1 - confidence:
            return False
        if term < chance * 1e-12:
            break  # far out in the tail: what is left cannot matter
    return chance < 1 - confidence


def _ways(items: int, taken: int) -> float:
    """The logarithm of the number of ways to take some of the items."""
    return math.lgamma(items + 1) - math.lgamma(taken + 1) - math.lgamma(items - taken + 1)
