"""Measure: how good answers are, held against the truth, and what they are held to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sluice.api.base import Decimal, Resource
from sluice.api.markers import Matching, Rule

Limit = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Matching(
        "^(-?[0-9]+([.][0-9]+)?(e-?[0-9]+)?|[$][{][A-Za-z][A-Za-z0-9_]*[}])$",
        'must be a number in quotes, such as "0.05", or a parameter, such as "${maxMs}"',
    ),
]
"""A number, or a parameter such as ``${maxMs}``."""


class Limits(Resource):
    """Absolute limits of a value."""

    rules = (Rule("has(self.max) || has(self.min)", "give max, min or both"),)

    max: Limit | None = None
    """The value must not exceed this."""
    min: Limit | None = None
    """The value must not fall below this."""


class Degradation(Resource):
    """How much worse than the stable revision the candidate may be, held against the same truth."""

    max_degradation: Limit
    """In the metric's unit: "0.02" is two points of Accuracy lower, or an MAE that is 0.02 higher."""


class Task(StrEnum):
    """What a model is for, as Evidently's presets tell them apart."""

    CLASSIFICATION = "Classification"
    REGRESSION = "Regression"
    RANKING = "Ranking"


class PerformanceMetric(StrEnum):
    """How good answers are, held against the truth."""

    ACCURACY = "Accuracy"
    PRECISION = "Precision"
    RECALL = "Recall"
    F1 = "F1"
    ROC_AUC = "ROCAUC"
    LOG_LOSS = "LogLoss"
    BRIER_SCORE = "BrierScore"
    MAE = "MAE"
    RMSE = "RMSE"
    R2 = "R2"
    MEAN_ERROR = "MeanError"
    NDCG = "NDCG"
    PRECISION_AT_K = "PrecisionAtK"
    MRR = "MRR"

    @property
    def task(self) -> Task:
        """Whose metric it is."""
        if self in (self.MAE, self.RMSE, self.R2, self.MEAN_ERROR):
            return Task.REGRESSION
        return Task.RANKING if self in (self.NDCG, self.PRECISION_AT_K, self.MRR) else Task.CLASSIFICATION

    @property
    def of_probability(self) -> bool:
        """Whether the answer it needs is a probability."""
        return self in (self.ROC_AUC, self.LOG_LOSS, self.BRIER_SCORE)

    @property
    def more_is_better(self) -> bool:
        """Whether a greater value is a better one."""
        return self not in (self.LOG_LOSS, self.BRIER_SCORE, self.MAE, self.RMSE, self.MEAN_ERROR)


class Measure(Resource):
    """A metric and its limits: what monitors of performance and evaluations have in common."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.limits) || has(self.compare)", "give limits, compare or both: without one nothing can fail"),
        Rule(
            "!(self.metric in ['Precision', 'Recall', 'F1', 'ROCAUC', 'LogLoss', 'BrierScore']) || has(self.positive)",
            'give the positive class, such as positive: "1": this metric is of one class',
        ),
        Rule(
            "!has(self.threshold) || has(self.positive)",
            "a threshold is for a probability of the positive class: give positive, too",
        ),
        Rule(
            "!has(self.threshold) || (double(self.threshold) >= 0.0 && double(self.threshold) <= 1.0)",
            'must be between "0" and "1", such as "0.5"',
            field=".threshold",
        ),
        Rule(
            "double(self.confidence) >= 0.5 && double(self.confidence) < 1.0",
            'must be at least "0.5" and below "1", such as "0.99"',
            field=".confidence",
        ),
    )

    metric: PerformanceMetric
    """Accuracy, Precision, Recall, F1, ROCAUC, LogLoss and BrierScore are for classes; MAE, RMSE, R2 and MeanError for
    numbers; NDCG, PrecisionAtK and MRR for models that rank the rows of a request by a score."""
    prediction: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The column of the answer that is held against the label; needed where it has several."""
    positive: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The class that is looked for, as the label names it."""
    threshold: Decimal | None = None
    """Where the answer is a probability: from here on it is the positive class. For Accuracy, Precision, Recall, F1."""
    top: Annotated[int, Field(ge=1, le=1_000)] = 10
    """Ranking only: how many of a request's rows, the highest scores first, are looked at."""
    limits: Limits | None = None
    """Absolute limits of the metric."""
    compare: Degradation | None = None
    """Limits relative to the stable revision."""
    confidence: Decimal = "0.9999"
    """How sure it must be that a limit is exceeded, for one verdict at one limit, to fail."""
