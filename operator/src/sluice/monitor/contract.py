"""Contract: the JSON of what is asked of the monitor, as types. The operator's monitor clients are its other side,
and of ``POST /v1/labels`` whoever knows the truth.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from sluice.api.measure import PerformanceMetric
from sluice.api.verdict import Verdict
from sluice.monitor.performance import Figure
from sluice.monitor.tally import Tally
from sluice.monitor.verdict import ColumnVerdict

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
ColumnName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SchemaColumn(msgspec.Struct, frozen=True):
    """One column of an MLflow model signature. Only the name is used: types are seen in the rows."""

    name: ColumnName
    type: str = ""


class Span(msgspec.Struct, frozen=True):
    """A time, from a moment up to another."""

    since: Annotated[datetime, msgspec.Meta(tz=True)]
    until: Annotated[datetime, msgspec.Meta(tz=True)]


class DriftRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Did the candidate's answers, or what it was asked, change against the stable revision?

    With ``reference``, against its own of another time.
    """

    namespace: Name
    deployment: Name
    candidate: Name
    """The candidate's revision: the name of its InferenceService."""
    stable: Name
    since: Annotated[datetime, msgspec.Meta(tz=True)]
    """Rows from here on, on both sides; rounded up to the next bucket."""
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """With a reference: rows up to here. Absent, nothing is compared; what has come of the reference is taken in."""
    reference: Span | None = None
    """The candidate's own rows of this time are what it is compared with; ``stable`` is not looked at."""
    subject: Literal["Prediction", "Inputs", "Ranking"]
    top: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 10
    """Ranking only: how many of a request's rows are the first."""
    min_samples: Annotated[int, msgspec.Meta(ge=2)]
    min_effect: Annotated[float, msgspec.Meta(ge=0, le=1)]
    alpha: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    """The false-alarm budget of this one look, over all its columns."""
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """The candidate's part of both revisions' requests, as the gateway was told; absent where it is sent copies."""
    guard: bool = False
    """A look in mid-hold: no report is made of a Pass, for the look that counts is yet to come."""
    columns: Annotated[list[ColumnName], msgspec.Meta(max_length=512)] | None = None
    """The columns to compare; all when absent or empty."""
    schema: Annotated[list[SchemaColumn], msgspec.Meta(max_length=512)] | None = None
    """Names for columns that the bodies leave unnamed, in order."""


class SampleCounts(msgspec.Struct, frozen=True):
    """Rows compared."""

    candidate: int = 0
    stable: int = 0


class Inferences(msgspec.Struct, frozen=True):
    """What became of each side's inferences in the window."""

    candidate: Tally = msgspec.field(default_factory=Tally)
    stable: Tally = msgspec.field(default_factory=Tally)


class ReportLink(msgspec.Struct, frozen=True):
    """Where the evidence will be; it is rendered after the answer."""

    id: str
    url: str
    """A path on this server; ``<url>.json`` has its state and digest."""


class DriftAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of four words, and what stands behind it."""

    verdict: Verdict
    reason: str
    message: str
    samples: SampleCounts = SampleCounts()
    inferences: Inferences = Inferences()
    window_start: datetime | None = None
    window_end: datetime | None = None
    columns: tuple[ColumnVerdict, ...] = ()
    report: ReportLink | None = None


def no_answer(reason: str, message: str) -> DriftAnswer:
    """The answer when the question could not be asked of the rows: verdict Error."""
    return DriftAnswer(verdict=Verdict.ERROR, reason=reason, message=message)


class Label(msgspec.Struct, frozen=True):
    """The truth of one row of one request, known at last."""

    request: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    """The ``x-request-id`` that the gateway answered with."""
    label: float | int | bool | str
    """A number, or the name of a class."""
    row: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Which of the request's rows, from 0."""
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """When it was asked, to some minutes. Without it, all rows that are kept are searched."""


class LabelsRequest(msgspec.Struct, frozen=True):
    """Labels of requests to any deployment of one namespace."""

    labels: Annotated[list[Label], msgspec.Meta(min_length=1, max_length=10_000)]


class UnknownLabel(msgspec.Struct, frozen=True):
    """A label of which no answer is kept: not any more, not yet, or it was not in the sample."""

    request: str
    row: int


class LabelsAnswer(msgspec.Struct, frozen=True):
    """What became of labels."""

    joined: int
    """Labels whose answer was found, by one revision or several; they are stored."""
    unknown: tuple[UnknownLabel, ...] = ()
    """Those to send again later, if the request is some seconds old only."""


class PerformanceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How good were a revision's answers, by the labels that came within a time?"""

    namespace: Name
    deployment: Name
    candidate: Name
    """The revision that is judged."""
    stable: Name | None = None
    """The revision it is compared with, if any."""
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """Answers from here on: one of that name may have been another revision before."""
    stable_since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """The same of the stable revision."""
    window: Annotated[float, msgspec.Meta(ge=1, le=366 * 86_400)]
    """Seconds; labels that came within them count."""
    metric: PerformanceMetric
    prediction: ColumnName | None = None
    positive: str | None = None
    threshold: float | None = None
    top: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 10
    min_labels: Annotated[int, msgspec.Meta(ge=2)]
    maximum: float | None = None
    minimum: float | None = None
    max_degradation: float | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.9999


class PerformanceAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of four words, and what stands behind it."""

    verdict: Verdict
    reason: str
    message: str
    candidate: Figure | None = None
    stable: Figure | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    report: ReportLink | None = None
