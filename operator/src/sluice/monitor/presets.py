"""Presets: answers beside the truth as Evidently's reports on classification, regression and ranking.

The candidate is what Evidently calls current, the stable revision its reference. A stable revision that Evidently
cannot show beside this candidate is left out: the verdict's figures of both are in the report's record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from evidently import (
    BinaryClassification,
    DataDefinition,
    Dataset,
    MulticlassClassification,
    Recsys,
    Regression,
    Report,
)
from evidently.core.container import MetricOrContainer
from evidently.core.metric_types import SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context
from evidently.metrics.recsys import TopKBase
from evidently.presets import ClassificationPreset, RecsysPreset, RegressionPreset

from sluice.api.measure import Task
from sluice.monitor.exhibit import Grades
from sluice.monitor.grading import Graded
from sluice.monitor.scoring import places

TRUTH = "label"
ANSWER = "answer"
REQUEST, ITEM, PLACE = "request", "row", "place"
MOST_CLASSES = 30
"""Classes shown each for itself: Evidently makes a table of every class by every other."""
OTHER, ANOTHER = "(another class)", "(another class, wrong)"
MOST_PLACES = 200
"""Evidently works through a request's rows one by one, up to the last that is looked at,"""
MOST_WORK = 100_000
"""and through all requests for each: so many take it a minute or two."""


def performance(grades: Grades, title: str) -> Any:
    """The Evidently snapshot of the answers, by the preset of the metric's task.

    Raises:
        ValueError: Evidently has no report of such answers.
    """
    metrics, definition, current, reference = _SHOWN[grades.metric.task](grades)
    sides = (
        Dataset.from_pandas(side, data_definition=definition) if side is not None else None
        for side in (current, reference)
    )
    return Report(metrics).run(*sides, name=title)


_Parts = tuple[list[MetricOrContainer], DataDefinition, pd.DataFrame, pd.DataFrame | None]


class BrierScore(SingleValueMetric):  # type: ignore[misc]
    """The mean squared error of a probability, which no preset has."""

    positive: str


class BrierScoreCalculation(SingleValueCalculation[BrierScore]):  # type: ignore[misc]
    """Evidently finds it by its base."""

    def calculate(self, _: Context, current: Dataset, reference: Dataset | None) -> Any:
        """The values of both sides."""
        return tuple(self._of(side.as_dataframe()) if side is not None else None for side in (current, reference))

    def display_name(self) -> str:
        """What the page calls it."""
        return "Brier score"

    def _of(self, side: pd.DataFrame) -> Any:
        truth = side[TRUTH] == self.metric.positive
        return self.result(float(((side[ANSWER] - truth) ** 2).mean()))


class Ranking(RecsysPreset):  # type: ignore[misc]
    """The preset without what is about the identity of items, which the rows of a request do not tell."""

    def generate_metrics(self, context: Context) -> list[MetricOrContainer]:
        """What is left."""
        return [metric for metric in super().generate_metrics(context) if isinstance(metric, TopKBase)]


def _classification(grades: Grades) -> _Parts:
    if grades.metric.of_probability:
        return _probability(grades)
    current, reference = _few(*_both(grades, _named))
    names = _seen(current)
    # Two classes are Evidently's binary case, in which it wants both of them on either side.
    if reference is not None and (len(names) == 2 or len(_seen(reference)) == 2) and _seen(reference) != names:
        reference = None
    positive = grades.candidate.classes[1:2]
    task = (
        BinaryClassification(
            target=TRUTH, prediction_labels=ANSWER, pos_label=positive[0] if positive[0] in names else max(names)
        )
        if len(names) == 2
        else MulticlassClassification(target=TRUTH, prediction_labels=ANSWER)
    )
    definition = DataDefinition(classification=[task], categorical_columns=[TRUTH, ANSWER])
    return [ClassificationPreset()], definition, current, reference


