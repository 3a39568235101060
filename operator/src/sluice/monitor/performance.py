"""Performance: how good answers were, now that the truth is known, and how sure that is. Pure, down to the sentences.

A figure of a sample is an estimate. It fails only where it is beyond its limit by more than luck, at the confidence of
the monitor; where it is beyond it, but may be lucky to be, the verdict is Inconclusive.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sluice.api.measure import PerformanceMetric, Task
from sluice.api.verdict import Verdict
from sluice.monitor.origin import Origins
from sluice.monitor.outcome import Outcomes
from sluice.monitor.reservoir import MAX_TEXT, MAX_VOCABULARY, OTHER
from sluice.monitor.verdict import Reason
from sluice.monitor.window import Column, Floats, Frame

GROUPS = 100
"""Parts that the requests are split into, to see how much the figure depends on which there are."""
TINY = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1, as Scikit-learn does: one sure mistake would be infinitely bad."""

MOST_UNTOLD = 0.02
"""The share of rows that may be left out because their texts were not told apart."""
NEGLIGIBLE = 1e-12
"""Below this, a standard error is what rounding left of zero."""


class UngradedError(ValueError):
    """The answers cannot be held against the truth; the message says what to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What is measured, and how far off it may be. Raises nothing: the question was checked when it came."""

    metric: PerformanceMetric
    prediction: str | None = None
    """The column of the answer; None where it has one only."""
    positive: str | None = None
    """The class that is looked for; None for other tasks, and for all classes alike."""
    threshold: float | None = None
    """From which probability on the answer is the positive class; None where the answer is a class."""
    top: int = 10
    """Ranking: how many of a request's rows are looked at."""
    min_labels: int
    maximum: float | None = None
    minimum: float | None = None
    max_degradation: float | None = None
    """How much worse than the stable revision, in the metric's unit."""
    confidence: float = 0.9999
    spec: str = "spec.performance"
    """Where whoever asked has written all this: messages name fields of it."""


@dataclass(frozen=True, slots=True)
class Graded:
    """Answers beside the truth, each of shape (rows,)."""

    truth: Floats
    """The number; for classes, the position of the class, or 1 where it is the positive one and 0 where not."""
    answer: Floats
    """Likewise; or the probability of the positive class."""
    requests: NDArray[np.intp]
    """Rows with the same number came in one request."""
    groups: NDArray[np.intp]
    """From 0 to GROUPS - 1: by the request's id, so that a request that both revisions answered is in one group."""
    classes: tuple[str, ...] = ()
    """The names of the classes, by position; empty for other tasks."""

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: NDArray[np.bool_]) -> Graded:
        """Some of them."""
        return Graded(self.truth[rows], self.answer[rows], self.requests[rows], self.groups[rows], self.classes)


class Figure(msgspec.Struct, frozen=True, rename="camel"):
    """A metric of one revision's answers."""

    value: float
    labels: int
    """Rows of which the truth is known."""
    requests: int
    margin: float
    """What the value may be off, to the side where it may be more, with the confidence that was asked for."""


@dataclass(frozen=True, slots=True)
class Appraisal:
    """The verdict, with its figures."""

    verdict: Verdict
    reason: Reason
    message: str
    candidate: Figure | None = None
    stable: Figure | None = None


def grade(outcomes: Outcomes, yardstick: Yardstick) -> Graded:
    """The answers and the truth of outcomes, each row once, as the metric needs them.

    Rows without a label or an answer that the metric can use are left out; for a ranking, requests of which not all
    rows are labelled. Rows of equal score rank as they were in the request.

    Raises:
        UngradedError: there is no such column, or several to choose from, or texts in it that cannot be told apart.
    """
    if yardstick.metric.task is Task.RANKING:
        # Labels come in any order, perhaps the relevant rows' first; it must not decide between equal scores.
        outcomes = outcomes.take(np.argsort(outcomes.origins.index, kind="stable"))
    if not outcomes.rows:
        return Graded(*(np.empty(0),) * 2, *(np.empty(0, dtype=np.intp),) * 2)
    answers = outcomes.answers.columns[_answered(outcomes.answers, yardstick)]
    if yardstick.metric.task is Task.CLASSIFICATION:
        _check_texts(outcomes.label, "labels")
        _check_texts(answers, "answers")
    truth, answer, classes = _values(outcomes.label, answers, yardstick)
    origins = outcomes.origins
    graded = Graded(truth, answer, origins.clusters(), _groups(origins), classes)
    usable = np.isfinite(truth) & np.isfinite(answer)
    if yardstick.metric.task is Task.RANKING:
        counts = np.bincount(graded.requests, weights=usable)
        usable &= (counts[graded.requests] == origins.size) & (origins.size > 1)
    return graded.take(usable)


