"""Two-sample tests: is the candidate's column distributed like the stable revision's?

Pure functions on arrays. Each answers with a p-value, which is calibrated (under no change it is at
most x in a share of at most about x of all cases), and with an effect between 0 and 1, which says how
large the change is whatever the number of rows. A verdict needs both: with enough rows every change is
significant, and with few rows large effects come about by chance.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Counts = NDArray[np.float64]

MIN_EXPECTED = 5.0
"""Cochran's rule: the chi-square approximation holds from about five expected rows per cell."""

NEGLIGIBLE = 0.05
"""In spreads, how far a number may move without counting as moved."""
IQR_OF_NORMAL = 1.349
"""Between the quartiles of a normal distribution, in standard deviations."""

STRETCH = 16
"""Values of a sorted sample that are looked at together."""

SMALL_SAMPLE = 10
"""Below so many rows on a side the exact distribution of the Kolmogorov-Smirnov distance is used."""


class Comparison(NamedTuple):
    """What one test found in one column."""

    test: str
    statistic: float
    p_value: float
    effect: float
    """0 for the same distribution in both samples, 1 for distributions without overlap."""
    freedom: int = 1
    """Degrees of freedom, for a contingency table."""


def kolmogorov_smirnov(candidate: Floats, stable: Floats) -> Comparison:
    """The two-sample Kolmogorov-Smirnov test of finite numbers, both samples non-empty.

    The statistic is the distance D: the largest difference between the shares of rows below any one threshold.
    Half of the stable scores and three quarters of the candidate's below 0.5: D = 0.25. With ties (few distinct
    values) the test is conservative, never liberal.

    The effect is the same distance, but a value counts as moved only if it moved by more than a twentieth of the
    spread. A tree that answers 0.0012 for everybody under 16 answers 0.0013 when it is trained again: where every
    sixth row is such a one, D is 0.16, and nothing has happened.
    """
    ours, theirs = np.sort(candidate), np.sort(stable)
    distance = _apart(ours, theirs, 0.0)
    if min(len(ours), len(theirs)) < SMALL_SAMPLE:
        p_value = float(stats.ks_2samp(ours, theirs, method="exact").pvalue)
    else:  # as stats.ks_2samp has it with method="asymp", which takes four times as long to find the distance
        effective = len(ours) * len(theirs) / (len(ours) + len(theirs))
        p_value = float(stats.kstwo.sf(distance, round(effective)))
    return Comparison("ks", distance, min(max(p_value, 0.0), 1.0), _apart(ours, theirs, _little(ours, theirs)))


def _apart(ours: Floats, theirs: Floats, little: float) -> float:
    """The largest share of rows that lie up to a threshold on one side and, even if allowed to move a little, not on
    the other: with nothing allowed, the Kolmogorov-Smirnov distance. Both samples are sorted."""
    return max(_ahead(ours, theirs, little), _ahead(theirs, ours, little))


def _ahead(lower: Floats, upper: Floats, little: float) -> float:
    """The largest surplus of one sorted sample up to a threshold over the other up to the threshold plus a little."""

    def surplus(places: NDArray[np.intp]) -> Floats:
        # Of equal values the last has the largest share up to it, and that is the right one.
        above = np.searchsorted(upper, lower[places] + little, side="right")
        return (places + 1) / len(lower) - above / len(upper)

    # From one value to the next it rises by one row at most. So of a stretch of values only the first is looked at,
    # unless the rest could still come to more than is known: exact, and most values are never looked up.
    starts = np.arange(0, len(lower), STRETCH)
    first = surplus(starts)
    most = max(float(first.max()), 0.0)
    promising = starts[first + STRETCH / len(lower) > most]
    rest = (promising[:, np.newaxis] + np.arange(1, STRETCH)).ravel()
    rest = rest[rest < len(lower)]
    return max(most, float(surplus(rest).max())) if len(rest) else most


def _little(ours: Floats, theirs: Floats) -> float:
    """How far a value may move without counting as moved."""
    pooled = np.sort(np.concatenate([ours, theirs]), kind="stable")  # which merges what is sorted
    return NEGLIGIBLE * _spread(pooled)


def _spread(pooled: Floats) -> float:
    """The standard deviation of a sorted sample, or what its middle half suggests, if that is less: outliers do not
    widen it."""
    low, high = (_quantile(pooled, share) for share in (0.25, 0.75))
    with np.errstate(over="ignore"):  # values near the end of the float range
        return min(float(np.std(pooled)), (high - low) / IQR_OF_NORMAL)


