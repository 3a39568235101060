"""Performance: how good answers were, now that the truth is known, and how sure that is. Pure, down to the sentences.

A figure of a sample is an estimate. It fails only where it is beyond its limit by more than luck, at the confidence of
the monitor; where it is beyond it, but may be lucky to be, the verdict is Inconclusive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sluice.api.measure import PerformanceMetric, Task
from sluice.api.verdict import Verdict
from sluice.monitor.grading import GROUPS, Graded, Yardstick
from sluice.monitor.scoring import prepare, score
from sluice.monitor.verdict import Reason
from sluice.monitor.window import Floats

NEGLIGIBLE = 1e-12
"""Below this, a standard error is what rounding left of zero."""


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
    requests = len(np.unique(graded.requests))
    graded = prepare(graded, metric, yardstick.top)
    value = score(graded, metric)
    present = np.bincount(graded.groups, minlength=GROUPS) > 0
    without = np.full(GROUPS, np.nan)
    if present.sum() > 1:
        for group in np.flatnonzero(present):
            without[group] = score(graded.take(graded.groups != group), metric)
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
