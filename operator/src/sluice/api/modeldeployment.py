"""ModelDeployment: what a team wants served, and how carefully it is to be brought there."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from sluice.api.base import Conditions, Duration, Name, Quantity, Resource, Text, Time, Word
from sluice.api.governance import GovernanceStatus
from sluice.api.governancepolicy import RiskTier, Role
from sluice.api.markers import ATOMIC, PASSTHROUGH, SET, Matching, Rule, map_by
from sluice.api.verdict import MonitorResult
from sluice.api.watch import Watch

MAX_NAME = 40
"""Longest name of a ModelDeployment, in characters.

KServe derives the Service ``<name>-r<N>-predictor`` and the label ``isvc.<name>-r<N>-predictor`` from
it; both are limited to 63 characters, and five digits are left for the revision number.
"""

ModelVersion = Annotated[
    str,
    Field(min_length=1, max_length=10),
    Matching("^[1-9][0-9]*$", 'must be the number of an MLflow model version, such as "7"; for a name use alias'),
]
Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matching(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "must be a host name in lower case without scheme, port, path or wildcard, such as fraud.models.example.com",
    ),
]


class ModelReference(Resource):
    """A registered model in MLflow: by version, or by an alias that is resolved once and then pinned."""

    rules = (
        Rule(
            "has(self.version) != has(self.alias)",
            'give either version (such as "7") or alias (such as champion), not both and not neither',
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=250)]
    """The registered model's name in MLflow."""
    version: ModelVersion | None = None
    """The version to release. Give either version or alias."""
    alias: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    """The alias to resolve when this spec is first seen, for example champion. Give either version or alias."""


class Replicas(Resource):
    """How many pods each revision runs."""

    rules = (Rule("!has(self.max) || self.max >= self.min", "max must be at least min"),)

    min: Annotated[int, Field(ge=1, le=1000)] = 1
    """The least number of pods."""
    max: Annotated[int, Field(ge=1, le=1000)] | None = None
    """The most pods the autoscaler may run; absent means no autoscaling."""


class Resources(Resource):
    """Compute resources of the model container, as in a Pod."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """Reserved, by resource name, for example cpu and memory."""
    limits: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """Allowed at most, by resource name."""


class Serving(Resource):
    """How KServe runs the model. Give modelFormat, or a whole predictor."""

    rules = (
        Rule(
            "has(self.modelFormat) != has(self.predictor)",
            "give either modelFormat (such as sklearn) or predictor (a full KServe PredictorSpec), "
            "not both and not neither",
        ),
        Rule(
            "!has(self.runtime) || has(self.modelFormat)",
            "runtime goes with modelFormat; in a predictor, set predictor.model.runtime",
        ),
        Rule(
            "!has(self.resources) || has(self.modelFormat)",
            "resources go with modelFormat; in a predictor, set them on its container or model",
        ),
    )

    model_format: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Picks the ServingRuntime, for example sklearn, mlflow or xgboost."""
    runtime: Name | None = None
    """A ServingRuntime or ClusterServingRuntime by name, where modelFormat alone is not enough."""
    replicas: Replicas = Replicas()
    """How many pods each revision runs."""
    resources: Resources | None = None
    """Compute resources of the model container."""
    predictor: Annotated[dict[str, Any], Field(min_length=1, max_length=64), PASSTHROUGH] | None = None
    """A full KServe PredictorSpec, passed through. Sluice adds only labels, replicas and the logger."""


class Router(StrEnum):
    """Who moves the traffic."""

    GATEWAY_API = "GatewayAPI"


class GatewayReference(Resource):
    """The Gateway that the model's HTTPRoute attaches to."""

    name: Name
    """The Gateway's name."""
    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    """The Gateway's namespace."""


class Traffic(Resource):
    """Where requests come in."""

    router: Router = Router.GATEWAY_API
    """Who moves the traffic: GatewayAPI writes one HTTPRoute with weighted backends."""
    gateway: GatewayReference
    """The Gateway that receives the requests."""
    hostnames: Annotated[list[Hostname], Field(min_length=1, max_length=16), SET]
    """The hostnames the model answers to; no other ModelDeployment may use them."""


class ShadowStep(Resource):
    """A copy of live requests goes to the candidate; users never see its answers."""

    percent: Annotated[int, Field(ge=1, le=100)] = 100
    """The share of requests that is mirrored, in percent."""
    hold: Duration
    """How long to watch before the next step."""


class ApprovalStep(Resource):
    """Waits for a person."""

    role: Role
    """The role that may approve, for example model-validator."""


