"""Plan: everything one decision asks for, as plain data.

``engine/act.py`` carries a plan out in the order of its fields. The order matters: statuses first
(write-ahead: the decision is on record before its effect), then workloads, then the route, and only
then removals. A crash after any write leaves a world from which the next decision carries on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sluice.api.base import Condition
from sluice.api.governanceevidence import EvidenceKind
from sluice.api.modeldeployment import ModelDeploymentStatus, MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus, ResolvedModel
from sluice.core.governance.custom import Question
from sluice.core.looks import Look
from sluice.core.world import RouteIntent


class EventType(StrEnum):
    """As in ``core/v1`` Events."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True)
class Event:
    """Something that happened, for ``kubectl describe``; its reason is also logged and counted."""

    type: EventType
    reason: str
    message: str
    revision: str | None = None
    """The revision it is about, if one."""


@dataclass(frozen=True)
class StatusWrite:
    """The new status of one ModelRevision."""

    revision: str
    status: ModelRevisionStatus
    unmoved: ModelRevisionStatus | None = None
    """The same without moving older records out: what is written if the document for them cannot be kept."""


@dataclass(frozen=True)
class NewRevision:
    """A ModelRevision to create."""

    name: str
    spec: ModelRevisionSpec


@dataclass(frozen=True)
class Evaluation:
    """A verdict that the next decision will need: what to measure, and over which time.

    The evaluator answers with a MonitorResult for (revision, use.name). Evaluations of different
    deployments that lead to the same PromQL share one query.
    """

    namespace: str
    deployment: str
    revision: str
    """The revision judged: the candidate, or what serves."""
    use: MonitorUse
    monitor: ModelMonitorSpec
    since: datetime
    """When the current step was seen to apply. A window that begins earlier proves nothing about this step. Of what
    serves: when it was promoted."""
    lane: int
    """The candidate's backend index in the route, for metrics that carry only the position."""
    lane_clean_since: datetime
    """No other revision had a real share in that lane after this."""
    stable: str | None
    """The revision to compare with; None when there is none in the traffic."""
    stable_lane: int | None
    mirrored: bool
    """A shadow step: the candidate answers copies only, counted at the gateway as backend ``mirror``."""
    weight: int | None = None
    """The candidate's share of live requests, in percent; None where it answers copies."""
    look: Look | None = None
    """Drift only: which look this is."""
    alpha: float | None = None
    """Drift only: the share of the false-alarm budget that this look may spend."""
    model: ResolvedModel | None = None
    """What the revision serves, for whom that is told."""
    born: datetime | None = None
    """When the revision was first wanted: what was answered before was answered by another of its name."""
    stable_born: datetime | None = None
    """The same of the one to compare with."""
    stable_model: ResolvedModel | None = None
    """What the one to compare with serves; stated where golden data is asked of both."""


@dataclass(frozen=True)
class NewEvidence:
    """A document that records refer to; written before them."""

    revision: str
    kind: EvidenceKind
    digest: str
    content: str
    """JSON text; the digest is over its bytes."""


@dataclass(frozen=True)
class Outgoing:
    """A CloudEvent to send until it is answered."""

    url: str
    timeout: timedelta
    """Of one try."""
    id: str
    source: str
    type: str
    subject: str
    """The revision that it is about."""
    time: datetime
    """When what it tells of happened."""
    monitor: str
    message: str
    model: ResolvedModel
    """What the revision serves."""


class ActKind(StrEnum):
    """What people act by."""

    DECISION = "ModelDecision"
    EXCEPTION = "GovernanceException"


@dataclass(frozen=True)
class Answer:
    """What came of a person's decision or exception: its condition Accepted."""

    kind: ActKind
    name: str
    condition: Condition


@dataclass(frozen=True)
class Plan:
    """What to do, in this order. Everything is idempotent; an empty plan writes nothing."""

    evidence: tuple[NewEvidence, ...]
    """Documents that the statuses refer to."""
    statuses: tuple[StatusWrite, ...]
    """Changed revision statuses, in order."""
    answers: tuple[Answer, ...]
    """Decisions and exceptions whose condition changed."""
    create: NewRevision | None
    """The next revision, if the spec asks for one."""
    run: tuple[str, ...]
    """Revisions whose InferenceService must exist as ``inferenceservice.build`` describes it."""
    route: RouteIntent | None
    """What the HTTPRoute must say; None means there must be no route (yet)."""
    retire: tuple[str, ...]
    """Revisions whose InferenceService must not exist."""
    forget: tuple[str, ...]
    """ModelRevisions to delete: finished, retired and beyond the history limit."""
    status: ModelDeploymentStatus
    """The deployment's status; written only if it differs from the one seen."""
    events: tuple[Event, ...]
    questions: tuple[Question, ...]
    """Custom rules whose outcomes the next decision will need, until a later plan says otherwise."""
    evaluations: tuple[Evaluation, ...]
    """Verdicts to obtain from now on, until a later plan says otherwise."""
    outgoing: tuple[Outgoing, ...]
    """What to send from now on, until a later plan says otherwise."""
    requeue_after: timedelta | None
    """When to decide again even if nothing is seen to change."""