def measure(graded: Graded, metric: PerformanceMetric, top: int = 10) -> float:
    """The metric of some answers; NaN where it has no value."""
    prepared = _prepared(graded, metric, top)
    return _SCORES.get(metric, _mean)(prepared) if len(prepared) else math.nan


def places(requests: NDArray[np.intp], scores: Floats) -> NDArray[np.intp]:
    """Shape (rows,): the place of each row in its request, from 0, the highest score first; ties as they come."""
    order = np.lexsort((-scores, requests))
    sizes = np.bincount(requests)
    found = np.empty(len(requests), dtype=np.intp)
    found[order] = np.arange(len(requests)) - (np.cumsum(sizes) - sizes)[requests[order]]
    return found


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end is told as such
def appraise(candidate: Graded, stable: Graded | None, yardstick: Yardstick) -> Appraisal:
    """The verdict on the candidate's answers, by the limits and against stable's; the worse of both counts.

    Args:
        candidate: what is judged.
        stable: what it is held against, if anything.
        yardstick: the metric and its limits.
    """
    ours = _measure(candidate, yardstick)
    if isinstance(ours, Appraisal):
        return ours
    findings = []
    if yardstick.maximum is not None or yardstick.minimum is not None:
        findings.append(_against_limits(ours, yardstick))
    theirs = None
    if yardstick.max_degradation is not None and stable is not None:
        compared = _measure(stable, yardstick, of="the stable revision")
        if isinstance(compared, Appraisal):
            findings.append(compared)
        else:
            theirs = compared
            findings.append(_against_stable(ours, theirs, yardstick))
    if not findings:
        message = f"{_figure(ours, yardstick)}; there is nothing to compare it with."
        findings.append(Appraisal(Verdict.INCONCLUSIVE, Reason.NO_STABLE_DATA, message))
    worst = min(findings, key=lambda finding: _WORST_FIRST.index(finding.verdict))
    if worst.verdict is Verdict.PASS:
        worst = findings[-1]  # a comparison has both sides' figures
    figures = (_shown(one, yardstick) if one is not None else None for one in (ours, theirs))
    return Appraisal(worst.verdict, worst.reason, worst.message, *figures)


_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class _Estimate:
    """A metric, and what it would be without each group of requests in turn."""

    value: float
    labels: int
    requests: int
    without: Floats
    """Shape (GROUPS,)."""
    present: NDArray[np.bool_]
    """Shape (GROUPS,): the groups that have rows."""
    bearing: int
    """Requests that bear on the value: for Recall, those with a row of the positive class."""
    freedom: int
    """Degrees of freedom: one less than the groups that bear on it."""
    share: bool
    """Whether it is between 0 and 1, such as a share of rows."""

    @property
    def moved(self) -> Floats:
        """Shape (GROUPS,): how far each group moves the value; nothing, where there is no such group."""
        return np.where(self.present, self.without - self.without[self.present].mean(), 0.0)

    @property
    def error(self) -> float:
        """The standard error, by the grouped jackknife.

        How much the value moves as groups of requests are left out says how much it would move with other requests.
        That holds for any smooth figure, and whether or not rows come in batches.
        """
        groups = int(self.present.sum())
        return math.sqrt((groups - 1) / groups * float((self.moved**2).sum()))


