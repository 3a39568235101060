"""World: everything one decision looks at, as plain data.

The engine fills it (``engine/observe.py``); nothing here can reach out. Times are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sluice.api.evidence import ModelEvidence
from sluice.api.modeldeployment import ModelDeploymentSpec, ModelDeploymentStatus, MonitorKind, MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus, ResolvedModel, RevisionPhase
from sluice.api.record import Seal
from sluice.api.verdict import MonitorResult
from sluice.core.governance.facts import Decision, Guard, Policy, Waiver


@dataclass(frozen=True)
class Revision:
    """A ModelRevision as last seen. Missing status fields have the meaning of a revision just created."""

    name: str
    spec: ModelRevisionSpec
    status: ModelRevisionStatus = ModelRevisionStatus()
    exported: str = ""
    """The head of its records when they were last exported, as marked on the object."""

    @property
    def number(self) -> int:
        """N in ``<deployment>-r<N>``."""
        return self.spec.revision

    @property
    def phase(self) -> RevisionPhase:
        """Where the release stands; Pending until the first status is written."""
        return self.status.phase or RevisionPhase.PENDING

    @property
    def targeted_at(self) -> datetime:
        """When the deployment's spec last began to ask for this revision."""
        return self.status.targeted_at or self.spec.requested_at

    @property
    def source(self) -> str:
        """Digest of the stated spec that this revision answers."""
        return self.status.source or self.spec.source

    @property
    def in_progress(self) -> bool:
        """Whether its release has begun and not ended."""
        return self.phase in (RevisionPhase.PENDING, RevisionPhase.PROGRESSING, RevisionPhase.PAUSED)

    @property
    def running(self) -> bool:
        """Whether its workload is meant to exist."""
        return self.status.retired_at is None


class WorkloadState(StrEnum):
    """What the pods of a revision are doing, judged from the child objects of its InferenceService."""

    ABSENT = "Absent"
    STARTING = "Starting"
    READY = "Ready"
    FAILED = "Failed"
    """It cannot start or keeps crashing: waiting longer will not help by itself."""


@dataclass(frozen=True)
class Workload:
    """The workload of one revision. ``reason`` and ``message`` say why it is not ready."""

    state: WorkloadState
    reason: str = ""
    message: str = ""
    restarts: int = 0
    """Container restarts summed over the revision's present pods."""
    available: int = 0
    """Pods that answer. With none, the gateway answers the revision's share of requests itself, with 503."""
    loaded_digest: str = ""
    """What the storage initializers of all pods that answer verified before the model started; empty if unknown."""
    image: str = ""
    """The model server's image in all pods that answer; empty if there are none, or they differ."""


ABSENT = Workload(WorkloadState.ABSENT, reason="NotCreated", message="the InferenceService does not exist yet")


@dataclass(frozen=True)
class Resolved:
    """The spec's model reference, resolved in MLflow and pinned."""

    model: ResolvedModel


@dataclass(frozen=True)
class Resolving:
    """The resolution is under way."""


@dataclass(frozen=True)
class Unresolved:
    """The model cannot be resolved; ``reason`` is one of ``reasons.MODEL_*``."""

    reason: str
    message: str


Resolution = Resolved | Resolving | Unresolved


@dataclass(frozen=True)
class LaneBackend:
    """One of the route's two backends. ``weight`` is in millionths of the live traffic."""

    revision: str
    weight: int


@dataclass(frozen=True)
class Mirror:
    """Copies of live requests: to whom, and how many percent."""

    revision: str
    percent: int


@dataclass(frozen=True)
class RouteIntent:
    """What the HTTPRoute should say, or was seen to say.

    Two lanes, always both present and neither ever at zero: see ``lanes.py`` and ADR 002.
    """

    lanes: tuple[LaneBackend, LaneBackend]
    mirror: Mirror | None = None


@dataclass(frozen=True)
class Attachment:
    """Where a route takes requests in."""

    gateway: tuple[str, str]
    """The Gateway's namespace and name."""
    hostnames: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """The live HTTPRoute. ``programmed``: the gateway reports it has this very generation, all references resolved."""

    intent: RouteIntent | None
    """Its lanes and mirror as read back; None where someone changed it beyond recognition."""
    programmed: bool
    reason: str = ""
    message: str = ""
    attachment: Attachment | None = None
    """Where it is, as read back; None where that cannot be told."""

    def shows(self, intent: RouteIntent) -> bool:
        """Whether the gateway was seen to carry out ``intent``."""
        return self.programmed and self.intent == intent


