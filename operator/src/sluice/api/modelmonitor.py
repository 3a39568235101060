"""ModelMonitor and ClusterModelMonitor: one reusable gauge."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import URL, Conditions, Decimal, Duration, Resource, Text
from sluice.api.markers import SET, Matching, Rule

Query = Annotated[str, Field(min_length=1, max_length=4096)]
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


class Comparison(Resource):
    """How far the candidate may be from the stable revision in the same window."""

    rules = (
        Rule("has(self.maxRatio) || has(self.maxDifference)", "give maxRatio, maxDifference or both"),
        Rule(
            "double(self.confidence) >= 0.5 && double(self.confidence) < 1.0",
            'must be at least "0.5" and below "1", such as "0.99"',
            field=".confidence",
        ),
    )

    max_ratio: Limit | None = None
    """Candidate over stable must not exceed this."""
    max_difference: Limit | None = None
    """Candidate minus stable must not exceed this; with maxRatio, both must be exceeded to fail."""
    confidence: Decimal = "0.9999"
    """For counts (bad of total, histogram): the one-sided confidence that a difference is real."""


class SLO(Resource):
    """A service level read from Prometheus.

    Queries are grouped by identity labels, so that one query answers for every revision: either
    ``namespace, revision`` or, for gateway metrics, ``route_namespace, route, backend``.
    """

    rules = (
        Rule(
            "[has(self.query), has(self.bad), has(self.histogram)].exists_one(given, given)",
            "give exactly one of query (the value itself), bad (of total) and histogram (whose quantile is the value)",
        ),
        Rule(
            "has(self.total) != has(self.histogram)",
            "give total with query and with bad; a histogram counts its requests itself",
        ),
        Rule("has(self.limits) || has(self.compare)", "give limits, compare or both: without one nothing can fail"),
        Rule(
            "duration(self.window) >= duration('1s') && duration(self.window) <= duration('24h')",
            "must be between 1s and 24h",
            field=".window",
        ),
    )

    query: Query | None = None
    """PromQL for the value, one series per revision. Give query, bad or histogram; with query and bad, give total."""
    bad: Query | None = None
    """PromQL for the number of bad events in the window; value = bad / total."""
    histogram: Query | None = None
    """PromQL for the number of events in the window by bucket, grouped by the label le, too; value = its quantile."""
    quantile: Limit = "0.99"
    """Which quantile of the histogram is the value: a number between 0 and 1, or a parameter."""
    total: Query | None = None
    """PromQL for the number of events in the window: the sample size."""
    window: Duration = timedelta(minutes=1)
    """What ${window} stands for in the queries; the verdict counts once a step is this old."""
    min_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """Fewer events than this are Inconclusive."""
    limits: Limits | None = None
    """Absolute limits."""
    compare: Comparison | None = None
    """Limits relative to the stable revision."""


class DriftSubject(StrEnum):
    """What is compared between candidate and stable."""

    PREDICTION = "Prediction"
    INPUTS = "Inputs"
    RANKING = "Ranking"


class Drift(Resource):
    """Does the candidate behave like the stable revision, on the same window of live traffic?"""

    rules = (
        Rule(
            "double(self.minEffect) >= 0.0 && double(self.minEffect) <= 1.0",
            'must be between "0" and "1", such as "0.1"',
            field=".minEffect",
        ),
        Rule(
            "double(self.guardEffect) >= 0.0 && double(self.guardEffect) <= 1.0",
            'must be between "0" and "1", such as "0.3"',
            field=".guardEffect",
        ),
        Rule(
            "double(self.alpha) > 0.0 && double(self.alpha) <= 0.5",
            'must be above "0" and at most "0.5", such as "0.01"',
            field=".alpha",
        ),
    )

    subject: DriftSubject = DriftSubject.PREDICTION
    """Prediction compares the answers, Inputs the requests (is the split itself fair?), Ranking which rows of a request
    have the highest scores: in a shadow, where both revisions rank the same requests."""
    top: Annotated[int, Field(ge=1, le=1_000)] = 10
    """Ranking only: how many of a request's rows are the first. The effect is the share of stable's first that are not
    among the candidate's."""
    min_samples: Annotated[int, Field(ge=10, le=20_000)] = 200
    """Fewer rows than this on either side are Inconclusive."""
    min_effect: Decimal = "0.1"
    """The least effect (Kolmogorov-Smirnov distance, Cramer's V) that matters; smaller ones never fail."""
    guard_effect: Decimal = "0.3"
    """The least effect that fails in mid-hold already; where it is less than minEffect, that counts."""
    alpha: Decimal = "0.01"
    """The false-alarm budget of a whole rollout, spent over its looks and columns."""
    columns: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=512), SET] = []
    """The columns compared; empty means all."""