def _measure(graded: Graded, yardstick: Yardstick, of: str = "") -> _Estimate | Appraisal:
    """The estimate, or why there is none."""
    whose = f" of {of}" if of else ""
    rows, metric = len(graded), yardstick.metric
    if rows < max(yardstick.min_labels, 1):
        reason = Reason.TOO_FEW_LABELS if rows else Reason.NO_LABELS
        message = f"{rows:,} answers{whose} have a label in the window; {yardstick.min_labels:,} are needed."
        return Appraisal(Verdict.INCONCLUSIVE, reason, message)
    if yardstick.positive is not None and not (graded.truth == 1).any():
        message = (
            f"none of {rows:,} labels{whose} is of the class {yardstick.positive}, as {yardstick.spec}.positive says."
        )
        return Appraisal(Verdict.INCONCLUSIVE, Reason.TOO_FEW_LABELS, message)
    score = _SCORES.get(metric, _mean)
    requests = len(np.unique(graded.requests))
    graded = _prepared(graded, metric, yardstick.top)
    value = score(graded) if len(graded) else math.nan
    present = np.bincount(graded.groups, minlength=GROUPS) > 0
    without = np.full(GROUPS, np.nan)
    if present.sum() > 1:
        for group in np.flatnonzero(present):
            without[group] = score(graded.take(graded.groups != group))
    if not (math.isfinite(value) and np.isfinite(without[present]).all() and present.sum() > 1):
        message = f"{metric} of {rows:,} labelled answers{whose} cannot be told: {_WHY[metric.task]}."
        return Appraisal(Verdict.INCONCLUSIVE, Reason.TOO_FEW_LABELS, message)
    rows_bearing = _bearing(graded, metric)
    return _Estimate(
        value=value,
        labels=rows,
        requests=requests,
        without=without,
        present=present,
        bearing=len(np.unique(graded.requests[rows_bearing])),
        freedom=max(len(np.unique(graded.groups[rows_bearing])) - 1, 1),
        share=metric not in _UNBOUNDED and 0 <= value <= 1,
    )


_WHY = {
    Task.CLASSIFICATION: "there must be labels, or answers, of the positive class and of others",
    Task.REGRESSION: "the labels must differ, and come from several requests",
    Task.RANKING: "there must be several requests of which all rows are labelled",
}
_UNBOUNDED = (
    PerformanceMetric.LOG_LOSS,
    PerformanceMetric.MAE,
    PerformanceMetric.RMSE,
    PerformanceMetric.R2,
    PerformanceMetric.MEAN_ERROR,
)


def _bearing(graded: Graded, metric: PerformanceMetric) -> NDArray[np.bool_]:
    """The rows that the metric is a share of: two frauds among 10,000 payments say little about Recall."""
    truth: NDArray[np.bool_] = graded.truth == 1
    answer: NDArray[np.bool_] = graded.answer == 1
    if metric is PerformanceMetric.PRECISION:
        return answer
    if metric is PerformanceMetric.RECALL:
        return truth
    if metric is PerformanceMetric.F1:
        return truth if truth.sum() >= answer.sum() else answer
    if metric is PerformanceMetric.ROC_AUC:
        return truth if truth.sum() <= (~truth).sum() else ~truth
    return np.ones(len(graded), dtype=np.bool_)


def _reach(estimate: _Estimate, confidence: float, *, up: bool) -> float:
    """What an estimate may be off to one side.

    By Student's t; for what is between 0 and 1, by the exact binomial interval of as many rows as would have the same
    standard error (Korn and Graubard 1998). For where all of a few rows are wrong, nothing moves as some are left out,
    and the jackknife alone would be sure of it.
    """
    value, error = estimate.value, estimate.error
    widest = float(stats.t.ppf(confidence, estimate.freedom))
    if not estimate.share:
        return error * widest
    rows = float(estimate.bearing)
    if error > NEGLIGIBLE:
        wider = widest / float(stats.norm.ppf(confidence)) if widest > 0 else 1.0
        rows = value * (1 - value) / (error * wider) ** 2
    hits = value * rows
    if up:
        return float(stats.beta.ppf(confidence, hits + 1, rows - hits)) - value if value < 1 else 0.0
    return value - float(stats.beta.ppf(1 - confidence, hits, rows - hits + 1)) if value > 0 else 0.0