@dataclass(frozen=True)
class Environment:
    """What the cluster offers this deployment."""

    kserve: bool = True
    gateway_api: bool = True
    gateway_exists: bool = True
    gateway_programmed: bool = True
    hostname_conflicts: tuple[tuple[str, str], ...] = ()
    """(hostname, ``namespace/name`` of the older ModelDeployment that has it)."""
    hook_refusal: str = ""
    """Why nothing may be sent to spec.watch.hook; empty where it may, or there is none."""


MonitorKey = tuple[MonitorKind, str]


@dataclass(frozen=True)
class RuleOutcome:
    """What a custom rule came to: ``passed``, or why not. An error is not a pass."""

    passed: bool
    error: str = ""


@dataclass(frozen=True)
class HandEdit:
    """What somebody changed of an object that was decided, and is not set right yet."""

    kind: str
    name: str
    what: str
    """What was done to it: ``was changed by hand``."""
    fields: tuple[str, ...] = ()
    """Which fields were changed, dotted: ``spec.hostnames``."""
    manager: str = ""
    """The field manager that did it, as it calls itself; empty if the API server does not know."""
    revision: str | None = None
    """Whose workload it is; None of the route, which is of all."""

    @property
    def text(self) -> str:
        """In words."""
        by = f" by {self.manager}" if self.manager else ""
        return f"{self.kind} {self.name} {self.what}{by}" + (f" ({', '.join(self.fields)})" if self.fields else "")


@dataclass(frozen=True)
class Oversight:
    """What governance looks at beside the release itself. Nothing of it, and the release is not governed."""

    policies: tuple[Policy, ...] = ()
    """Those that apply to this deployment."""
    decisions: tuple[Decision, ...] = ()
    """People's acts that name this deployment, oldest first."""
    waivers: tuple[Waiver, ...] = ()
    identities: Mapping[str, str] = field(default_factory=dict)
    """Registry name to Kubernetes username."""
    requester: str | None = None
    """Who changed the deployment's spec, as stamped at admission."""
    evidence: Mapping[str, ModelEvidence] = field(default_factory=dict)
    """What the registry says, by revision name; missing where it was not read yet."""
    evidence_problems: Mapping[str, str] = field(default_factory=dict)
    """Why it could not be read, by revision name."""
    guards: tuple[Guard, ...] = ()
    unmanaged: tuple[str, ...] = ()
    hand_edits: tuple[HandEdit, ...] = ()
    """What differs between the live objects and what was decided, before it is set right."""
    inventory_elsewhere: tuple[str, ...] = ()
    chain_problems: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with a revision's records, by its name; missing where nothing is."""
    seals: Mapping[str, Seal] = field(default_factory=dict)
    """How far records are signed and anchored, by revision name."""
    anchoring: bool = False
    logging: bool = False
    rules: Mapping[str, RuleOutcome] = field(default_factory=dict)
    """Outcomes of custom rules, by the key of the question (``custom.py``)."""


@dataclass(frozen=True)
class World:
    """One ModelDeployment and everything that matters to it, seen at one time."""

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: datetime
    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus = ModelDeploymentStatus()
    resolution: Resolution = Resolving()
    alias_version: str | None = None
    """The version that the spec's alias points at just now, if it was looked up since."""
    revisions: tuple[Revision, ...] = ()
    """All revisions of this deployment, in order of their numbers."""
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """By revision name; missing means absent."""
    route: Route | None = None
    monitors: Mapping[MonitorKey, ModelMonitorSpec] = field(default_factory=dict)
    """The definitions that the spec and the running revisions name, where they exist."""
    results: Mapping[tuple[str, str], MonitorResult] = field(default_factory=dict)
    """Latest verdicts by (revision name, monitor name); workload monitors are judged in the core."""
    delivered: tuple[str, ...] = ()
    """Ids of what was sent and answered, in order; as long as the statuses hold it."""
    environment: Environment = Environment()
    oversight: Oversight = Oversight()

    def monitor(self, use: MonitorUse) -> ModelMonitorSpec | None:
        """The definition behind one use of a monitor, or None if there is none of that name."""
        return self.monitors.get((use.kind, use.name))

    def workload(self, revision: Revision) -> Workload:
        """The revision's workload; absent if nothing of it was seen."""
        return self.workloads.get(revision.name, ABSENT)
