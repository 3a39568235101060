"""Grading: answers beside the truth, as numbers that a metric can be taken of. Pure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.api.measure import PerformanceMetric, Task
from sluice.monitor.origin import Origins
from sluice.monitor.outcome import Outcomes
from sluice.monitor.reservoir import MAX_TEXT, MAX_VOCABULARY, OTHER
from sluice.monitor.window import Column, Floats, Frame

GROUPS = 100
"""Parts that the requests are split into, to see how much the figure depends on which there are."""
MOST_UNTOLD = 0.02
"""The share of rows that may be left out because their texts were not told apart."""


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