def _reach_apart(ours: _Estimate, theirs: _Estimate, yardstick: Yardstick) -> float:
    """What the difference of two estimates may be off, to the side where ours is the better (Zou 2007).

    Groups of requests that both revisions answered move both figures alike, and so the difference little.
    """
    up = yardstick.metric.more_is_better
    reach = _reach(ours, yardstick.confidence, up=up), _reach(theirs, yardstick.confidence, up=not up)
    moved = [_sign(one, yardstick.metric) * one.moved for one in (ours, theirs)]
    norms = [float(np.linalg.norm(one)) for one in moved]
    alike = float(moved[0] @ moved[1]) / (norms[0] * norms[1]) if min(norms) > NEGLIGIBLE else 0.0
    return math.sqrt(max(reach[0] ** 2 + reach[1] ** 2 - 2 * alike * reach[0] * reach[1], 0.0))


def _against_limits(ours: _Estimate, yardstick: Yardstick) -> Appraisal:
    highest, lowest, figure = yardstick.maximum, yardstick.minimum, _figure(ours, yardstick)
    if highest is not None and ours.value > highest:
        beyond, excess, up = f"above the limit of {highest:g}", ours.value - highest, False
    elif lowest is not None and ours.value < lowest:
        beyond, excess, up = f"below the least allowed, {lowest:g}", lowest - ours.value, True
    else:
        return Appraisal(Verdict.PASS, Reason.WITHIN_LIMITS, f"{figure}.")
    if excess > _reach(ours, yardstick.confidence, up=up):
        return Appraisal(Verdict.FAIL, Reason.OUTSIDE_LIMITS, f"{figure}, {beyond}.")
    message = f"{figure}, {beyond}, but by no more than so few labels may be off."
    return Appraisal(Verdict.INCONCLUSIVE, Reason.TOO_FEW_LABELS, message)


def _against_stable(ours: _Estimate, theirs: _Estimate, yardstick: Yardstick) -> Appraisal:
    figures = f"{_figure(ours, yardstick)}; stable: {_figure(theirs, yardstick)}"
    metric = yardstick.metric
    worse = _sign(ours, metric) * ours.value - _sign(theirs, metric) * theirs.value
    allowed = yardstick.max_degradation or 0.0
    if worse <= allowed:
        return Appraisal(Verdict.PASS, Reason.WITHIN_LIMITS, f"{figures}.")
    if worse - allowed > _reach_apart(ours, theirs, yardstick):
        return Appraisal(Verdict.FAIL, Reason.WORSE_THAN_STABLE, f"{figures}: worse by more than {allowed:g}.")
    message = f"{figures}: worse than allowed, but by no more than so few labels may be off."
    return Appraisal(Verdict.INCONCLUSIVE, Reason.TOO_FEW_LABELS, message)


def _sign(estimate: _Estimate, metric: PerformanceMetric) -> float:
    """What turns the metric so that more is worse; a mean error is as bad as it is far from zero."""
    if metric is PerformanceMetric.MEAN_ERROR:
        return math.copysign(1.0, estimate.value)
    return -1.0 if metric.more_is_better else 1.0


def _margin(estimate: _Estimate, confidence: float) -> float:
    return max(_reach(estimate, confidence, up=up) for up in (True, False))


def _shown(estimate: _Estimate, yardstick: Yardstick) -> Figure:
    margin = _margin(estimate, yardstick.confidence)
    return Figure(estimate.value, estimate.labels, estimate.requests, margin)


def _figure(estimate: _Estimate, yardstick: Yardstick) -> str:
    margin = _margin(estimate, yardstick.confidence)
    return f"{yardstick.metric} {estimate.value:.4g} ± {margin:.2g} over {estimate.labels:,} labelled answers"