def _quantile(ordered: Floats, share: float) -> float:
    """Of a sorted sample, as ``np.quantile``, which would order it again."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def contingency(candidate: Counts, stable: Counts) -> Comparison | None:
    """Pearson's chi-square test of a table of two rows: how often each category occurs on each side.

    Both arguments have shape (categories,). Rare categories are pooled first (:func:`pool_rare`), so
    one unseen category does not decide. None when pooling leaves nothing to compare.

    The effect is Cramér's V as if both sides had equally many rows: sqrt(½ Σ (p-q)²/(p+q)). The plain V
    depends on the split: a class share moving from 50 to 70 % gives 0.20 at an even split and 0.09 when
    the candidate has 5 % of the traffic, where a limit of 0.1 would never be reached.
    """
    table = pool_rare(np.vstack([candidate, stable]).astype(np.float64))
    if table.shape[1] < 2:
        return None
    result = stats.chi2_contingency(table)
    shares = table / table.sum(axis=1, keepdims=True)
    effect = math.sqrt(0.5 * float(np.sum((shares[0] - shares[1]) ** 2 / shares.sum(axis=0))))
    return Comparison("chi2", float(result.statistic), float(result.pvalue), effect, int(result.dof))


def is_rare(table: Counts) -> NDArray[np.bool_]:
    """Which categories are too rare for the chi-square approximation, shape (2, K) to (K,)."""
    rare: NDArray[np.bool_] = table.sum(axis=0) * _smaller_side(table) < MIN_EXPECTED
    return rare


def _smaller_side(table: Counts) -> float:
    """The smaller side's share of all rows; 0 without rows."""
    return float(table.sum(axis=1).min() / table.sum()) if table.any() else 0.0


def pool_rare(table: Counts) -> Counts:
    """Merges categories too rare for the chi-square approximation into one, shape (2, K) to (2, ≤ K).

    What is rare follows from the totals of both sides, never from one side alone: the choice must not
    depend on which side a row is from, or the p-value would no longer be calibrated. Empty categories
    are dropped. When the merged category is itself too rare it joins the smallest of the others.
    """
    table = table[:, table.sum(axis=0) > 0]
    rare = is_rare(table)
    if not rare.any():
        return table
    smaller_side = _smaller_side(table)
    common, pooled = table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)
    if common.size and pooled.sum() * smaller_side < MIN_EXPECTED:
        smallest = int(common.sum(axis=0).argmin())
        common[:, smallest] += pooled[:, 0]
        return common
    return np.hstack([common, pooled])


def more_missing(candidate_missing: int, candidate_rows: int, stable_missing: int, stable_rows: int) -> Comparison:
    """Fisher's exact test, one-sided: does the candidate lack more values than the stable revision?

    Statistic and effect are the rise of the missing share: 40 of 1000 against 5 of 1000 is 0.035.
    One-sided, because a candidate that answers where the stable one does not is no worse for it.
    """
    table = [
        [candidate_missing, candidate_rows - candidate_missing],
        [stable_missing, stable_rows - stable_missing],
    ]
    p_value = float(stats.fisher_exact(table, alternative="greater").pvalue)
    rise = candidate_missing / candidate_rows - stable_missing / stable_rows
    return Comparison("missing", rise, min(p_value, 1.0), max(rise, 0.0))


def detectable_effect(found: Comparison, candidate_rows: int, stable_rows: int, alpha: float) -> float:
    """The least effect that would have been significant: how blind a Pass may be.

    200 against 800 rows at alpha 0.01: a KS distance of 0.13.
    """
    spread = math.sqrt((candidate_rows + stable_rows) / (candidate_rows * stable_rows))
    if found.test == "ks":
        return min(float(special.kolmogi(alpha)) * spread, 1.0)
    return min(math.sqrt(float(special.chdtri(found.freedom, alpha))) * spread / 2, 1.0)


def mean_shift(candidate: Floats, stable: Floats) -> float | None:
    """Candidate's mean minus stable's, in pooled standard deviations; None where neither side varies."""
    with np.errstate(over="ignore", invalid="ignore"):  # values near the end of the float range
        spread = math.sqrt((float(candidate.var()) + float(stable.var())) / 2)
        shift = (float(candidate.mean()) - float(stable.mean())) / spread if spread else math.nan
    return shift if math.isfinite(shift) else None
