"""Judgement: answers to golden rows in, a verdict out, over all rows and over slices. Pure.

Each single verdict is the monitor's on performance. They share the confidence: with 9 slices and 0.99, each of the 10
verdicts fails by chance once in 1,000 times, and so any of them once in 100 at most (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sluice.api.measure import PerformanceMetric, Task
from sluice.api.verdict import Verdict
from sluice.evaluation.golden import Golden
from sluice.evaluation.question import Question
from sluice.evaluation.requests import Request
from sluice.evaluation.result import Figure, Judged, Slice
from sluice.evaluation.trouble import EvaluationError
from sluice.monitor.grading import UngradedError, Yardstick, grade
from sluice.monitor.outcome import Outcomes
from sluice.monitor.performance import Appraisal, appraise
from sluice.monitor.performance import Figure as Estimate
from sluice.monitor.verdict import Reason

MAX_SLICES = 200
"""Slices that are judged; with more, none could be told from luck."""
MAX_MESSAGE = 800
"""Characters of the message."""
MOST_UNUSABLE = 0.01
"""The share of labelled rows, of all and of each slice, of which the metric may find no use for the answer. Of golden
rows, all can be answered: the ones that a model has no answer to are not left out at random."""
_MAX_VALUE = 128
_SHOWN_VALUE = 60
_LISTED = 5

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Marked:
    """Every row's answers, beside the truth. Both revisions were asked the same, in the same order."""

    places: Sequence[int]
    """The golden row of each outcome."""
    candidate: Outcomes
    stable: Outcomes | None = None


class _Part(NamedTuple):
    """Rows that share a value."""

    column: str
    value: str
    rows: Rows
    """Places among the outcomes."""


class _Side(NamedTuple):
    """A revision's answers."""

    whose: str
    outcomes: Outcomes
    usable: Mask
    """Shape (rows,): whether the metric has a use for the answer, and for the truth beside it."""


def judge(question: Question, golden: Golden, requests: Sequence[Request], marked: Marked) -> Judged:
    """The verdict on the candidate.

    Fail, if all rows or any slice fail; else Inconclusive, if a slice is not answered, however few rows it has; else
    what all rows say. A slice that is Inconclusive for other reasons holds nothing back: with as few rows as it has, it
    may be so for good. The message says how many are.

    Raises:
        EvaluationError: the slices are not such that they can be judged.
        UngradedError: the answers cannot be held against the truth.
    """
    _check_classes(question, marked)
    labelled = _labelled(question, marked.candidate)
    parts, small = _parts(question, golden, requests, marked, labelled)
    confidence = 1 - (1 - question.confidence) / (1 + len(parts))
    yardstick = Yardstick(
        metric=question.metric,
        prediction=question.prediction,
        positive=question.positive,
        threshold=question.threshold,
        top=question.top,
        min_labels=1,  # those there are have been counted
        maximum=question.maximum,
        minimum=question.minimum,
        max_degradation=question.max_degradation,
        confidence=confidence,
        spec="spec.evaluation",
    )
    rows = np.flatnonzero(labelled)
    count = len(rows)
    if count < question.min_rows:
        few = f"{count:,} of {golden.rows:,} golden rows have a label that {question.metric} can use"
        reason = Reason.TOO_FEW_LABELS if count else Reason.NO_LABELS
        whole = Appraisal(Verdict.INCONCLUSIVE, reason, f"{few}; {question.min_rows:,} are needed (minRows).")
        return _told(whole, [], confidence)
    sides = [
        _Side(whose, outcomes, _usable(yardstick, outcomes, rows))
        for whose, outcomes in (("the candidate", marked.candidate), ("the stable revision", marked.stable))
        if outcomes is not None
    ]
    whole = _unanswered(yardstick, sides, rows, spared=0) or _appraise(yardstick, sides, rows)
    found = []
    for part in parts:
        spared = _one(yardstick, marked, part)
        missed = _unanswered(yardstick, sides, part.rows, spared)
        found.append((part, missed or _appraise(yardstick, sides, part.rows)))
    silent = [
        (part, missed)
        for part in small
        if (missed := _unanswered(yardstick, sides, part.rows, _one(yardstick, marked, part))) is not None
    ]
    found += sorted(silent, key=lambda one: -len(one[0].rows))[:MAX_SLICES]
    found.sort(key=lambda one: _rank(one[1], question.metric))
    return _told(whole, found, confidence)


