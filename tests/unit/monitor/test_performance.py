"""Figures are Scikit-learn's, a verdict fails no oftener by chance than it was told, and outcomes are read as meant."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from sluice.api.measure import PerformanceMetric
from sluice.api.verdict import Verdict
from sluice.monitor.cloudevents import Key
from sluice.monitor.grading import GROUPS, Graded, UngradedError, Yardstick, grade
from sluice.monitor.origin import Origins
from sluice.monitor.outcome import Outcomes, gather, truth
from sluice.monitor.payload import Table
from sluice.monitor.performance import appraise
from sluice.monitor.reservoir import MAX_TEXT, OTHER
from sluice.monitor.scoring import measure, places
from sluice.monitor.store import Store
from sluice.monitor.verdict import Reason
from sluice.monitor.window import Column, Frame

Numbers = NDArray[Any]
M = PerformanceMetric


def yardstick(metric: PerformanceMetric, **changes: Any) -> Yardstick:
    asked: dict[str, Any] = {"metric": metric, "min_labels": 10, "confidence": 0.99} | changes
    return Yardstick(**asked)


def batches(truth: Numbers, answer: Numbers, per: int = 5, ids: str = "request", names: Sequence[str] = ()) -> Graded:
    """Rows in requests of so many each; equal ids are equal requests."""
    requests = np.arange(len(truth)) // per
    groups = np.array([zlib.crc32(f"{ids}-{number}".encode()) % GROUPS for number in requests.tolist()])
    return Graded(truth.astype(float), answer.astype(float), requests, groups, tuple(names))


# --- figures


FLAGS: dict[PerformanceMetric, Callable[[Numbers, Numbers], float]] = {
    M.ACCURACY: metrics.accuracy_score,
    M.PRECISION: metrics.precision_score,
    M.RECALL: metrics.recall_score,
    M.F1: metrics.f1_score,
}
PROBABILITIES: dict[PerformanceMetric, Callable[[Numbers, Numbers], float]] = {
    M.ROC_AUC: metrics.roc_auc_score,
    M.LOG_LOSS: lambda truth, answer: metrics.log_loss(truth, answer, labels=[0, 1]),
    M.BRIER_SCORE: metrics.brier_score_loss,
}
ERRORS: dict[PerformanceMetric, Callable[[Numbers, Numbers], float]] = {
    M.MAE: metrics.mean_absolute_error,
    M.RMSE: metrics.root_mean_squared_error,
    M.R2: metrics.r2_score,
    M.MEAN_ERROR: lambda truth, answer: float((answer - truth).mean()),
}
rows = st.integers(2, 40)


def columns(elements: st.SearchStrategy[float]) -> st.SearchStrategy[Numbers]:
    return rows.flatmap(lambda size: arrays.arrays(np.float64, (2, size), elements=elements))


@pytest.mark.parametrize("metric", list(FLAGS))
@settings(max_examples=30)
@given(both=columns(st.sampled_from([0.0, 1.0])))
def test_a_figure_of_classes_is_that_of_scikit_learn(metric: PerformanceMetric, both: Numbers) -> None:
    truth, answer = both
    value = measure(batches(truth, answer), metric)
    if math.isnan(value):  # where Scikit-learn warns and says 0
        assert not (truth.any() and answer.any())
    else:
        assert value == pytest.approx(FLAGS[metric](truth, answer))


@pytest.mark.parametrize("metric", list(PROBABILITIES))
@settings(max_examples=30)
@given(both=columns(st.sampled_from([0.0, 1e-17, 0.1, 0.5, 0.500001, 1.0]) | st.floats(0, 1)))
def test_a_figure_of_probabilities_is_that_of_scikit_learn(metric: PerformanceMetric, both: Numbers) -> None:
    truth, answer = (both[0] > 0.3).astype(float), both[1]
    assume(0 < truth.sum() < len(truth))
    assert measure(batches(truth, answer), metric) == pytest.approx(PROBABILITIES[metric](truth, answer))


@pytest.mark.parametrize("metric", list(ERRORS))
@settings(max_examples=30)
@given(both=columns(st.floats(-1e6, 1e6).map(lambda number: round(number, 3))))
def test_a_figure_of_numbers_is_that_of_scikit_learn(metric: PerformanceMetric, both: Numbers) -> None:
    truth, answer = both
    value = measure(batches(truth, answer), metric)
    if math.isnan(value):
        assert metric is M.R2
        assert len(set(truth)) == 1
    else:
        assert value == pytest.approx(ERRORS[metric](truth, answer), abs=1e-9)


@settings(max_examples=30)
@given(
    relevance=arrays.arrays(np.float64, (6, 7), elements=st.integers(0, 3).map(float)),
    seed=st.integers(0, 1_000),
    top=st.integers(1, 9),
)
def test_a_figure_of_a_ranking_is_that_of_scikit_learn(relevance: Numbers, seed: int, top: int) -> None:
    scores = np.random.default_rng(seed).permutation(relevance.size).reshape(relevance.shape).astype(float)
    kept = relevance.any(axis=1)
    assume(kept.any())
    graded = batches(relevance.ravel(), scores.ravel(), per=relevance.shape[1])
    assert measure(graded, M.NDCG, top) == pytest.approx(metrics.ndcg_score(relevance[kept], scores[kept], k=top))
    firsts = [row[np.argsort(-score)][:top] > 0 for row, score in zip(relevance[kept], scores[kept], strict=True)]
    assert measure(graded, M.PRECISION_AT_K, top) == pytest.approx(np.mean([first.mean() for first in firsts]))
    ranks = [1 / (np.argmax(first) + 1) if first.any() else 0 for first in firsts]
    assert measure(graded, M.MRR, top) == pytest.approx(np.mean(ranks))


@settings(max_examples=30)
@given(relevance=arrays.arrays(np.float64, (5, 4), elements=st.integers(0, 1).map(float)), seed=st.integers(0, 1_000))
def test_mrr_of_all_rows_with_one_relevant_each_is_scikit_learns_label_ranking(relevance: Numbers, seed: int) -> None:
    relevance[:, 0] = 1 - relevance[:, 1:].any(axis=1)
    relevance = (np.cumsum(relevance, axis=1) == 1) * relevance
    scores = np.random.default_rng(seed).permutation(relevance.size).reshape(relevance.shape).astype(float)
    expected = metrics.label_ranking_average_precision_score(relevance, scores)
    assert measure(batches(relevance.ravel(), scores.ravel(), per=4), M.MRR, 4) == pytest.approx(expected)


def test_requests_of_different_sizes_rank_by_themselves_wherever_their_rows_are() -> None:
    requests = np.array([2, 0, 2, 0, 2, 5])
    assert places(requests, np.array([1.0, 3, 2, 4, 2, 0])).tolist() == [2, 1, 0, 0, 1, 0]


# --- how sure a verdict is

SAMPLES = 120
REQUESTS = 40
"""of five rows each."""


def hits(rng: np.random.Generator, share: float) -> Numbers:
    """Shape (rows,): whether each is right. Some requests are harder than others, so rows of one are alike."""
    hard = rng.beta(4 * share, 4 * (1 - share), REQUESTS)
    return rng.random((REQUESTS, 5)) < hard[:, None]


def accuracy(rng: np.random.Generator, worse: float) -> Graded:
    right = hits(rng, 0.8 - worse).ravel()
    return batches(np.ones(len(right)), right)


def recall(rng: np.random.Generator, worse: float) -> Graded:
    """Of a class that has a row in twenty: ten rows or so."""
    truth = rng.random(5 * REQUESTS) < 0.05
    return batches(truth, truth & (rng.random(5 * REQUESTS) < 0.8 - worse))


def precision(rng: np.random.Generator, worse: float) -> Graded:
    return swapped(recall(rng, worse))


def f1(rng: np.random.Generator, worse: float) -> Graded:
    """2 p / (2 p + missed + wrongly found), of rows of each kind with probabilities in that ratio."""
    kind = rng.choice(4, 5 * REQUESTS, p=[0.08 - worse / 10, 0.02 + worse / 10, 0.02, 0.88])
    return batches((kind == 0) | (kind == 1), (kind == 0) | (kind == 2))


def roc_auc(rng: np.random.Generator, worse: float) -> Graded:
    truth = rng.random(5 * REQUESTS) < 0.3
    apart = math.sqrt(2) * float(stats.norm.ppf(0.8 - worse))
    return batches(truth, rng.normal(truth * apart))


def mae(rng: np.random.Generator, worse: float) -> Graded:
    """Of errors that are skewed, and of a size of its own in each request; their mean is 1 + worse."""
    size = np.repeat(rng.gamma(4, 0.25, REQUESTS), 5)
    return batches(np.zeros(len(size)), rng.exponential(size) * (1 + worse))


def rmse(rng: np.random.Generator, worse: float) -> Graded:
    return batches(np.zeros(5 * REQUESTS), rng.normal(size=5 * REQUESTS) * (1 + worse))


def mean_error(rng: np.random.Generator, worse: float) -> Graded:
    """The errors of a request have a part in common."""
    common = np.repeat(rng.normal(size=REQUESTS), 5)
    return batches(np.zeros(len(common)), common + rng.normal(1 + worse, size=len(common)))


def mrr(rng: np.random.Generator, worse: float) -> Graded:
    """One relevant row at a place by chance, or at the last: expected is 1 + 1/2 + ... + 1/5, by five, or less."""
    place = np.where(rng.random(REQUESTS) < worse, 4, rng.integers(0, 5, REQUESTS))
    return batches(np.arange(5 * REQUESTS) % 5 == np.repeat(place, 5), -np.tile(np.arange(5), REQUESTS))


def swapped(graded: Graded) -> Graded:
    return replace(graded, truth=graded.answer, answer=graded.truth)


Sample = Callable[[np.random.Generator, float], Graded]
CASES = [
    pytest.param(M.ACCURACY, {"minimum": 0.8}, accuracy, 0.25, id="Accuracy"),
    pytest.param(M.RECALL, {"minimum": 0.8}, recall, 0.8, id="Recall"),
    pytest.param(M.PRECISION, {"minimum": 0.8}, precision, 0.8, id="Precision"),
    pytest.param(M.F1, {"minimum": 0.8}, f1, 0.6, id="F1"),
    pytest.param(M.ROC_AUC, {"minimum": 0.8}, roc_auc, 0.3, id="ROCAUC"),
    pytest.param(M.MAE, {"maximum": 1.0}, mae, 0.7, id="MAE"),
    pytest.param(M.RMSE, {"maximum": 1.0}, rmse, 0.4, id="RMSE"),
    pytest.param(M.MEAN_ERROR, {"maximum": 1.0}, mean_error, 1.0, id="MeanError"),
    pytest.param(M.MRR, {"minimum": 137 / 300}, mrr, 0.8, id="MRR"),
]


def failed(metric: PerformanceMetric, limits: dict[str, float], sample: Sample, worse: float, samples: int) -> float:
    """The share of samples that fail."""
    rng, asked = np.random.default_rng(20_261_124), yardstick(metric, **limits)
    return [appraise(sample(rng, worse), None, asked).verdict for _ in range(samples)].count(Verdict.FAIL) / samples


@pytest.mark.parametrize(("metric", "limits", "sample", "worse"), CASES)
def test_a_model_that_is_just_good_enough_fails_no_oftener_than_one_in_a_hundred(
    metric: PerformanceMetric, limits: dict[str, float], sample: Sample, worse: float
) -> None:
    assert failed(metric, limits, sample, 0.0, SAMPLES) <= 0.025
    assert failed(metric, limits, sample, worse, SAMPLES // 5) >= 0.9


def pair(rng: np.random.Generator, worse: float, ids: str) -> tuple[Graded, Graded]:
    """Absolute errors of two revisions on the same rows, if the ids are the same; else on as many others."""
    hard = [np.repeat(rng.gamma(4, 0.25, REQUESTS), 5) for _ in range(2)]
    ours, theirs = hard[0], hard[0] if ids == "request" else hard[1]
    truth = np.zeros(len(ours))
    return (
        batches(truth, ours + worse + rng.normal(0, 0.1, len(ours))),
        batches(truth, theirs + rng.normal(0, 0.1, len(ours)), ids=ids),
    )


@pytest.mark.parametrize("ids", ["request", "another"])
def test_a_model_that_is_just_as_good_as_allowed_fails_no_oftener_than_one_in_a_hundred(ids: str) -> None:
    rng, asked = np.random.default_rng(20_261_124), yardstick(M.MAE, max_degradation=0.1)
    verdicts = [appraise(*pair(rng, 0.1, ids), asked).verdict for _ in range(SAMPLES)]
    assert verdicts.count(Verdict.FAIL) <= 0.025 * SAMPLES


@pytest.mark.parametrize(("ids", "fails"), [("request", {20}), ("another", {0, 1, 2})])
def test_where_both_answered_the_same_requests_a_smaller_degradation_is_sure(ids: str, fails: set[int]) -> None:
    rng, asked = np.random.default_rng(1), yardstick(M.MAE, max_degradation=0.03)
    assert [appraise(*pair(rng, 0.1, ids), asked).verdict for _ in range(20)].count(Verdict.FAIL) in fails


def test_a_mean_error_to_the_other_side_is_as_bad() -> None:
    """Where what makes one revision's error high makes the other's low, the size of both moves together."""
    rng, asked = np.random.default_rng(1), yardstick(M.MEAN_ERROR, max_degradation=0.0)
    zero, failures = np.zeros(200), 0
    for _ in range(SAMPLES):
        noise = rng.normal(size=200)
        ours, theirs = batches(zero, 1 + noise), batches(zero, noise - 1)
        failures += appraise(ours, theirs, asked).verdict is Verdict.FAIL
    assert failures <= 0.025 * SAMPLES
    better = appraise(batches(zero, zero - 1), batches(zero, zero + 2), asked)
    assert better.verdict is Verdict.PASS


def test_few_requests_of_many_rows_are_no_more_than_few() -> None:
    """Four requests of fifty rows: their t has three degrees of freedom, however many the stable revision had."""
    rng, failures = np.random.default_rng(1), 0
    asked = yardstick(M.MAE, max_degradation=0.0)
    for _ in range(SAMPLES):
        ours, theirs = (rng.gamma(4, 0.25, requests).repeat(50) for requests in (4, 40))
        few, many = batches(np.zeros(len(ours)), ours, per=50), batches(np.zeros(len(theirs)), theirs, 50, "another")
        failures += appraise(few, many, asked).verdict is Verdict.FAIL
    assert failures <= 0.025 * SAMPLES


# --- verdicts

ZERO, ONE = np.zeros(100), np.ones(100)
HALF = np.arange(100) % 2
ALTERNATING = batches(HALF, ONE, per=1)
"""All answers are the positive class, half of them wrongly."""
RIGHT, WRONG = batches(ONE, ONE, per=1), batches(ONE, ZERO, per=1)
NONE = batches(ZERO[:0], ZERO[:0])
OFF = batches(ZERO, ONE + HALF / 10, per=1)
"""Off by 1.05 on average."""
NEARLY = batches(ZERO, ONE / 2 + HALF, per=1)
"""Off by 1 on average, by 0.5 or 1.5."""
RANKED = batches(np.arange(100) % 5 == 4, np.tile(np.arange(5), 20))
MISSED = replace(RANKED, answer=-RANKED.answer)

VERDICTS = [
    ("no labels", M.MAE, {"maximum": 1.0}, NONE, None, "Inconclusive", "NoLabels"),
    ("too few", M.MAE, {"maximum": 1.0, "min_labels": 101}, OFF, None, "Inconclusive", "TooFewLabels"),
    ("just enough", M.MAE, {"maximum": 2.0, "min_labels": 100}, OFF, None, "Pass", "WithinLimits"),
    ("within", M.MAE, {"maximum": 1.05001}, OFF, None, "Pass", "WithinLimits"),
    ("above, perhaps by chance", M.MAE, {"maximum": 0.95}, NEARLY, None, "Inconclusive", "TooFewLabels"),
    ("surely above", M.MAE, {"maximum": 0.5}, NEARLY, None, "Fail", "OutsideLimits"),
    ("below, perhaps by chance", M.ACCURACY, {"minimum": 0.55}, ALTERNATING, None, "Inconclusive", "TooFewLabels"),
    ("surely below", M.ACCURACY, {"minimum": 0.7}, ALTERNATING, None, "Fail", "OutsideLimits"),
    ("between", M.ACCURACY, {"minimum": 0.4, "maximum": 0.6}, ALTERNATING, None, "Pass", "WithinLimits"),
    ("too good to be true", M.ACCURACY, {"maximum": 0.9}, RIGHT, None, "Fail", "OutsideLimits"),
    ("all wrong", M.ACCURACY, {"minimum": 0.5}, WRONG, None, "Fail", "OutsideLimits"),
    ("all off alike", M.MAE, {"maximum": 0.5}, batches(ZERO, ONE), None, "Fail", "OutsideLimits"),
    ("as good as stable", M.MAE, {"max_degradation": 0.0}, OFF, OFF, "Pass", "WithinLimits"),
    ("better than stable", M.F1, {"max_degradation": 0.0}, RIGHT, ALTERNATING, "Pass", "WithinLimits"),
    ("worse than stable", M.ACCURACY, {"max_degradation": 0.1}, ALTERNATING, RIGHT, "Fail", "WorseThanStable"),
    ("worse, perhaps by chance", M.MAE, {"max_degradation": 0.0}, OFF, NEARLY, "Inconclusive", "TooFewLabels"),
    ("worse, as allowed", M.MAE, {"max_degradation": 0.1}, OFF, NEARLY, "Pass", "WithinLimits"),
    ("stable has no labels", M.MAE, {"max_degradation": 0.0}, OFF, NONE, "Inconclusive", "NoLabels"),
    ("no stable, no limit", M.MAE, {"max_degradation": 0.0}, OFF, None, "Inconclusive", "NoStableData"),
    ("no stable, a limit", M.MAE, {"max_degradation": 0.0, "maximum": 2.0}, OFF, None, "Pass", "WithinLimits"),
    ("one limit of two", M.MAE, {"max_degradation": 0.0, "maximum": 0.5}, OFF, OFF, "Fail", "OutsideLimits"),
    ("the other of two", M.ACCURACY, {"max_degradation": 0, "minimum": 0.1}, WRONG, RIGHT, "Fail", "OutsideLimits"),
    ("limit held, stable silent", M.MAE, {"max_degradation": 0, "maximum": 9}, OFF, NONE, "Inconclusive", "NoLabels"),
    ("one class, no curve", M.ROC_AUC, {"minimum": 0.5}, RIGHT, None, "Inconclusive", "TooFewLabels"),
    ("never answered the class", M.PRECISION, {"minimum": 0.5}, WRONG, None, "Inconclusive", "TooFewLabels"),
    ("never found the class", M.RECALL, {"minimum": 0.5}, WRONG, None, "Fail", "OutsideLimits"),
    ("no row of the class", M.RECALL, {"minimum": 0.5}, batches(ZERO, ONE), None, "Inconclusive", "TooFewLabels"),
    ("constant truth", M.R2, {"minimum": 0.5}, batches(ONE * 0.1, HALF), None, "Inconclusive", "TooFewLabels"),
    ("one request", M.MAE, {"maximum": 0.5}, batches(ZERO, ONE, per=100), None, "Inconclusive", "TooFewLabels"),
    ("beyond all numbers", M.RMSE, {"maximum": 1.0}, batches(ZERO, ONE * 1e200), None, "Inconclusive", "TooFewLabels"),
    ("sure, and so wrong", M.LOG_LOSS, {"maximum": 1.0}, WRONG, None, "Fail", "OutsideLimits"),
    ("best first", M.NDCG, {"minimum": 0.99}, RANKED, None, "Pass", "WithinLimits"),
    ("best last", M.NDCG, {"minimum": 0.9}, MISSED, None, "Fail", "OutsideLimits"),
    ("nothing relevant", M.NDCG, {"minimum": 0.9}, batches(ZERO, HALF), None, "Inconclusive", "TooFewLabels"),
]


@pytest.mark.parametrize(
    ("metric", "limits", "candidate", "stable", "verdict", "reason"),
    [pytest.param(*case[1:], id=case[0]) for case in VERDICTS],
)
def test_a_verdict(
    metric: PerformanceMetric,
    limits: dict[str, Any],
    candidate: Graded,
    stable: Graded | None,
    verdict: str,
    reason: str,
) -> None:
    found = appraise(candidate, stable, yardstick(metric, **limits))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.message.endswith(".")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_that_all_of_a_few_rows_are_wrong_is_not_sure(count: int) -> None:
    """Of ten thousand payments two are frauds, and neither is found: a recall of 0 that does not move at all."""
    truth = np.arange(1_000) < count
    found = appraise(batches(truth, ZERO.repeat(10), per=1), None, yardstick(M.RECALL, minimum=0.6))
    assert found.verdict is Verdict.INCONCLUSIVE


def test_that_all_of_a_few_requests_found_nothing_is_not_sure() -> None:
    truth = np.arange(120) % 60 == 59
    few = batches(truth, -np.arange(120), per=60)
    assert appraise(few, None, yardstick(M.PRECISION_AT_K, minimum=0.05)).verdict is Verdict.INCONCLUSIVE


def test_figures_come_with_what_they_are_of() -> None:
    found = appraise(ALTERNATING, RIGHT, yardstick(M.ACCURACY, minimum=0.1, max_degradation=0.1))
    assert found.candidate is not None
    assert found.stable is not None
    assert (found.candidate.value, found.candidate.labels, found.candidate.requests) == (0.5, 100, 100)
    assert 0.11 < found.candidate.margin < 0.16  # 2.3 standard errors of 0.05, and a little more
    assert (found.stable.value, found.stable.labels) == (1.0, 100)
    assert 0.03 < found.stable.margin < 0.06  # by the rule of three: 4.6 of 100 rows at this confidence
    ours = f"Accuracy 0.5 ± {found.candidate.margin:.2g} over 100 labelled answers"
    theirs = "Accuracy 1 ± 0.045 over 100 labelled answers"
    assert found.message == f"{ours}; stable: {theirs}: worse by more than 0.1."


def test_a_margin_is_smaller_with_more_labels_and_greater_with_more_confidence() -> None:
    def margin(copies: int, confidence: float) -> float:
        graded = batches(np.tile(HALF, copies), np.tile(ONE, copies), per=1)
        found = appraise(graded, None, yardstick(M.ACCURACY, minimum=0.1, confidence=confidence))
        assert found.candidate is not None
        return found.candidate.margin

    assert margin(16, 0.99) == pytest.approx(margin(1, 0.99) / 4, rel=0.4)
    assert 0 <= margin(1, 0.5) < margin(1, 0.9) < margin(1, 0.99) < margin(1, 0.9999)


@pytest.mark.parametrize("metric", [M.ACCURACY, M.F1, M.MAE, M.MRR, M.ROC_AUC, M.BRIER_SCORE, M.R2])
@settings(max_examples=30)
@given(
    both=arrays.arrays(np.float64, (2, 12), elements=st.sampled_from([0.0, 0.0, 0.5, 1.0])),
    per=st.sampled_from([1, 2, 6]),
    confidence=st.sampled_from([0.5, 0.9, 0.9999, 1 - 1e-9, 1 - 2**-53]),
)
def test_a_verdict_on_hardly_any_rows_is_a_verdict_all_the_same(
    metric: PerformanceMetric, both: Numbers, per: int, confidence: float
) -> None:
    truth, answer = np.round(both[0] + 0.1), both[1] if metric in PROBABILITIES else np.round(both[1])
    ours, theirs = batches(truth, answer, per=per), batches(answer.round(), truth, per=per)
    asked = yardstick(metric, maximum=0.6, minimum=0.4, max_degradation=0.0, confidence=confidence)
    found = appraise(ours, theirs, asked)
    for figure in filter(None, (found.candidate, found.stable)):
        assert math.isfinite(figure.value)
        assert figure.margin >= 0  # not NaN


# --- outcomes


def cells(*values: float | str | None) -> Column:
    """A column as a window has it."""
    texts = tuple(dict.fromkeys(value for value in values if isinstance(value, str)))
    numbers = [math.nan if value is None or isinstance(value, str) else float(value) for value in values]
    if not texts:
        return Column(np.array(numbers))
    codes = [texts.index(value) if isinstance(value, str) else -1 for value in values]
    return Column(np.array(numbers), np.array(codes, dtype=np.int32), texts)


def outcomes(
    requests: Sequence[str],
    index: Sequence[int] | None = None,
    size: int = 1,
    *,
    label: Sequence[float | str | None],
    **named: Sequence[float | str | None],
) -> Outcomes:
    origins = Origins(
        np.array([request.encode() for request in requests]),
        np.array(index if index is not None else [0] * len(requests), dtype=np.int32),
        np.array([size] * len(requests), dtype=np.int32),
    )
    frame = Frame(len(requests), {name: cells(*values) for name, values in named.items()}, origins)
    return Outcomes(cells(*label), np.arange(len(requests), dtype=float), np.zeros(len(requests)), frame)


def test_the_last_label_of_a_row_counts() -> None:
    frame = outcomes("abac", [0, 0, 0, 0], label=[1, 2, 3, 4], score=[9, 8, 9, 7])
    graded = grade(frame.latest(), yardstick(M.MAE))
    assert (graded.truth.tolist(), graded.answer.tolist()) == ([2, 3, 4], [8, 9, 7])
    rows_of_one = outcomes("aaa", [0, 1, 0], label=[1, 2, None], score=[9, 8, 9])
    assert grade(rows_of_one.latest(), yardstick(M.MAE)).truth.tolist() == [2]


@pytest.mark.parametrize("positive", [None, "1"])
def test_a_class_is_the_same_as_a_number_a_truth_value_and_a_text(positive: str | None) -> None:
    frame = outcomes("abcdef", label=[1, 1.0, "1", True, 0, "0"], answer=["1", True, 1.0, 1, False, 0.0])
    graded = grade(frame, yardstick(M.ACCURACY, positive=positive))
    assert measure(graded, M.ACCURACY) == 1
    assert len(set(graded.truth)) == 2


def test_classes_are_told_apart_by_name() -> None:
    frame = outcomes("abcde", label=["cat", "dog", "cat", 2, 0.5], answer=["dog", "dog", "cow", 2.5, 0.5])
    graded = grade(frame, yardstick(M.ACCURACY))
    assert graded.classes == ("cat", "dog", "2", "0.5", "cow", "2.5")
    assert (graded.truth == graded.answer).tolist() == [False, True, False, False, True]
    binary = grade(frame, yardstick(M.RECALL, positive="dog"))
    assert binary.classes == ("not dog", "dog")
    assert (binary.truth.tolist(), binary.answer.tolist()) == ([0, 1, 0, 0, 0], [1, 1, 0, 0, 0])


def test_a_probability_is_the_positive_class_from_the_threshold_on() -> None:
    frame = outcomes("abc", label=["spam", "spam", "ham"], answer=[0.7, 0.69, 0.71])
    graded = grade(frame, yardstick(M.PRECISION, positive="spam", threshold=0.7))
    assert (graded.truth.tolist(), graded.answer.tolist()) == ([1, 1, 0], [1, 0, 1])


def test_what_is_no_probability_is_no_answer() -> None:
    frame = outcomes("abcde", label=[1, 0, 1, 0, 1], answer=[0.5, -0.1, 1.1, 0.0, "high"])
    graded = grade(frame, yardstick(M.LOG_LOSS, positive="1"))
    assert (graded.truth.tolist(), graded.answer.tolist()) == ([1, 0], [0.5, 0.0])


@pytest.mark.parametrize("metric", [M.MAE, M.ACCURACY])
def test_rows_without_a_label_or_an_answer_are_left_out(metric: PerformanceMetric) -> None:
    frame = outcomes("abcd", label=[1, None, 3, 4], answer=[1, 2, None, 4])
    graded = grade(frame, yardstick(metric))
    assert len(graded) == len(graded.requests) == len(graded.groups) == 2
    assert measure(graded, metric) == (0 if metric is M.MAE else 1)


def test_a_text_is_no_number() -> None:
    frame = outcomes("abc", label=[1, "2", 3], answer=[1, 2, "3"])
    assert grade(frame, yardstick(M.MAE)).truth.tolist() == [1]


def test_a_ranking_is_of_requests_of_which_all_rows_are_labelled() -> None:
    frame = outcomes(
        "aabbcc", [0, 1, 0, 1, 1, 0], size=2, label=[1, 0, 1, None, 0, 1], score=[0.9, 0.1, 0.8, 0.2, 0.7, 0.3]
    )
    graded = grade(frame, yardstick(M.NDCG))
    assert sorted(graded.answer) == [0.1, 0.3, 0.7, 0.9]
    assert len(set(graded.requests)) == 2
    lacking = outcomes("aa", [0, 2], size=3, label=[1, 0], score=[0.9, 0.1])
    assert len(grade(lacking, yardstick(M.NDCG))) == 0
    alone = outcomes("ab", [0, 0], size=1, label=[1, 0], score=[0.9, 0.1])
    assert len(grade(alone, yardstick(M.NDCG))) == 0


def test_in_which_order_labels_came_does_not_decide_between_equal_scores() -> None:
    """The relevant row is the last of each request, and its label came first."""
    frame = outcomes(
        "aaabbb", [2, 0, 1, 2, 1, 0], size=3, label=[1, 0, 0, 1, 0, 0], score=[0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    )
    assert measure(grade(frame, yardstick(M.MRR)), M.MRR) == pytest.approx(1 / 3)


def test_a_request_that_both_revisions_answered_is_in_one_group() -> None:
    ours = grade(outcomes("abcd", label=[1, 2, 3, 4], score=[1, 2, 3, 4]), yardstick(M.MAE))
    theirs = grade(outcomes("dcb", label=[4, 3, 2], score=[0, 0, 0]), yardstick(M.MAE))
    assert theirs.groups.tolist() == ours.groups.tolist()[:0:-1]
    assert ((ours.groups >= 0) & (ours.groups < GROUPS)).all()


def test_no_outcomes_are_no_answers_whatever_is_asked() -> None:
    assert len(grade(gather([]), yardstick(M.MAE, prediction="score"))) == 0


@pytest.mark.parametrize(
    ("prediction", "named", "words"),
    [
        (None, {"score": [1], "class": [2]}, "2 columns: name one as spec.performance.prediction: class, score"),
        ("scor", {"score": [1]}, "no column scor; spec.performance.prediction can be: score"),
        ("label", {"score": [1]}, "no column label; spec.performance.prediction can be: score"),
        (None, {}, "0 columns"),
    ],
)
def test_a_column_that_is_not_told_is_an_error_that_names_those_that_are(
    prediction: str | None, named: dict[str, Any], words: str
) -> None:
    with pytest.raises(UngradedError, match=words):
        grade(outcomes("a", label=[1], **named), yardstick(M.MAE, prediction=prediction))


def test_texts_that_nobody_told_apart_are_not_equal() -> None:
    many = [f"sku-{number}" for number in range(60)] + [OTHER] * 40
    with pytest.raises(UngradedError, match="40% of the labels are texts not told apart"):
        grade(outcomes([f"r{n}" for n in range(100)], label=many, answer=["x"] * 100), yardstick(M.ACCURACY))
    long = "x" * MAX_TEXT
    with pytest.raises(UngradedError, match="100% of the answers"):
        grade(outcomes("ab", label=["yes", "no"], answer=[long, long]), yardstick(M.ACCURACY))
    rare = outcomes([f"r{n}" for n in range(100)], label=["a"] * 99 + [OTHER], answer=["a"] * 99 + [OTHER])
    assert len(grade(rare, yardstick(M.ACCURACY))) == 99


def test_a_class_that_no_label_is_of_is_inconclusive() -> None:
    ours = grade(
        outcomes([f"r{n}" for n in range(50)], label=["fraud", "ok"] * 25, answer=[0.1] * 50),
        yardstick(M.BRIER_SCORE, positive="Fraud"),
    )
    found = appraise(ours, None, yardstick(M.BRIER_SCORE, positive="Fraud", maximum=0.5))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_LABELS)
    assert "none of 50 labels is of the class Fraud" in found.message


def test_an_answer_may_have_a_column_named_label() -> None:
    row = Table(("label", "score"), (("cat", 0.9),))
    store = Store(bucket_seconds=60, bucket_rows=10, max_series=1, max_bytes=1 << 20, seed=0)
    for number in range(3):
        store.add(Key("n", "r"), 100.0, truth("cat", arrived=100.0, asked=0.0), row, b"r%d" % number)
    graded = grade(gather(store.window(Key("n", "r"), 0).chunks), yardstick(M.ACCURACY, prediction="label"))
    assert measure(graded, M.ACCURACY) == 1


def test_of_several_columns_the_one_that_is_named_counts() -> None:
    frame = outcomes("ab", label=[1, 2], score=[1, 2], other=[5, 5])
    assert measure(grade(frame, yardstick(M.MAE, prediction="other")), M.MAE) == 3.5
