"""Scoring: the metrics of graded answers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sluice.api.measure import PerformanceMetric, Task
from sluice.monitor.grading import Graded
from sluice.monitor.window import Floats

TINY = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1, as Scikit-learn does: one sure mistake would be infinitely bad."""


def measure(graded: Graded, metric: PerformanceMetric, top: int = 10) -> float:
    """The metric of some answers; NaN where it has no value."""
    return score(prepare(graded, metric, top), metric)


def score(prepared: Graded, metric: PerformanceMetric) -> float:
    """The same of what is prepared already."""
    return _SCORES.get(metric, _mean)(prepared) if len(prepared) else math.nan


def places(requests: NDArray[np.intp], scores: Floats) -> NDArray[np.intp]:
    """Shape (rows,): the place of each row in its request, from 0, the highest score first; ties as they come."""
    order = np.lexsort((-scores, requests))
    sizes = np.bincount(requests)
    found = np.empty(len(requests), dtype=np.intp)
    found[order] = np.arange(len(requests)) - (np.cumsum(sizes) - sizes)[requests[order]]
    return found


def prepare(graded: Graded, metric: PerformanceMetric, top: int) -> Graded:
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

    Of places among the scores, see :func:`prepare`.
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
