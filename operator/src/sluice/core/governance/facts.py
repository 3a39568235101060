"""Facts: everything that a control may look at, as plain frozen data. ``gather.py`` makes it from a World.

Absent means absent: a field that nobody stated is None or empty, and no control takes that for a yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sluice.api.base import Condition
from sluice.api.evidence import ModelEvidence
from sluice.api.governance import PinnedPolicy
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.governancepolicy import GovernancePolicySpec, RequiredApproval
from sluice.api.modeldecision import ModelDecisionSpec
from sluice.api.modeldeployment import Governance, MonitorUse, Rollout, Serving
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import ResolvedModel
from sluice.api.record import Record, Seal
from sluice.api.verdict import MonitorResult


class Stage(StrEnum):
    """When a control is asked. Each asks at the stages where its answer can be known."""

    ADMISSION = "Admission"
    """From the object alone, as it is applied."""
    ROLLOUT = "Rollout"
    """Before a release starts, and before each of its steps."""
    CONTINUOUS = "Continuous"
    """All the time, of what serves."""


@dataclass(frozen=True)
class Policy:
    """A GovernancePolicy as last seen."""

    name: str
    spec: GovernancePolicySpec
    changed_at: datetime | None = None
    """When it was made, or last changed as far as that is known."""


@dataclass(frozen=True)
class Decision:
    """A ModelDecision as last seen."""

    name: str
    uid: str
    created_at: datetime
    spec: ModelDecisionSpec
    answer: Condition | None = None
    """Its condition Accepted, if it was answered."""


@dataclass(frozen=True)
class Waiver:
    """A GovernanceException as last seen."""

    name: str
    uid: str
    created_at: datetime
    spec: GovernanceExceptionSpec
    answer: Condition | None = None
    """Its condition Accepted, if it was answered."""


@dataclass(frozen=True)
class Gauge:
    """One monitor of the release: how it is used, what it is, what it said last. Unknown ones have no definition."""

    use: MonitorUse
    definition: ModelMonitorSpec | None
    result: MonitorResult | None = None


@dataclass(frozen=True)
class Guard:
    """One admission policy (or its binding) that decisions and records rely on."""

    name: str
    """Such as ``ValidatingAdmissionPolicy/sluice-decisions``."""
    intact: bool
    """Whether it is there and says what the chart installed."""
    since: datetime | None = None
    """When it was created: what happened before was not guarded."""
    message: str = ""
    """What is wrong with it."""


@dataclass(frozen=True)
class Approved:
    """What is in service: its model, and when it was promoted."""

    revision: str
    model: ResolvedModel
    promoted_at: datetime | None
    running: bool


@dataclass(frozen=True)
class Facts:
    """One release of one deployment, at one time."""

    now: datetime
    stage: Stage
    namespace: str
    deployment: str
    uid: str
    """The ModelDeployment's metadata.uid."""
    revision: str | None
    """The ModelRevision; None before there is one."""
    stated: Governance
    """spec.governance as pinned in the revision; empty if nothing was stated."""
    requester: str | None
    """Who changed the spec, as stamped at admission; None if nobody was stamped."""
    model: ResolvedModel | None
    serving: Serving
    rollout: Rollout
    gauges: tuple[Gauge, ...] = ()
    evidence: ModelEvidence | None = None
    """What the registry says; None while it was not read."""
    evidence_problem: str = ""
    """Why it could not be read."""
    stable: Approved | None = None
    """What serves now, if something does."""
    stable_evidence: ModelEvidence | None = None
    """What the registry says of that."""
    identities: Mapping[str, str] = field(default_factory=dict)
    """Registry name to Kubernetes username."""
    policies: tuple[PinnedPolicy, ...] = ()
    policy_digest: str = ""
    """SHA-256 over all of them: what approvals must name."""
    policies_since: datetime | None = None
    """When the newest of them was last changed."""
    required: tuple[RequiredApproval, ...] = ()
    """The approvals that the policies ask for, and those of the plan's approval steps (``before`` Promotion)."""
    decisions: tuple[Decision, ...] = ()
    """All decisions that name this deployment, oldest first."""
    waivers: tuple[Waiver, ...] = ()
    """All exceptions that name this deployment."""
    predates: bool = False
    """Whether it was released before any policy applied to it."""
    started: bool = False
    """Whether its workload was asked for: before that nothing can have been measured."""
    stepped: bool = False
    """Whether a step of its plan was seen to apply: before that no requests reached it, nor copies of them."""
    weight: int = 0
    """The share of live traffic that the next step would give it, in percent."""
    records: tuple[Record, ...] = ()
    """The revision's last record, if it has one: whether the others are sound is ``chain_problem``."""
    chain_problem: str = ""
    """What is wrong with their chain; empty if nothing."""
    seal: Seal | None = None
    """How far the records are signed and anchored."""
    anchoring: bool = False
    """Whether an anchor is configured."""
    guards: tuple[Guard, ...] = ()
    """The admission policies that decisions and records rely on; empty if they could not be read."""
    unmanaged: tuple[str, ...] = ()
    """InferenceServices in this namespace that no ModelDeployment owns."""
    hand_edits: tuple[str, ...] = ()
    """What differs between the live InferenceService or route and what was decided, not set right yet."""
    image: str = ""
    """The model server's image, as its ServingRuntime or pod says; empty if unknown."""
    loaded_digest: str = ""
    """The digest that the storage initializer verified before the model started; empty if it did not (yet)."""
    inventory_elsewhere: tuple[str, ...] = ()
    """``namespace/name`` of other deployments that state the same inventory id."""
    logging: bool = False
    """Whether requests and answers are sent to sluice-monitor."""