class Step(Resource):
    """One step of the rollout: exactly one of shadow, weight or approval."""

    rules = (
        Rule(
            "[has(self.shadow), has(self.weight), has(self.approval)].exists_one(given, given)",
            "a step is exactly one of shadow, weight or approval; write the others as steps of their own",
        ),
        Rule(
            "!has(self.hold) || has(self.weight)",
            "hold goes with weight; a shadow step has shadow.hold, an approval waits for a person",
        ),
        Rule(
            "!has(self.weight) || self.weight == 100 || has(self.hold)",
            "a weight below 100 needs a hold, such as 10m: how long it is watched before the next step",
        ),
    )

    shadow: ShadowStep | None = None
    """Mirror requests to the candidate."""
    weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """The candidate's share of live traffic, in percent."""
    hold: Duration | None = None
    """How long a weight is watched before the next step; every gate must pass within it."""
    approval: ApprovalStep | None = None
    """Wait for a person's decision."""


class OnDeadline(StrEnum):
    """What happens to a rollout that has not ended by its deadline."""

    ROLLBACK = "Rollback"
    PAUSE = "Pause"


Steps = Annotated[
    list[Step],
    Field(min_length=1, max_length=20),
    ATOMIC,
    Rule(
        "has(self[size(self) - 1].weight) && self[size(self) - 1].weight == 100",
        "the last step must be `weight: 100`: a rollout ends with all the traffic",
    ),
    Rule(
        "self.filter(step, !has(step.approval)).map(step, has(step.weight) ? 1 : 0).isSorted()",
        "shadow steps must come before the first weight: a model that takes live traffic is beyond shadowing",
    ),
    Rule(
        "self.filter(step, has(step.weight)).map(step, step.weight).isSorted()"
        " && self.all(step, !has(step.weight)"
        " || self.exists_one(other, has(other.weight) && other.weight == step.weight))",
        "weights must rise from step to step",
    ),
]


class Rollout(Resource):
    """How a new revision takes over from the stable one."""

    rules = (
        # Objects always have both fields, by default; but the API server also tries the rule on the bare `{}`
        # that is this object's own default, before it fills in theirs.
        Rule(
            "!has(self.steps) || !has(self.progressDeadline)"
            " || self.steps.map(step, has(step.hold) ? duration(step.hold)"
            " : has(step.shadow) ? duration(step.shadow.hold) : duration('0s')).sum()"
            " < duration(self.progressDeadline)",
            "must be longer than all holds together, or the rollout could never end well in time; raise it, or "
            "shorten the holds",
            field=".progressDeadline",
        ),
    )

    steps: Steps = [
        Step(weight=5, hold=timedelta(minutes=10)),
        Step(weight=25, hold=timedelta(minutes=10)),
        Step(weight=50, hold=timedelta(minutes=10)),
        Step(weight=100),
    ]
    """The steps in order: shadow steps first, then rising weights, the last of them 100."""
    progress_deadline: Duration = timedelta(hours=4)
    """How long a rollout may take in all before onDeadline applies."""
    approval_deadline: Duration = timedelta(hours=168)
    """How long a rollout may wait for people, each time; then it is rolled back. The progressDeadline stands still
    meanwhile."""
    on_deadline: OnDeadline = OnDeadline.ROLLBACK
    """What happens then: Rollback takes the traffic back, Pause keeps the weights and waits for a person."""
    rollback_window: Duration = timedelta(hours=24)
    """How long a replaced revision keeps running, so that going back to it is one write."""
    revision_history_limit: Annotated[int, Field(ge=1, le=100)] = 10
    """How many finished ModelRevisions are kept."""


class MonitorKind(StrEnum):
    """Where a monitor is defined."""

    MODEL_MONITOR = "ModelMonitor"
    CLUSTER_MODEL_MONITOR = "ClusterModelMonitor"


class MonitorMode(StrEnum):
    """Whether a monitor decides or only reports."""

    GATE = "Gate"
    """It decides, in a release and, where spec.watch asks for it, after the promotion."""
    OBSERVE = "Observe"
    """It is recorded only."""
    WATCH = "Watch"
    """It is recorded in a release, and decides after the promotion: labels come too late to hold a release for."""


class MonitorUse(Resource):
    """One gauge that is read at every step."""

    name: Name
    """The ModelMonitor's or ClusterModelMonitor's name."""
    kind: MonitorKind = MonitorKind.CLUSTER_MODEL_MONITOR
    """Where the monitor is defined."""
    mode: MonitorMode = MonitorMode.GATE
    """Gate decides; Observe is recorded only; Watch is recorded in a release and decides after it, with spec.watch."""
    parameters: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=32)] = {}
    """Values for the monitor's parameters, for example maxMs."""


