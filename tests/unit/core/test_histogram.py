"""Histograms: quantiles as Prometheus computes them, and no false alarm about a tail."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.histogram import Histogram, NotAHistogramError, Race

BOUNDS = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, math.inf)
"""As the gateway's, in milliseconds."""


def histogram(times: Sequence[float], bounds: Sequence[float] = BOUNDS) -> Histogram:
    """Of single measurements."""
    inside = [0] * len(bounds)
    for time in times:
        inside[bisect.bisect_left(bounds, time)] += 1
    return Histogram(tuple(bounds), tuple(itertools.accumulate(inside)))


TEN = Histogram.of([("1", 2), ("2", 6), ("4", 9), ("+Inf", 10)])


@pytest.mark.parametrize(
    ("share", "value"), [(0.1, 0.5), (0.2, 1.0), (0.4, 1.5), (0.6, 2.0), (0.75, 3.0), (0.9, 4.0), (0.95, 4.0)]
)
def test_a_quantile_is_where_prometheus_has_it(share: float, value: float) -> None:
    """Two up to 1, four more up to 2, three more up to 4, and one beyond."""
    assert TEN.quantile(share) == pytest.approx(value)


@pytest.mark.parametrize(
    ("value", "above"), [(0, 10), (0.5, 9), (1, 8), (1.5, 6), (2, 4), (3, 2.5), (4, 1), (5, 1), (math.inf, 0)]
)
def test_requests_above_a_value_are_counted_with_those_of_its_bucket_in_part(value: float, above: float) -> None:
    assert TEN.above(value) == (above if math.isfinite(value) else 1)


@pytest.mark.parametrize(
    ("buckets", "message"),
    [
        pytest.param([], r"\+Inf", id="none"),
        pytest.param([("", 3.0)], "label le", id="no-bound"),
        pytest.param([("fast", 3.0), ("+Inf", 3.0)], "label le", id="not-a-number"),
        pytest.param([("NaN", 3.0), ("+Inf", 3.0)], "several series", id="nan"),
        pytest.param([("1", 3.0), ("1.0", 3.0), ("+Inf", 3.0)], "several series", id="twice"),
        pytest.param([("1", 3.0), ("2", 3.0)], r"\+Inf", id="open"),
        pytest.param([("+Inf", 3.0)], "beside", id="all-in-one"),
    ],
)
def test_what_makes_no_histogram_is_refused(buckets: list[tuple[str, float]], message: str) -> None:
    with pytest.raises(NotAHistogramError, match=message):
        Histogram.of(buckets)


def test_counts_that_fall_are_raised_and_bounds_come_in_any_order() -> None:
    assert Histogram.of([("+Inf", 9.5), ("2", 10.0), ("1", -0.5)]) == Histogram((1.0, 2.0, math.inf), (0.0, 10.0, 10.0))


def test_measures_may_be_below_zero() -> None:
    found = Histogram.of([("-1", 2), ("1", 4), ("+Inf", 4)])
    assert (found.quantile(0.5), found.quantile(0.75)) == (-1.0, 0.0)
    assert (found.above(-2), found.above(0)) == (2, 1)


TIMES = st.lists(st.floats(0.01, 20_000), min_size=1, max_size=60)


@given(TIMES, st.floats(0.01, 0.99))
def test_above_undoes_quantile(times: list[float], share: float) -> None:
    found = histogram(times)
    if (value := found.quantile(share)) < BOUNDS[-2]:
        assert found.above(value) == pytest.approx((1 - share) * len(times))


@given(TIMES, st.floats(0.01, 20_000), st.floats(0.01, 20_000))
def test_fewer_are_above_a_higher_value(times: list[float], one: float, other: float) -> None:
    found = histogram(times)
    assert found.total >= found.above(min(one, other)) >= found.above(max(one, other)) >= 0


@given(TIMES, st.floats(0.01, 0.99))
def test_the_quantile_lies_in_the_bucket_of_the_requests_quantile(times: list[float], share: float) -> None:
    ordered = sorted(times)
    true = ordered[max(math.ceil(share * len(times)) - 1, 0)]
    found = histogram(times)
    place = bisect.bisect_left(BOUNDS, true)
    lower = BOUNDS[place - 1] if place else 0.0
    assert min(lower, BOUNDS[-2]) <= found.quantile(share) <= min(BOUNDS[place], BOUNDS[-2])


def twice(value: float) -> float:
    """Allowed is twice as much, and 10 ms more."""
    return max(2 * value, value + 10)


def test_twice_as_slow_is_seen_and_as_slow_is_not() -> None:
    chance = random.Random(1)
    stable = histogram([chance.lognormvariate(math.log(20), 0.6) for _ in range(2000)])
    slower = histogram([chance.lognormvariate(math.log(70), 0.6) for _ in range(200)])
    assert Race(slower, stable, 0.5, twice).lost(0.99999)
    assert Race(slower, stable, 0.95, twice).lost(0.99999)
    assert not Race(stable, slower, 0.5, twice).lost(0.99999)
    assert not Race(stable, stable, 0.5, twice).lost(0.5)


def test_few_requests_prove_nothing() -> None:
    stable, slower = histogram([20] * 1000), histogram([20] * 58 + [900] * 2)
    assert slower.quantile(0.99) > twice(stable.quantile(0.99))
    assert not Race(slower, stable, 0.99, twice).lost(0.99999)


def test_beyond_the_last_bound_nothing_can_be_told() -> None:
    stable, slower = histogram([4000.0] * 500), histogram([40_000.0] * 500)
    assert not Race(slower, stable, 0.99, twice).lost(0.99)
    assert Race(slower, histogram([2000.0] * 500), 0.99, twice).lost(0.99)


@pytest.mark.no_cover
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda r: r.lognormvariate(math.log(20), 0.8), id="usual"),
        pytest.param(lambda r: r.lognormvariate(math.log(20), 0.3) * (30 if r.random() < 0.02 else 1), id="pauses"),
        pytest.param(lambda r: r.paretovariate(1.2) * 5, id="heavy-tail"),
        pytest.param(lambda r: r.choice((10.0, 10.1)), id="at-a-bound"),
    ],
)
def test_a_candidate_that_is_slower_by_just_what_is_allowed_is_hardly_ever_taken_back(
    draw: Callable[[random.Random], float], share: float
) -> None:
    """The worst that is still allowed, looked at with a doubt of 5 %: rounding to bounds makes it far less."""
    chance = random.Random(7)
    alarms = 0
    for _ in range(200):
        stable = histogram([draw(chance) for _ in range(600)])
        candidate = histogram([twice(draw(chance)) for _ in range(150)])
        alarms += Race(candidate, stable, share, twice).lost(0.95)
    assert alarms <= 0.05 * 200
