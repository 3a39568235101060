"""Two tests on counts: right where the answer is known, and never more eager with less evidence."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.chance import really_more, wilson_lower

totals = st.integers(1, 3_000)


def tail(bad: int, total: int, other_bad: int, other_total: int) -> float:
    """Fisher's one-sided p-value by counting, in whole numbers."""
    everything, all_bad = total + other_total, bad + other_bad
    ways = sum(
        math.comb(all_bad, count) * math.comb(everything - all_bad, total - count)
        for count in range(bad, min(all_bad, total) + 1)
        if total - count <= everything - all_bad
    )
    return ways / math.comb(everything, total)


@given(st.data(), totals, st.sampled_from([0.9, 0.99, 0.9999]))
def test_the_lower_bound_is_the_share_that_the_count_just_contradicts(
    data: st.DataObject, total: int, confidence: float
) -> None:
    bad = data.draw(st.integers(1, total))
    bound = wilson_lower(bad, total, confidence)
    deviations = (bad / total - bound) / math.sqrt(bound * (1 - bound) / total)
    assert deviations == pytest.approx(NormalDist().inv_cdf(confidence), rel=1e-6)


def test_without_a_bad_one_there_is_no_lower_bound() -> None:
    assert wilson_lower(0, 100) == 0


@given(st.data(), totals)
def test_the_lower_bound_is_below_the_share_and_rises_with_the_bad(data: st.DataObject, total: int) -> None:
    bad = data.draw(st.integers(0, total - 1))
    lower, higher = wilson_lower(bad, total), wilson_lower(bad + 1, total)
    assert 0 <= lower <= bad / total + 1e-12
    assert lower <= higher


@given(st.data(), st.integers(1, 1_000))
def test_more_of_the_same_evidence_brings_the_bound_closer(data: st.DataObject, total: int) -> None:
    bad = data.draw(st.integers(0, total))
    assert wilson_lower(bad, total) <= wilson_lower(10 * bad, 10 * total) + 1e-12


def test_the_comparison_is_fishers_exact_test() -> None:
    for bad, total, other_bad, other_total in itertools.product(range(9), (8, 20), range(4), (5, 40)):
        if bad > total or other_bad > other_total:
            continue
        chance = tail(bad, total, other_bad, other_total)
        for confidence in (0.5, 0.9, 0.99):
            found = really_more((bad, total), (other_bad, other_total), confidence=confidence)
            assert found == (chance < 1 - confidence), (bad, total, other_bad, other_total, chance)


@pytest.mark.parametrize(
    ("side", "other", "expected"),
    [
        pytest.param((3, 100), (0, 100), False, id="three-of-a-hundred-may-be-luck"),
        pytest.param((20, 200), (1, 2_000), True, id="one-in-ten-beside-one-in-two-thousand"),
        pytest.param((1, 100), (1, 100), False, id="the-same"),
        pytest.param((0, 100), (50, 100), False, id="better"),
        pytest.param((100, 100), (0, 100), True, id="all-beside-none"),
        pytest.param((0, 100), (0, 100), False, id="none-on-either-side"),
        pytest.param((100, 100), (100, 100), False, id="all-on-either-side"),
        pytest.param((6_000, 100_000), (45_000, 900_000), True, id="large-counts"),
        pytest.param((5_000, 100_000), (45_000, 900_000), False, id="large-counts-alike"),
    ],
)
def test_a_difference_is_real_only_if_luck_is_no_explanation(
    side: tuple[int, int], other: tuple[int, int], expected: bool
) -> None:
    assert really_more(side, other, confidence=0.9999) is expected


@given(st.data(), totals, totals)
def test_one_more_bad_never_makes_the_difference_less_real(data: st.DataObject, total: int, other_total: int) -> None:
    bad, other_bad = data.draw(st.integers(0, total - 1)), data.draw(st.integers(0, other_total))
    other = (other_bad, other_total)
    if really_more((bad, total), other, confidence=0.99):
        assert really_more((bad + 1, total), other, confidence=0.99)


@given(st.data(), totals, totals, st.floats(0, 1), st.floats(0, 1))
def test_estimates_count_in_favour_of_the_suspect(
    data: st.DataObject, total: int, other_total: int, part: float, other_part: float
) -> None:
    bad, other_bad = data.draw(st.integers(0, total)), data.draw(st.integers(0, other_total))
    exact = really_more((bad, total), (other_bad, other_total), confidence=0.99)
    estimated = really_more((bad + part * 0.9, total + 1), (other_bad - other_part * 0.9, other_total), confidence=0.99)
    assert exact or not estimated