MonitorUses = Annotated[list[MonitorUse], Field(max_length=32), map_by("name")]
"""The gauges of a release; verdicts are told apart by the monitor's name."""


class Governance(Resource):
    """What reviewers need to know about this release; stated by the team, recorded by Sluice."""

    inventory_id: Word | None = None
    """The model's id in the model inventory."""
    risk_tier: RiskTier | None = None
    """The model's risk tier."""
    owner: Word | None = None
    """Who answers for the model."""
    use_case: Word | None = None
    """What the model is used for."""
    change_reason: Text | None = None
    """Why this release is made."""
    ticket: Word | None = None
    """The change ticket."""
    developers: Annotated[list[Word], Field(max_length=32), SET] = []
    """Who developed the model, by Kubernetes username, beside those whom MLflow names."""
    runbook: Annotated[str, Field(max_length=512)] | None = None
    """Where it says how to switch the model off."""
    escalation: Word | None = None
    """Who is called when it must be switched off."""
    log_retention: Duration | None = None
    """How long requests and answers are kept."""
    jurisdictions: Annotated[list[Annotated[str, Field(min_length=2, max_length=16)]], Field(max_length=32), SET] = []
    """Whose law applies, such as US or EU."""


class ModelDeploymentSpec(Resource):
    """The desired state of a served model."""

    rules = (
        Rule(
            "has(self.watch) || !has(self.monitors) || self.monitors.all(use, !has(use.mode) || use.mode != 'Watch')",
            "a monitor with mode Watch decides after the promotion only: give watch, too, such as "
            "watch: {onBreach: Alert}",
            field=".monitors",
        ),
    )

    model: ModelReference
    """Which registered model to serve."""
    serving: Serving
    """How KServe runs it."""
    traffic: Traffic
    """Where requests come in."""
    rollout: Rollout = Rollout()
    """How a new revision takes over."""
    monitors: MonitorUses = []
    """The gauges read at every step."""
    watch: Watch | None = None
    """What goes on after the promotion; absent: nothing is measured then."""
    governance: Governance | None = None
    """What reviewers need to know."""


class Phase(StrEnum):
    """A ModelDeployment's state in one word; Argo Rollouts' words where they exist."""

    PENDING = "Pending"
    """Nothing can start yet; the conditions say why."""
    EVALUATING = "Evaluating"
    """The model is being resolved and checked."""
    AWAITING_APPROVAL = "AwaitingApproval"
    """A step waits for a person."""
    PROGRESSING = "Progressing"
    """A candidate is starting or takes traffic step by step."""
    PAUSED = "Paused"
    """The rollout stands still at its weight until a person acts."""
    HEALTHY = "Healthy"
    """The revision that the spec asks for serves all traffic."""
    DEGRADED = "Degraded"
    """The release failed; the stable revision, where there is one, serves all traffic."""


class TrafficShare(Resource):
    """A revision's share of live traffic."""

    revision: Name
    """The ModelRevision's name."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """Its share in percent; all shares sum to 100."""


class StepStatus(Resource):
    """Where the rollout stands."""

    index: Annotated[int, Field(ge=0, le=20)]
    """The current step, counted from 1 as people do."""
    of: Annotated[int, Field(ge=0, le=20)]
    """The number of steps."""
    kind: Word
    """Shadow, Weight or Approval."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """The candidate's share at this step, in percent."""
    started_at: Time | None = None
    """When the gateway was seen to apply this step; absent until then."""


class ModelDeploymentStatus(Resource):
    """The observed state, written by Sluice alone. All of it is derived; the revisions hold the record."""

    conditions: Conditions = []
    """Ready, Progressing, GovernanceSatisfied, MonitorsPassing, Promoted and what else needs saying."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The spec generation that this status speaks of."""
    phase: Phase | None = None
    """The state in one word."""
    message: Annotated[str, Field(max_length=4096)] | None = None
    """The state in one sentence."""
    stable_revision: Name | None = None
    """The revision that was last promoted, the target of any rollback."""
    candidate_revision: Name | None = None
    """The revision being released."""
    traffic: Annotated[list[TrafficShare], Field(max_length=8), map_by("revision")] | None = None
    """Who gets the live traffic."""
    step: StepStatus | None = None
    """Where the rollout stands."""
    monitors: Annotated[list[MonitorResult], Field(max_length=32), ATOMIC] | None = None
    """The latest verdict of each monitor on the candidate, or, where spec.watch asks for it, on what serves."""
    url: Annotated[str, Field(max_length=512)] | None = None
    """Where the model answers."""
    governance: GovernanceStatus | None = None
    """What governance says of the release; absent where no policy applies."""