def _probability(grades: Grades) -> _Parts:
    """Of one column of probabilities. Evidently wants the truth to be of both classes."""
    current, reference = _both(grades, _scored)
    if current[TRUTH].nunique() < 2:
        raise ValueError("all labels are of one class, of which Evidently has no report with probabilities")
    if reference is not None and reference[TRUTH].nunique() < 2:
        reference = None
    positive = grades.candidate.classes[1]
    task = BinaryClassification(target=TRUTH, prediction_probas=ANSWER, pos_label=positive)
    definition = DataDefinition(classification=[task], categorical_columns=[TRUTH], numerical_columns=[ANSWER])
    return [ClassificationPreset(), BrierScore(positive=positive)], definition, current, reference


def _regression(grades: Grades) -> _Parts:
    current, reference = _both(grades, lambda graded: pd.DataFrame({TRUTH: graded.truth, ANSWER: graded.answer}))
    if not current[TRUTH].any():
        raise ValueError("all labels are 0, of which Evidently has no report: it divides by them")
    definition = DataDefinition(
        regression=[Regression(target=TRUTH, prediction=ANSWER)], numerical_columns=[TRUTH, ANSWER]
    )
    return [RegressionPreset()], definition, current, reference


def _ranking(grades: Grades) -> _Parts:
    """Of places instead of scores: Evidently would give rows of equal score the same place."""
    current, reference = _both(grades, _placed)
    if current.empty:
        raise ValueError("no request has a relevant row")
    top = min(grades.top, int(current[PLACE].max()))
    if reference is not None and (reference.empty or reference[PLACE].max() < top):
        reference = None  # Evidently looks at the figure at this place of both
    work = sum(side[REQUEST].nunique() for side in (current, reference) if side is not None) * max(top, 10)
    if top > MOST_PLACES or work > MOST_WORK:
        raise ValueError("these are more requests, or more rows of each, than Evidently has a report of in time")
    task = Recsys(user_id=REQUEST, item_id=ITEM, target=TRUTH, prediction=PLACE, recommendations_type="rank")
    definition = DataDefinition(ranking=[task], categorical_columns=[REQUEST, ITEM], numerical_columns=[TRUTH, PLACE])
    return [Ranking(k=top)], definition, current, reference


_SHOWN: dict[Task, Callable[[Grades], _Parts]] = {
    Task.CLASSIFICATION: _classification,
    Task.REGRESSION: _regression,
    Task.RANKING: _ranking,
}


def _both(grades: Grades, frame: Callable[[Graded], pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    stable = grades.stable
    return frame(grades.candidate), frame(stable) if stable is not None and len(stable) else None


def _named(graded: Graded) -> pd.DataFrame:
    """Truth and answer as names of classes: positions are each side's own."""
    names = np.array(graded.classes, dtype=object)
    return pd.DataFrame({TRUTH: names[graded.truth.astype(np.intp)], ANSWER: names[graded.answer.astype(np.intp)]})


def _scored(graded: Graded) -> pd.DataFrame:
    """Truth as names, answers as probabilities of the positive class."""
    names = np.array(graded.classes, dtype=object)
    return pd.DataFrame({TRUTH: names[graded.truth.astype(np.intp)], ANSWER: graded.answer})


def _placed(graded: Graded) -> pd.DataFrame:
    """Each row with its place in its request, from 1; of requests that have a relevant row."""
    place = places(graded.requests, graded.answer) + 1
    relevant = np.bincount(graded.requests, weights=graded.truth > 0) > 0
    rows = relevant[graded.requests]
    item = np.arange(len(graded))
    columns = {REQUEST: graded.requests, ITEM: item, TRUTH: graded.truth, PLACE: place}
    return pd.DataFrame({name: values[rows] for name, values in columns.items()})


def _seen(side: pd.DataFrame) -> set[str]:
    return set(side[TRUTH]) | set(side[ANSWER])


def _few(current: pd.DataFrame, reference: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The rarest of very many classes put together, such that what was wrong is still wrong."""
    both = pd.concat([current, reference], ignore_index=True)
    counts = pd.concat([both[TRUTH], both[ANSWER]]).value_counts()
    if len(counts) > MOST_CLASSES:
        wrong, rare = both[TRUTH] != both[ANSWER], ~both.isin(counts.index[:MOST_CLASSES])
        both = both.mask(rare, OTHER)
        both.loc[rare.all(axis=1) & wrong, ANSWER] = ANOTHER
    return both.iloc[: len(current)], both.iloc[len(current) :] if reference is not None else None