def _usable(yardstick: Yardstick, outcomes: Outcomes, rows: Rows) -> Mask:
    """Shape (rows of the outcomes,): those of some rows of which the metric has a use for the answer."""
    some = outcomes.take(rows)
    if yardstick.metric.task is Task.RANKING:  # of a request, all rows or none
        kept = np.isin(some.origins.clusters(), grade(some, yardstick).requests)
    else:
        # As if each row had come alone: then the numbers of the requests that are left are places of rows.
        alone = replace(some, answers=replace(some.answers, origins=None))
        kept = np.isin(np.arange(len(rows)), grade(alone, yardstick).requests)
    found = np.zeros(outcomes.rows, dtype=np.bool_)
    found[rows[kept]] = True
    return found


def _one(yardstick: Yardstick, marked: Marked, part: _Part) -> int:
    """Rows of a slice that may be without an answer whatever the share: one, or those of one ranking. It may be small,
    and one is no pattern."""
    ranking = yardstick.metric.task is Task.RANKING
    return int(marked.candidate.origins.size[part.rows].max()) if ranking else 1


def _unanswered(yardstick: Yardstick, sides: Sequence[_Side], rows: Rows, spared: int) -> Appraisal | None:
    """Why there is no verdict on some labelled rows: too many of them have no answer."""
    for side in sides:
        lost = len(rows) - int(side.usable[rows].sum())
        if lost > max(MOST_UNUSABLE * len(rows), spared):
            what = f"{lost:,} of {len(rows):,} answers of {side.whose} are none that {yardstick.metric} can use"
            return Appraisal(Verdict.INCONCLUSIVE, Reason.UNGRADED, f"{what}{_hint(yardstick)}.")
    return None


def _appraise(yardstick: Yardstick, sides: Sequence[_Side], rows: Rows) -> Appraisal:
    """The verdict on some labelled rows; in a comparison, on those that both have answered."""
    both = rows[np.logical_and.reduce([side.usable[rows] for side in sides])]
    graded = [grade(side.outcomes.take(both), yardstick) for side in sides]
    return appraise(graded[0], graded[1] if len(graded) > 1 else None, yardstick)


def _hint(yardstick: Yardstick) -> str:
    if yardstick.metric.of_probability:
        return ": it needs probabilities of the positive class, from 0 to 1"
    if yardstick.metric.task is not Task.CLASSIFICATION or yardstick.threshold is not None:
        return ": it needs numbers"
    return ""


def _labelled(question: Question, outcomes: Outcomes) -> Mask:
    """Shape (rows,): whether a row's truth is known; for a ranking, that of all rows of its request."""
    label = outcomes.label
    known = np.isfinite(label.numbers)
    if question.metric.task is Task.CLASSIFICATION and len(label.codes):
        known |= label.codes >= 0
    if question.metric.task is Task.RANKING:
        requests = outcomes.origins.clusters()
        whole = np.bincount(requests, weights=known) == np.bincount(requests)
        known &= whole[requests] & (outcomes.origins.size > 1)
    return known


def _parts(
    question: Question, golden: Golden, requests: Sequence[Request], marked: Marked, labelled: Mask
) -> tuple[list[_Part], list[_Part]]:
    """The slices with enough labelled rows, and those with fewer."""
    places = np.asarray(marked.places, dtype=np.intp)
    parts: list[_Part] = []
    for column in question.slices:
        values = [_value(cell) for cell in golden.scalars(column, "a slice")]
        if question.metric.task is Task.RANKING:
            _check_whole(column, values, requests)
        of_value: dict[str, list[int]] = {}
        for outcome in np.flatnonzero(labelled).tolist():
            value = values[places[outcome]]
            if value is not None:
                of_value.setdefault(value, []).append(outcome)
        parts += [_Part(column, value, np.array(rows, dtype=np.intp)) for value, rows in sorted(of_value.items())]
    large = [part for part in parts if len(part.rows) >= question.min_rows]
    if len(large) > MAX_SLICES:
        message = (
            f"{len(large):,} slices of {', '.join(question.slices)} have {question.min_rows:,} rows or more, and "
            f"{MAX_SLICES} at most are judged: name columns with fewer values, or raise minRows"
        )
        raise EvaluationError("TooManySlices", message)
    return large, [part for part in parts if len(part.rows) < question.min_rows]


def _value(cell: Any) -> str | None:
    """A cell as the name of a slice; a row without one is in none."""
    if cell is None:
        return None
    if isinstance(cell, float):
        return f"{cell:.15g}"
    return str(cell)[:_MAX_VALUE]


def _check_whole(column: str, values: Sequence[str | None], requests: Sequence[Request]) -> None:
    for request in requests:
        if len({values[row] for row in request.rows}) > 1:
            message = (
                f"rows {' and '.join(str(row + 1) for row in sorted(request.rows)[:2])} of the golden data are of one "
                f"group, and that has several values in slice column {column}: a ranking is judged by whole groups"
            )
            raise EvaluationError("InvalidData", message)