def _answered(frame: Frame, yardstick: Yardstick) -> str:
    """The column of the answer."""
    names, wanted, field = list(frame.columns), yardstick.prediction, f"{yardstick.spec}.prediction"
    if wanted is not None and wanted in names:
        return wanted
    listed = ", ".join(sorted(names)[:10]) or "none"
    if wanted is not None:
        raise UngradedError(f"the answers have no column {wanted}; {field} can be: {listed}")
    if len(names) != 1:
        raise UngradedError(f"the answers have {len(names)} columns: name one as {field}: {listed}")
    return names[0]


def _values(labels: Column, answers: Column, yardstick: Yardstick) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Truth and answer as numbers, NaN where there is none that the metric can use; and the names of classes."""
    metric, positive = yardstick.metric, yardstick.positive
    if metric.task is not Task.CLASSIFICATION:
        return labels.numbers, answers.numbers, ()
    truth = _classes(labels)
    if positive is None:
        codes: dict[str, int] = {}
        known, given = _coded(truth, codes), _coded(_classes(answers), codes)
        return known, given, tuple(codes)
    known, classes = _is(truth, positive), (f"not {positive}", positive)
    scores = answers.numbers
    if metric.of_probability:
        return known, np.where((scores >= 0) & (scores <= 1), scores, np.nan), classes
    if yardstick.threshold is not None:
        return known, np.where(np.isfinite(scores), scores >= yardstick.threshold, np.nan), classes
    return known, _is(_classes(answers), positive), classes


def _classes(column: Column) -> list[str | None]:
    """Each cell as the name of a class: 1, 1.0 and "1" are the same."""
    names: list[str | None] = [None if math.isnan(number) else f"{number:.15g}" for number in column.numbers.tolist()]
    if len(column.codes):
        for place in np.flatnonzero(column.codes >= 0).tolist():
            text = column.labels[column.codes[place]]
            names[place] = text if _is_whole(text) else None
    return names


def _is_whole(text: str) -> bool:
    """Whether a text is known as it was: of a column, only so many are, and of each only so much."""
    return text != OTHER and len(text) < MAX_TEXT


def _check_texts(column: Column, whose: str) -> None:
    """Two texts that nobody told apart would count as equal."""
    cut = [code for code, text in enumerate(column.labels) if not _is_whole(text)]
    share = float(np.isin(column.codes, cut).mean()) if cut else 0.0
    if share > MOST_UNTOLD:
        raise UngradedError(
            f"{share:.0%} of the {whose} are texts not told apart: they have {MAX_TEXT} characters or more, or "
            f"there are over {MAX_VOCABULARY:,} of them: answer classes by shorter or fewer names"
        )


def _coded(names: Sequence[str | None], codes: dict[str, int]) -> Floats:
    """Positions in ``codes``, which grow by what is new."""
    return np.array([np.nan if name is None else codes.setdefault(name, len(codes)) for name in names], dtype=float)


def _is(names: Sequence[str | None], positive: str) -> Floats:
    return np.array([np.nan if name is None else float(name == positive) for name in names])


def _groups(origins: Origins) -> NDArray[np.intp]:
    known = {request: zlib.crc32(request) % GROUPS for request in set(origins.requests.tolist())}
    return np.array([known[request] for request in origins.requests.tolist()], dtype=np.intp)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _accuracy(graded: Graded) -> float:
    return float((graded.truth == graded.answer).mean())


def _precision(graded: Graded) -> float:
    return _ratio(float((graded.truth * graded.answer).sum()), float(graded.answer.sum()))


def _recall(graded: Graded) -> float:
    return _ratio(float((graded.truth * graded.answer).sum()), float(graded.truth.sum()))


def _f1(graded: Graded) -> float:
    return _ratio(2 * float((graded.truth * graded.answer).sum()), float(graded.truth.sum() + graded.answer.sum()))


def _roc_auc(graded: Graded) -> float:
    """Mann and Whitney's U, as a share: how often a positive row has a higher score than another, ties by half.

    Of places among the scores, see :func:`_prepared`.
    """
    levels, positive = graded.answer.astype(np.intp), graded.truth == 1
    ours, all_rows = (np.bincount(levels, weights) for weights in (positive, None))
    others = all_rows - ours
    below = np.cumsum(others) - others / 2
    return _ratio(float((ours * below).sum()), float(ours.sum()) * float(others.sum()))


def _log_loss(graded: Graded) -> float:
    given = np.clip(graded.answer, TINY, 1 - TINY)
    return float(-np.where(graded.truth == 1, np.log(given), np.log1p(-given)).mean())


def _squared(graded: Graded) -> float:
    return float(((graded.answer - graded.truth) ** 2).mean())


def _rmse(graded: Graded) -> float:
    return math.sqrt(_squared(graded))


def _mae(graded: Graded) -> float:
    return float(np.abs(graded.answer - graded.truth).mean())


def _mean_error(graded: Graded) -> float:
    return float((graded.answer - graded.truth).mean())


def _r2(graded: Graded) -> float:
    # Rounding gives equal numbers a variance that is almost, but not quite, zero.
    variance = float(graded.truth.var()) if np.ptp(graded.truth) else 0.0
    return 1 - _ratio(_squared(graded), variance)


def _mean(graded: Graded) -> float:
    """Of what each request scored."""
    return float(graded.answer.mean())


_SCORES: dict[PerformanceMetric, Callable[[Graded], float]] = {
    PerformanceMetric.ACCURACY: _accuracy,
    PerformanceMetric.PRECISION: _precision,
    PerformanceMetric.RECALL: _recall,
    PerformanceMetric.F1: _f1,
    PerformanceMetric.ROC_AUC: _roc_auc,
    PerformanceMetric.LOG_LOSS: _log_loss,
    PerformanceMetric.BRIER_SCORE: _squared,
    PerformanceMetric.MAE: _mae,
    PerformanceMetric.RMSE: _rmse,
    PerformanceMetric.R2: _r2,
    PerformanceMetric.MEAN_ERROR: _mean_error,
}


def _prepared(graded: Graded, metric: PerformanceMetric, top: int) -> Graded:
    """What need not be done again for each group that is left out."""
    if metric.task is Task.RANKING:
        return _per_request(graded, metric, top)
    if metric is PerformanceMetric.ROC_AUC:
        return replace(graded, answer=np.unique(graded.answer, return_inverse=True)[1].astype(np.float64))
    return graded


def _per_request(graded: Graded, metric: PerformanceMetric, top: int) -> Graded:
    """What each request scored, as its answer; requests without a relevant row, where nothing can be found, are out."""
    requests, sizes = graded.requests, np.bincount(graded.requests)
    place, relevant = places(requests, graded.answer), graded.truth > 0
    hit = relevant & (place < top)
    if metric is PerformanceMetric.NDCG:
        best = _discounted(graded, places(requests, graded.truth), top)
        scores = np.divide(_discounted(graded, place, top), best, out=np.zeros(len(sizes)), where=best > 0)
    elif metric is PerformanceMetric.PRECISION_AT_K:
        scores = np.bincount(requests, weights=hit) / np.clip(sizes, 1, top)
    else:
        scores = np.zeros(len(sizes))
        np.maximum.at(scores, requests, hit / (place + 1))  # one over the place of the first that is relevant
    groups = np.zeros(len(sizes), dtype=np.intp)
    groups[requests] = graded.groups
    kept = np.flatnonzero(np.bincount(requests, weights=relevant))
    return Graded(np.ones(len(kept)), scores[kept], kept, groups[kept])


def _discounted(graded: Graded, place: NDArray[np.intp], top: int) -> Floats:
    """The discounted cumulative gain of each request's first rows (Järvelin and Kekäläinen 2002)."""
    gains: Floats = np.where(place < top, graded.truth / np.log2(place + 2), 0.0)
    return np.bincount(graded.requests, weights=gains).astype(np.float64)