class Workload(Resource):
    """Is the revision's workload healthy? Read from its pods, not from Prometheus."""

    max_restarts: Annotated[int, Field(ge=0, le=100)] = 2
    """More container restarts than this, since the release began, fail."""
    start_timeout: Duration = timedelta(minutes=10)
    """A workload that is not ready after this long fails."""


class Webhook(Resource):
    """A verdict that somebody else's service gives: it is told what is released, and answers.

    The question is a POST of JSON, signed as Standard Webhooks have it; the answer is ``{"verdict": "Pass"}``, Fail or
    Inconclusive, with ``message``, ``value`` and ``samples`` if it likes. Anything else is an Error, which holds.
    """

    rules = (
        Rule(
            "duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('60s')",
            "must be between 1s and 60s; a service that takes longer answers Inconclusive until it knows",
            field=".timeout",
        ),
        Rule(
            "duration(self.interval) >= duration('5s') && duration(self.interval) <= duration('1h')",
            "must be between 5s and 1h",
            field=".interval",
        ),
    )

    url: URL
    """Where it is asked. The operator asks hosts that the chart's operator.webhooks.hosts names, and no others."""
    timeout: Duration = timedelta(seconds=10)
    """How long one try may take."""
    retries: Annotated[int, Field(ge=0, le=5)] = 2
    """More tries where nobody answers, or with 429 or 5xx. Then the verdict is Error, until it is asked again."""
    interval: Duration = timedelta(seconds=30)
    """How long an answer stands before it is asked again. At the beginning of a step it is asked at once."""


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


class Degradation(Resource):
    """How much worse than the stable revision the candidate may be, by the labels of the same window."""

    max_degradation: Limit
    """In the metric's unit: "0.02" is two points of Accuracy lower, or an MAE that is 0.02 higher."""


class Performance(Resource):
    """How good are the answers, by labels that arrive later?

    Labels are posted to sluice-monitor, with the id of the request that each is of: ``kubectl sluice labels --help``.
    """

    rules = (
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
        Rule(
            "duration(self.window) >= duration('1m') && duration(self.window) <= duration('2160h')",
            "must be between 1m and 2160h",
            field=".window",
        ),
        Rule(
            "duration(self.interval) >= duration('5s') && duration(self.interval) <= duration('1h')",
            "must be between 5s and 1h",
            field=".interval",
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
    min_labels: Annotated[int, Field(ge=10, le=20_000)] = 200
    """Fewer labelled answers than this are Inconclusive."""
    window: Duration = timedelta(hours=24)
    """Labels that arrived within this time count, however long ago the request was."""
    interval: Duration = timedelta(minutes=1)
    """How long a verdict stands before the next."""
    limits: Limits | None = None
    """Absolute limits of the metric."""
    compare: Degradation | None = None
    """Limits relative to the stable revision."""
    confidence: Decimal = "0.9999"
    """How sure it must be that a limit is exceeded, for one verdict at one limit, to fail."""


class ModelMonitorSpec(Resource):
    """Exactly one of slo, drift, workload, webhook or performance."""

    rules = (
        Rule(
            "[has(self.slo), has(self.drift), has(self.workload), has(self.webhook), has(self.performance)]"
            ".exists_one(given, given)",
            "a monitor is exactly one of slo, drift, workload, webhook or performance; make one monitor for each",
        ),
        Rule(
            "!has(self.parameters) || self.parameters.all(name, name.matches('^[A-Za-z][A-Za-z0-9_]*$'))",
            "must have names of letters, digits and underscores that begin with a letter, such as maxMs",
            field=".parameters",
        ),
        Rule(
            "!has(self.parameters) || !('window' in self.parameters)",
            "must not have one named window, which slo.window sets; choose another name",
            field=".parameters",
        ),
    )

    description: Text | None = None
    """What the gauge tells, for people."""
    parameters: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=32)] = {}
    """Parameters with their defaults; ${name} stands for one in queries and limits."""
    slo: SLO | None = None
    """A service level read from Prometheus."""
    drift: Drift | None = None
    """A comparison of behaviour by the drift service."""
    workload: Workload | None = None
    """The health of the revision's pods."""
    webhook: Webhook | None = None
    """What a service of your own says."""
    performance: Performance | None = None
    """How good the answers are, by labels that arrive later."""

    @property
    def interval(self) -> timedelta | None:
        """How long a verdict stands before the next; None where it is read at every round, or once a look."""
        asked = self.webhook or self.performance
        return asked.interval if asked is not None else None


class ModelMonitorStatus(Resource):
    """Whether the gauge can be read at all."""

    conditions: Conditions = []
    """Ready: the dry run at creation succeeded; False says what to mend."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The spec generation that was tried."""
