"""Contract: the JSON of ``POST /v1/drift``, as types. The operator's monitor client is its other side."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from sluice.api.verdict import Verdict
from sluice.monitor.tally import Tally
from sluice.monitor.verdict import ColumnVerdict

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
ColumnName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SchemaColumn(msgspec.Struct, frozen=True):
    """One column of an MLflow model signature. Only the name is used: types are seen in the rows."""

    name: ColumnName
    type: str = ""


class DriftRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Did the candidate's answers, or what it was asked, change against the stable revision?"""

    namespace: Name
    deployment: Name
    candidate: Name
    """The candidate's revision: the name of its InferenceService."""
    stable: Name
    since: Annotated[datetime, msgspec.Meta(tz=True)]
    """Rows from here on, on both sides; rounded up to the next bucket."""
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
