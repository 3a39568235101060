"""The tests are calibrated, and their effects mean what they say."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from sluice.monitor.twosample import (
    IQR_OF_NORMAL,
    MIN_EXPECTED,
    NEGLIGIBLE,
    SMALL_SAMPLE,
    Comparison,
    Counts,
    Floats,
    contingency,
    detectable_effect,
    kolmogorov_smirnov,
    mean_shift,
    more_missing,
    pool_rare,
)

REPETITIONS = 1_000
numbers = arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6))
small = arrays.arrays(np.float64, st.integers(1, 60), elements=st.integers(-3, 3).map(float))
"""Many ties."""
counts = arrays.arrays(np.float64, 6, elements=st.integers(0, 200).map(float))


def p_values(compare: Callable[[np.random.Generator], Comparison | None]) -> Floats:
    """What comes of repetitions without a change."""
    rng = np.random.default_rng(20_261_124)
    found = [compare(rng) for _ in range(REPETITIONS)]
    return np.array([result.p_value if result is not None else 1.0 for result in found])


def false_alarms(compare: Callable[[np.random.Generator], Comparison | None], alpha: float) -> float:
    """The share of repetitions without a change that are significant all the same."""
    return float(np.mean(p_values(compare) <= alpha))


def normal(rng: np.random.Generator, size: int) -> Floats:
    return rng.normal(size=size)


def lognormal(rng: np.random.Generator, size: int) -> Floats:
    return rng.lognormal(sigma=2, size=size)


def pareto(rng: np.random.Generator, size: int) -> Floats:
    return rng.pareto(1.5, size=size)


def tied(rng: np.random.Generator, size: int) -> Floats:
    return np.round(rng.normal(size=size), 1)


@pytest.mark.filterwarnings("ignore:ks_2samp")  # where the exact distribution overflows, on both sides alike
@given(numbers | small, numbers | small)
def test_distance_and_p_value_are_scipys(candidate: Floats, stable: Floats) -> None:
    method = "asymp" if min(len(candidate), len(stable)) >= SMALL_SAMPLE else "exact"
    theirs = stats.ks_2samp(candidate, stable, method=method)
    ours = kolmogorov_smirnov(candidate, stable)
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-12, abs=1e-15)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-15)
    assert 0 <= ours.effect <= ours.statistic + 1e-12


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.3])
@pytest.mark.parametrize("draw", [normal, lognormal, pareto, tied])
def test_the_effect_is_the_largest_share_that_moved_whichever_values_are_looked_up(
    draw: Callable[[np.random.Generator, int], Floats], shift: float
) -> None:
    rng = np.random.default_rng(5)
    for ours_rows, theirs_rows in ((700, 90), (33, 400), (160, 161)):
        ours, theirs = draw(rng, ours_rows) + shift, draw(rng, theirs_rows)
        pooled = np.concatenate([ours, theirs])
        low, high = np.percentile(pooled, (25, 75))
        little = NEGLIGIBLE * min(np.std(pooled), (high - low) / IQR_OF_NORMAL)
        every = [
            float(np.mean(lower <= value) - np.mean(upper <= value + little))
            for lower, upper in ((ours, theirs), (theirs, ours))
            for value in lower
        ]
        assert kolmogorov_smirnov(ours, theirs).effect == pytest.approx(max(*every, 0.0), abs=1e-12)


@pytest.mark.parametrize("draw", [normal, lognormal, pareto, tied])
@pytest.mark.parametrize(("candidate", "stable"), [(50, 1_000), (200, 800), (1_000, 1_000)])
def test_kolmogorov_smirnov_keeps_its_level(
    draw: Callable[[np.random.Generator, int], Floats], candidate: int, stable: int
) -> None:
    alarms = false_alarms(lambda rng: kolmogorov_smirnov(draw(rng, candidate), draw(rng, stable)), 0.05)
    assert alarms <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / REPETITIONS)


def test_answers_that_many_rows_share_may_move_a_little_without_having_moved() -> None:
    rng = np.random.default_rng(1)
    stable = np.where(np.arange(3_000) % 3 == 0, 0.0012, rng.random(3_000))
    candidate = np.where(stable == 0.0012, 0.0013, stable)
    found = kolmogorov_smirnov(candidate, stable)
    assert found.statistic == pytest.approx(1 / 3, abs=0.01)
    assert found.p_value < 1e-9
    assert found.effect == 0


@given(numbers, numbers)
def test_the_effect_is_never_more_than_the_distance(ours: Floats, theirs: Floats) -> None:
    found = kolmogorov_smirnov(ours, theirs)
    assert 0 <= found.effect <= found.statistic + 1e-12


@pytest.mark.parametrize("categories", [2, 10, 50])
@pytest.mark.parametrize(("candidate", "stable"), [(100, 1_000), (1_000, 1_000), (1_000, 10_000)])
def test_contingency_keeps_its_level_with_even_and_with_rare_categories(
    categories: int, candidate: int, stable: int
) -> None:
    zipf = 1 / np.arange(1, categories + 1)
    zipf /= zipf.sum()

    def compare(rng: np.random.Generator) -> Comparison | None:
        return contingency(rng.multinomial(candidate, zipf).astype(float), rng.multinomial(stable, zipf).astype(float))

    # A chi-square with few expected rows per cell is somewhat liberal far out in its tail: allow for
    # 0.002 at 0.001. Evidently's `chisquare` alarms in 53 % at 1,000 against 1,000 rows and 0.05.
    found = p_values(compare)
    for alpha, slack in ((0.05, 0.0), (0.001, 0.001)):
        assert np.mean(found <= alpha) <= alpha + slack + 3 * math.sqrt(alpha * (1 - alpha) / REPETITIONS)


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3])
def test_more_missing_keeps_its_level(share: float) -> None:
    def compare(rng: np.random.Generator) -> Comparison:
        return more_missing(int(rng.binomial(300, share)), 300, int(rng.binomial(3_000, share)), 3_000)

    assert false_alarms(compare, 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / REPETITIONS)


@given(numbers, numbers)
def test_kolmogorov_smirnov_does_not_care_which_side_is_which(ours: Floats, theirs: Floats) -> None:
    forth, back = kolmogorov_smirnov(ours, theirs), kolmogorov_smirnov(theirs, ours)
    assert forth.p_value == pytest.approx(back.p_value)
    assert forth.effect == pytest.approx(back.effect)
    assert 0 <= forth.effect <= 1
    assert 0 <= forth.p_value <= 1


@given(counts, counts)
def test_contingency_does_not_care_which_side_is_which(ours: Counts, theirs: Counts) -> None:
    forth, back = contingency(ours, theirs), contingency(theirs, ours)
    assert (forth is None) == (back is None)
    if forth and back:
        assert forth.p_value == pytest.approx(back.p_value)
        assert forth.effect == pytest.approx(back.effect)
        assert 0 <= forth.effect <= 1


@given(st.floats(0.0, 3.0), st.floats(0.01, 3.0))
def test_a_larger_shift_never_has_a_smaller_effect(shift: float, more: float) -> None:
    sample = np.random.default_rng(0).normal(size=400)
    nearer, farther = (kolmogorov_smirnov(sample + by, sample) for by in (shift, shift + more))
    assert farther.effect >= nearer.effect
    assert farther.p_value <= nearer.p_value


def test_the_effect_of_a_quarter_of_all_rows_moving_across_a_threshold_is_a_quarter() -> None:
    stable = np.repeat([0.0, 1.0], [500, 500])
    candidate = np.repeat([0.0, 1.0], [750, 250])
    assert kolmogorov_smirnov(candidate, stable).effect == pytest.approx(0.25)


def test_the_effect_of_a_class_does_not_depend_on_the_traffic_split() -> None:
    even = contingency(np.array([700.0, 300.0]), np.array([500.0, 500.0]))
    uneven = contingency(np.array([35.0, 15.0]), np.array([4_750.0, 4_750.0]))
    assert even
    assert uneven
    assert even.effect == pytest.approx(uneven.effect) == pytest.approx(0.204, abs=0.001)


def test_distributions_without_overlap_have_effect_one() -> None:
    assert kolmogorov_smirnov(np.zeros(50), np.ones(50)).effect == 1
    apart = contingency(np.array([50.0, 0.0]), np.array([0.0, 50.0]))
    assert apart
    assert apart.effect == pytest.approx(1)


def test_one_row_of_an_unseen_category_does_not_decide() -> None:
    found = contingency(np.array([500.0, 499.0, 1.0]), np.array([500.0, 500.0, 0.0]))
    assert found
    assert found.p_value > 0.5


def test_an_unseen_category_that_is_common_is_seen() -> None:
    found = contingency(np.array([450.0, 450.0, 100.0]), np.array([500.0, 500.0, 0.0]))
    assert found
    assert found.p_value < 1e-20
    assert found.effect > 0.2


@given(counts, counts)
def test_pooling_keeps_every_row_and_leaves_no_rare_category_but_the_last_resort(ours: Counts, theirs: Counts) -> None:
    table = np.vstack([ours, theirs])
    pooled = pool_rare(table)
    np.testing.assert_array_equal(pooled.sum(axis=1), table.sum(axis=1))
    if pooled.shape[1] > 1:
        expected = pooled.sum(axis=0) * pooled.sum(axis=1).min() / pooled.sum()
        assert expected.min() >= MIN_EXPECTED - 1e-9


def test_categories_that_are_all_unique_leave_nothing_to_compare() -> None:
    assert contingency(np.eye(1, 100, 3)[0] + 1, np.ones(100)) is None


def test_missing_more_is_found_and_missing_less_is_not() -> None:
    assert more_missing(40, 1_000, 5, 1_000).p_value < 1e-6
    assert more_missing(40, 1_000, 5, 1_000).effect == pytest.approx(0.035)
    assert more_missing(5, 1_000, 40, 1_000).p_value > 0.99
    assert more_missing(5, 1_000, 40, 1_000).effect == 0


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.0004])
def test_the_detectable_effect_is_where_significance_begins(alpha: float) -> None:
    stable = np.arange(800) / 800
    limit = detectable_effect(kolmogorov_smirnov(stable, stable), 400, 800, alpha)
    above, below = (kolmogorov_smirnov(np.arange(400) / 400 + by * limit, stable) for by in (1.05, 0.95))
    assert above.p_value < alpha < below.p_value


def test_the_mean_shift_is_in_standard_deviations_and_absent_where_nothing_varies() -> None:
    sample = np.random.default_rng(0).normal(scale=5, size=10_000)
    assert mean_shift(sample + 2.5, sample) == pytest.approx(0.5, abs=0.01)
    assert mean_shift(np.ones(10), np.zeros(10)) is None
    assert mean_shift(np.full(10, 1e308), np.full(10, -1e308)) is None
