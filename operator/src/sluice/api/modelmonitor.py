"""ModelMonitor and ClusterModelMonitor: one reusable gauge."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import URL, Conditions, Decimal, Duration, Resource, Text
from sluice.api.evaluation import READ_EVERY, Evaluation
from sluice.api.markers import SET, Rule
from sluice.api.measure import Limit, Limits, Measure

Query = Annotated[str, Field(min_length=1, max_length=4096)]


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


class DriftWatch(Resource):
    """After the promotion, what serves is compared with itself: its latest rows with those of its first time.

    Needs spec.watch in the deployment.
    """

    rules = (
        Rule(
            "duration(self.reference) >= duration('10m') && duration(self.reference) <= duration('168h')",
            "must be between 10m and 168h: whole days where traffic has a daily rhythm",
            field=".reference",
        ),
        Rule(
            "duration(self.every) >= duration('5m') && duration(self.every) <= duration('24h')",
            "must be between 5m and 24h: a look sees the rows of as long a time",
            field=".every",
        ),
        Rule(
            "double(self.alpha) > 0.0 && double(self.alpha) <= 0.5",
            'must be above "0" and at most "0.5", such as "0.01"',
            field=".alpha",
        ),
    )

    reference: Duration = timedelta(hours=24)
    """The rows of the first so long after the promotion are what later ones are compared with."""
    every: Duration = timedelta(hours=1)
    """How often is looked, and how far back a look sees."""
    alpha: Decimal = "0.01"
    """The false-alarm budget of a day, spread evenly over its looks and columns."""


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
        Rule(
            "!has(self.watch) || self.subject != 'Ranking'",
            "goes with subject Prediction or Inputs: a Ranking needs two revisions that answer the same requests",
            field=".watch",
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
    watch: DriftWatch | None = None
    """Look on after the promotion, too, with a budget of its own; absent, the monitor says nothing then."""


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


class Performance(Measure):
    """How good are the answers, by labels that arrive later?

    Labels are posted to sluice-monitor, with the id of the request that each is of: ``kubectl sluice labels --help``.
    """

    rules = (
        *Measure.rules,
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

    min_labels: Annotated[int, Field(ge=10, le=20_000)] = 200
    """Fewer labelled answers than this are Inconclusive."""
    window: Duration = timedelta(hours=24)
    """Labels that arrived within this time count, however long ago the request was."""
    interval: Duration = timedelta(minutes=1)
    """How long a verdict stands before the next."""


class ModelMonitorSpec(Resource):
    """Exactly one of slo, drift, workload, webhook, performance or evaluation."""

    rules = (
        Rule(
            "[has(self.slo), has(self.drift), has(self.workload), has(self.webhook), has(self.performance),"
            " has(self.evaluation)].exists_one(given, given)",
            "a monitor is exactly one of slo, drift, workload, webhook, performance or evaluation; make one monitor "
            "for each",
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
    evaluation: Evaluation | None = None
    """How good the answers to golden rows are, before there is any traffic."""

    @property
    def interval(self) -> timedelta | None:
        """How long a verdict stands before the next; None where it is read at every round, or once a look."""
        if self.evaluation is not None:
            return READ_EVERY
        asked = self.webhook or self.performance
        return asked.interval if asked is not None else None


class ModelMonitorStatus(Resource):
    """Whether the gauge can be read at all."""

    conditions: Conditions = []
    """Ready: the dry run at creation succeeded; False says what to mend."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The spec generation that was tried."""
