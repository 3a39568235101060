"""Answers to the same requests, compared one by one: calibrated at the limit, and sharper than distributions are."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sluice.api.verdict import Verdict
from sluice.monitor import paired as tests
from sluice.monitor.comparison import match_columns
from sluice.monitor.origin import Origins
from sluice.monitor.paired import Matched, flips
from sluice.monitor.tally import Tally
from sluice.monitor.twosample import Comparison, Floats
from sluice.monitor.verdict import Judgement, Reason, Rule, Sample, judge
from sluice.monitor.window import Column, Frame

RULE = Rule(min_samples=200, min_effect=0.1, alpha=0.01)
LIMIT = RULE.min_effect
REPETITIONS = 2_000
answers = arrays.arrays(np.float64, st.integers(2, 60), elements=st.floats(-1e6, 1e6))


def matched(candidate: Floats, stable: Floats, requests: Floats | None = None) -> Matched:
    alone = np.arange(len(candidate))
    return Matched(candidate, stable, alone if requests is None else requests.astype(np.intp))


def concordance(answers: Matched, limit: float) -> Comparison:
    return tests.concordance(answers.gaps(), limit)


def alarms(test: Callable[[np.random.Generator], float], alpha: float) -> float:
    rng = np.random.default_rng(20_261_126)
    return float(np.mean([test(rng) <= alpha for _ in range(REPETITIONS)]))


def gaussian(rng: np.random.Generator, rows: int) -> Floats:
    return rng.normal(size=rows)


def seldom(rng: np.random.Generator, rows: int) -> Floats:
    """Nineteen of twenty answers are the same, and one is far off: a broken slice."""
    return rng.normal(size=rows) * (rng.random(rows) < 0.05) * math.sqrt(20)


@pytest.mark.parametrize("noise", [gaussian, seldom])
@pytest.mark.parametrize("rows", [200, 2_000])
def test_answers_that_are_just_as_far_apart_as_is_allowed_are_seldom_called_further(
    noise: Callable[[np.random.Generator, int], Floats], rows: int
) -> None:
    # Of two answers y and y + e with variances 1 and s², the effect is sqrt(s² / (2 + s²)).
    scale = math.sqrt(2 * LIMIT**2 / (1 - LIMIT**2))

    def p_value(rng: np.random.Generator) -> float:
        stable = rng.normal(size=rows)
        return concordance(matched(stable + scale * noise(rng, rows), stable), LIMIT).p_value

    assert alarms(p_value, 0.01) <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / REPETITIONS)


def test_a_share_of_flips_just_as_large_as_is_allowed_is_seldom_called_larger() -> None:
    def p_value(rng: np.random.Generator) -> float:
        stable = rng.integers(0, 3, size=400).astype(float)
        return flips(matched(np.where(rng.random(400) < LIMIT, 7.0, stable), stable), LIMIT).p_value

    assert alarms(p_value, 0.01) <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / REPETITIONS)


@given(answers)
def test_equal_answers_are_not_apart(values: Floats) -> None:
    for test in (concordance, flips):
        found = test(matched(values, values.copy()), LIMIT)
        assert found.effect == 0
        assert found.p_value > 0.5 or len(values) < 30


@given(answers, st.randoms(use_true_random=False))
def test_it_does_not_matter_which_side_is_which(values: Floats, random: object) -> None:
    other = np.roll(values, 1) * 0.7
    forth, back = concordance(matched(values, other), LIMIT), concordance(matched(other, values), LIMIT)
    assert forth.effect == pytest.approx(back.effect)
    assert forth.p_value == pytest.approx(back.p_value)


def test_answers_that_have_nothing_to_do_with_each_other_are_as_far_apart_as_can_be() -> None:
    rng = np.random.default_rng(1)
    found = concordance(matched(rng.normal(size=20_000), rng.normal(size=20_000)), LIMIT)
    assert found.effect == pytest.approx(1, abs=0.01)
    assert found.p_value == 0


def test_two_constants_that_differ_are_unrelated() -> None:
    assert concordance(matched(np.ones(300), np.zeros(300)), LIMIT)[2:4] == (0.0, 1.0)


def test_a_single_request_proves_nothing() -> None:
    found = concordance(matched(np.array([0.1, 0.9]), np.array([0.9, 0.1]), np.zeros(2)), LIMIT)
    assert found.p_value == 1


@pytest.mark.parametrize("test", [concordance, flips])
def test_the_rows_of_one_request_are_one_observation(test: Callable[[Matched, float], object]) -> None:
    rng = np.random.default_rng(2)
    stable = rng.integers(0, 2, size=60).astype(float)
    candidate = np.where(rng.random(60) < 0.18, 1 - stable, stable)
    once = test(matched(candidate, stable), LIMIT)
    ten = [np.repeat(values, 10) for values in (candidate, stable, np.arange(60.0))]
    often = test(matched(*ten), LIMIT)
    assert often.effect == pytest.approx(once.effect)  # type: ignore[attr-defined]
    assert often.p_value > once.p_value / 3  # type: ignore[attr-defined]


def frame(values: Floats, requests: int | None = None) -> Frame:
    """One column; ``requests``: how many requests the rows came in."""
    rows = len(values)
    size = rows // (requests or rows)
    ids = np.array([b"request-%d" % (row // size) for row in range(rows)])
    index = np.arange(rows, dtype=np.int32) % size
    return Frame(rows, {"score": Column(values)}, Origins(ids, index, np.full(rows, size, dtype=np.int32)))


def compare(candidate: Floats, stable: Floats, *, paired: bool = True, requests: int | None = None) -> Judgement:
    ours, theirs = frame(candidate, requests), frame(stable, requests)
    sides = Sample(ours.rows, Tally(ours.rows)), Sample(theirs.rows, Tally(theirs.rows))
    return judge(match_columns(ours, theirs, (), paired=paired), *sides, RULE)


def test_a_model_that_mixes_up_its_customers_is_seen_only_in_pairs() -> None:
    rng = np.random.default_rng(3)
    stable = rng.normal(size=1_000)
    mixed_up = rng.permutation(stable)
    assert compare(mixed_up, stable, paired=False).verdict is Verdict.PASS
    found = compare(mixed_up, stable)
    assert (found.verdict, found.reason) == (Verdict.FAIL, Reason.DRIFT_DETECTED)
    assert "1 of 1 columns changed in 1,000 rows that both revisions answered" in found.message
    assert found.columns[0].test == "concordance"


def test_a_little_noise_on_every_answer_passes() -> None:
    rng = np.random.default_rng(4)
    stable = rng.normal(size=1_000)
    found = compare(stable + rng.normal(scale=0.05, size=1_000), stable)
    assert found.verdict is Verdict.PASS
    assert found.columns[0].effect == pytest.approx(0.035, abs=0.01)


def test_classes_are_compared_by_the_share_that_flips() -> None:
    stable = np.random.default_rng(5).integers(0, 3, size=1_000).astype(float)
    found = compare(np.where(np.arange(1_000) % 4 == 0, (stable + 1) % 3, stable), stable)
    (column,) = found.columns
    assert (found.verdict, column.test, column.effect) == (Verdict.FAIL, "flips", 0.25)


def test_a_row_that_one_side_left_out_is_missing_and_not_compared() -> None:
    rng = np.random.default_rng(6)
    stable = rng.normal(size=1_000)
    candidate = stable.copy()
    candidate[:5] = np.nan
    (pair,) = match_columns(frame(candidate), frame(stable), (), paired=True)
    assert (pair.candidate.missing, pair.compared) == (5, 995)
    assert compare(candidate, stable).verdict is Verdict.PASS


def test_too_few_pairs_are_inconclusive_however_many_rows_each_side_has() -> None:
    stable, candidate = np.linspace(0, 1, 600), np.linspace(0, 1, 600)
    stable[:300] = np.nan
    candidate[250:] = np.nan
    found = compare(candidate, stable)
    assert found.verdict is not Verdict.PASS


def test_batches_count_as_requests() -> None:
    rng = np.random.default_rng(7)
    stable = rng.normal(size=1_000)
    (pair,) = match_columns(frame(stable, requests=100), frame(stable, requests=100), (), paired=True)
    assert pair.matched is not None
    assert len(np.unique(pair.matched.requests)) == 100


def test_without_knowing_the_requests_every_row_is_its_own() -> None:
    values = np.random.default_rng(8).normal(size=300)
    bare = Frame(300, {"score": Column(values)})
    (pair,) = match_columns(bare, bare, (), paired=True)
    assert pair.matched is not None
    assert pair.matched.requests.tolist() == list(range(300))