def _check_classes(question: Question, marked: Marked) -> None:
    """Refuses labels and answers that name no class alike, such as "True" and 1: they would all count as wrong.

    Where stable's answers are of the labels' classes and only the candidate's are not, that is the candidate's fault.

    Raises:
        UngradedError: so it is of all revisions that were asked.
    """
    by_class = question.metric.task is Task.CLASSIFICATION and not question.metric.of_probability
    if not by_class or question.threshold is not None:
        return
    names = Yardstick(
        metric=PerformanceMetric.ACCURACY, prediction=question.prediction, min_labels=1, spec="spec.evaluation"
    )
    strangers = []
    for outcomes in (marked.candidate, marked.stable):
        if outcomes is None:
            continue
        graded = grade(outcomes, names)
        true, given = (_named(values, graded.classes) for values in (graded.truth, graded.answer))
        if not true or not given or true & given:
            return
        strangers.append((true, given))
    true, given = strangers[0]
    raise UngradedError(
        f"labels are of the classes {_listed(true)}, and answers of {_listed(given)}: no answer could be right; "
        "name classes in the data as the model does, or give a threshold if it answers probabilities"
    )


def _named(codes: NDArray[np.float64], classes: Sequence[str]) -> set[str]:
    return {classes[int(code)] for code in np.unique(codes)}


def _listed(names: set[str]) -> str:
    shown = ", ".join(name[:_SHOWN_VALUE] for name in sorted(names)[:_LISTED])
    return f"{shown}, …" if len(names) > _LISTED else shown


_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS)


def _rank(found: Appraisal, metric: PerformanceMetric) -> tuple[int, float]:
    """Sorts the worst first: by the verdict, then by how much worse than stable, or how bad where that is not known."""
    place = _WORST_FIRST.index(found.verdict)
    if found.reason is Reason.UNGRADED:  # what holds all back, before what does not
        return place, -math.inf
    if found.candidate is None:
        return place, math.inf
    badness = _badness(found.candidate, metric)
    return place, -(badness - (_badness(found.stable, metric) if found.stable is not None else 0.0))


def _badness(figure: Estimate, metric: PerformanceMetric) -> float:
    if metric is PerformanceMetric.MEAN_ERROR:
        return abs(figure.value)
    return -figure.value if metric.more_is_better else figure.value


def _told(whole: Appraisal, found: Sequence[tuple[_Part, Appraisal]], confidence: float) -> Judged:
    failed = [one for one in found if one[1].verdict is Verdict.FAIL]
    silent = [one for one in found if one[1].reason is Reason.UNGRADED]
    unsure = sum(one[1].verdict is Verdict.INCONCLUSIVE for one in found) - len(silent)
    verdict, reason, message = whole.verdict, whole.reason, whole.message
    if failed or silent:
        part, worst = (failed or silent)[0]
        count, name = len(failed or silent), f"{part.column}={part.value[:_SHOWN_VALUE]}"
        does = (
            ("fails" if count == 1 else "fail") if failed else ("is not answered" if count == 1 else "are not answered")
        )
        if _WORST_FIRST.index(worst.verdict) < _WORST_FIRST.index(verdict):
            verdict, reason = worst.verdict, worst.reason
        counted = f"{count} of {len(found)} slices {does}, worst {name}"
        message = f"{counted}: {worst.message[:300]} Over all rows: {whole.message}"
    elif found:
        passed = len(found) - unsure
        likewise = f"{passed} of {len(found)} slices {'passes' if passed == 1 else 'pass'}"
        message = f"{message} {likewise}."
    if unsure:
        message = f"{message} Of {unsure} {'slice' if unsure == 1 else 'slices'} it cannot be told."
    return Judged(
        verdict=verdict,
        reason=str(reason),
        message=message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 1]}…",
        candidate=_figure(whole.candidate),
        stable=_figure(whole.stable),
        slices=tuple(_slice(part, one) for part, one in found),
        confidence=confidence,
    )


def _figure(estimate: Estimate | None) -> Figure | None:
    return None if estimate is None else Figure(estimate.value, estimate.labels, estimate.margin)


def _slice(part: _Part, found: Appraisal) -> Slice:
    ours, theirs = found.candidate, found.stable
    return Slice(
        column=part.column,
        value=part.value,
        rows=len(part.rows),
        candidate=ours.value if ours is not None else None,
        stable=theirs.value if theirs is not None else None,
        margin=ours.margin if ours is not None else None,
        verdict=found.verdict,
        reason=str(found.reason),
        message=found.message,
    )
