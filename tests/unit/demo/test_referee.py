"""The referee sees a breach in the client's counts as soon as there are enough of them, and not before."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from hack.demo.load import Seen, Tally
from hack.demo.referee import Limits, breaches, distance

LIMITS = Limits(errors=0.05, error_samples=50, seconds=0.25, latency_samples=100, effect=0.15, effect_samples=200)


def tally(
    revision: str = "r2", good: int = 0, bad: int = 0, latency: float = 0.01, answers: float | None = None
) -> Tally:
    found = Tally()
    for number in range(good):
        found.record(revision, 200, latency, float(number), answers)
    for number in range(bad):
        found.record(revision, 500, latency, float(good + number))
    return found


def with_predictions(**revisions: np.ndarray) -> Tally:
    found = Tally()
    for revision, values in revisions.items():
        for number, value in enumerate(values):
            found.record(revision, 200, 0.01, float(number), float(value))
    return found


def test_a_revision_that_no_client_met_breaches_nothing() -> None:
    assert breaches(Tally(), "r2", "r1", LIMITS) == []


def test_errors_above_the_limit_are_a_breach_once_enough_were_asked() -> None:
    assert breaches(tally(good=30, bad=19), "r2", "r1", LIMITS) == []
    assert breaches(tally(good=30, bad=20), "r2", "r1", LIMITS) == ["error-rate"]
    assert breaches(tally(good=95, bad=5), "r2", "r1", LIMITS) == []


def test_a_slow_tail_is_a_breach_once_enough_were_asked() -> None:
    assert breaches(tally(good=99, latency=0.3), "r2", "r1", LIMITS) == []
    assert breaches(tally(good=100, latency=0.3), "r2", "r1", LIMITS) == ["latency-p99"]
    assert breaches(tally(good=100, latency=0.25), "r2", "r1", LIMITS) == []


def test_other_answers_than_stable_are_a_breach_once_both_gave_enough() -> None:
    rng = np.random.default_rng(0)
    alike, other = rng.uniform(size=400), rng.uniform(size=400) ** 3
    assert breaches(with_predictions(r1=alike, r2=other), "r2", "r1", LIMITS) == ["prediction-drift"]
    assert breaches(with_predictions(r1=alike, r2=other[:199]), "r2", "r1", LIMITS) == []
    assert breaches(with_predictions(r1=alike[:199], r2=other), "r2", "r1", LIMITS) == []
    assert breaches(with_predictions(r1=alike, r2=rng.uniform(size=400)), "r2", "r1", LIMITS) == []


def test_a_first_release_is_compared_with_nothing() -> None:
    assert breaches(with_predictions(r1=np.zeros(300)), "r1", None, LIMITS) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_distance_is_that_of_kolmogorov_and_smirnov_ties_or_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = Seen(0, 0), Seen(0, 0)
    one.predictions.extend(rng.normal(size=100).round(1))
    other.predictions.extend(rng.normal(0.5, size=150).round(1))
    assert distance(one, other) == pytest.approx(ks_2samp(one.predictions, other.predictions).statistic)
