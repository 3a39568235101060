"""A cluster in a few dictionaries: carries plans out write by write, and can be made to crash after any of them.

Nothing here decides. Workloads become ready and routes are programmed after a delay; monitors answer what the
scenario's oracle says. Time moves only when told.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

from sluice.api.base import Condition
from sluice.api.evidence import ModelEvidence
from sluice.api.measure import Limits
from sluice.api.modeldeployment import (
    GatewayReference,
    ModelDeploymentSpec,
    ModelDeploymentStatus,
    ModelReference,
    MonitorKind,
    MonitorMode,
    MonitorUse,
    Rollout,
    Serving,
    Step,
    Traffic,
)
from sluice.api.modelmonitor import SLO, Drift, ModelMonitorSpec
from sluice.api.modelrevision import ModelRevisionStatus, ResolvedModel
from sluice.api.verdict import LookKind, MonitorResult, Verdict
from sluice.core import attachment
from sluice.core.decide import decide
from sluice.core.looks import Look
from sluice.core.plan import Evaluation, Event, Outgoing, Plan
from sluice.core.world import (
    Attachment,
    Environment,
    Oversight,
    Resolution,
    Resolved,
    Revision,
    Route,
    RouteIntent,
    Workload,
    WorkloadState,
    World,
)

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
READY = Workload(WorkloadState.READY)
STARTING = Workload(WorkloadState.STARTING, "WorkloadStarting", "0 of 1 pods ready")

LEVEL = ModelMonitorSpec(slo=SLO(bad="bad", total="total", limits=Limits(max="0.01"), window=timedelta(seconds=10)))
DRIFT = ModelMonitorSpec(drift=Drift())
GOLDEN = ModelMonitorSpec.model_validate(
    {
        "evaluation": {
            "data": {"uri": "s3://golden/scorer.parquet"},
            "metric": "Accuracy",
            "label": "truth",
            "limits": {"min": "0.8"},
            "compare": {"maxDegradation": "0.02"},
        }
    }
)
MONITORS = {
    (MonitorKind.CLUSTER_MODEL_MONITOR, "error-rate"): LEVEL,
    (MonitorKind.CLUSTER_MODEL_MONITOR, "prediction-drift"): DRIFT,
    (MonitorKind.CLUSTER_MODEL_MONITOR, "golden"): GOLDEN,
}

EVIDENCE = ModelEvidence(observed_at=START, registered_by="dev", trained_by="dev")
"""What the registry says of every model."""

Oracle = Callable[[Evaluation, datetime], Verdict]
"""What a monitor says of a revision at a time."""


def passing(_evaluation: Evaluation, _now: datetime) -> Verdict:
    """Every monitor is content with everyone."""
    return Verdict.PASS


def guarding(wanted: Evaluation) -> bool:
    """Whether a guard looks."""
    return wanted.look is not None and wanted.look.kind is LookKind.GUARD


def steps(*texts: str) -> list[Step]:
    """``"shadow 60s"``, ``"10 60s"``, ``"100"`` as steps."""
    result = []
    for text in texts:
        what, _, hold = text.partition(" ")
        if what == "shadow":
            result.append(Step.model_validate({"shadow": {"percent": 100, "hold": hold}}))
        else:
            result.append(Step.model_validate({"weight": int(what)} | ({"hold": hold} if hold else {})))
    return result


def spec(version: str, **rollout: object) -> ModelDeploymentSpec:
    """A deployment of model version ``version`` with two gates and a short plan."""
    plan = {"steps": steps("shadow 60s", "10 60s", "50 60s", "100"), "progress_deadline": timedelta(hours=1)}
    return ModelDeploymentSpec(
        model=ModelReference(name="scorer", version=version),
        serving=Serving(model_format="sklearn"),
        traffic=Traffic(gateway=GatewayReference(name="models", namespace="gateways"), hostnames=["scorer.example"]),
        rollout=Rollout.model_validate(plan | rollout),
        monitors=[MonitorUse(name="error-rate"), MonitorUse(name="prediction-drift")],
    )


def examined(stated: ModelDeploymentSpec, mode: MonitorMode = MonitorMode.GATE) -> ModelDeploymentSpec:
    """The same with golden data, asked before there is any traffic."""
    return stated.model_copy(update={"monitors": [*stated.monitors, MonitorUse(name="golden", mode=mode)]})


def resolved(version: str) -> Resolved:
    """Model version ``version`` as MLflow would resolve it."""
    return Resolved(ResolvedModel(name="scorer", version=version, digest=f"sha256:{int(version):064x}"))


class Crash(Exception):  # noqa: N818 - it is not an error, it is the point
    """The operator died after a write."""


@dataclass
class Cluster:
    """One ModelDeployment and all that belongs to it."""

    spec: ModelDeploymentSpec
    oracle: Oracle = passing
    namespace: str = "bank"
    now: datetime = START
    generation: int = 1
    ready_after: timedelta = timedelta(seconds=8)
    program_after: timedelta = timedelta(seconds=1)
    monitors: dict[tuple[MonitorKind, str], ModelMonitorSpec] = field(default_factory=lambda: dict(MONITORS))
    environment: Environment = Environment()
    resolution: Resolution | None = None
    alias_version: str | None = None
    broken: dict[str, Workload] = field(default_factory=dict)
    """Revisions whose workload is not what time would make it."""

    revisions: dict[str, Revision] = field(default_factory=dict)
    status: ModelDeploymentStatus = ModelDeploymentStatus()
    created: dict[str, datetime] = field(default_factory=dict)
    route: RouteIntent | None = None
    attachment: Attachment | None = None
    """Where the route is."""
    routed_at: datetime = START
    carried_out: RouteIntent | None = None
    """What the gateway does at present; it follows the route after ``program_after``."""
    results: dict[tuple[str, str], MonitorResult] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    looked: dict[tuple[str, str], Look] = field(default_factory=dict)
    """The last look of each drift monitor that found something out."""
    evidence: dict[str, str] = field(default_factory=dict)
    """Documents by digest."""
    oversight: Oversight = field(default_factory=Oversight)
    registry_read: bool = True
    """Whether it is known what the registry has about the revisions."""
    outgoing: tuple[Outgoing, ...] = ()
    hooked: bool = True
    """Whether the hook takes what it is sent."""
    delivered: tuple[str, ...] = ()
    """What the operator knows to have been taken."""
    told: tuple[Outgoing, ...] = ()
    """What the hook was sent and took."""
    answers: dict[str, Condition] = field(default_factory=dict)
    """What came of people's decisions, by their name."""
    events: list[Event] = field(default_factory=list)
    writes: int = 0
    crash_after: int | None = None
    on_write: Callable[[Cluster], None] | None = None
    on_settle: Callable[[Cluster, Cluster], None] | None = None
    """Told what was before the operator ran, and what is now that it has nothing more to write."""

    def fork(self) -> Cluster:
        """The same cluster, to be played on by itself: what its dictionaries hold is never changed in place."""
        own = {
            f.name: copy.copy(getattr(self, f.name)) for f in fields(self) if f.name not in ("on_write", "on_settle")
        }
        return type(self)(**own, on_write=copy.deepcopy(self.on_write))

    def state(self) -> dict[str, object]:
        """All that what happens next depends on."""
        apart = {"writes", "events", "crash_after", "on_write", "on_settle"}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart}

    # What the operator sees

    def workload(self, name: str) -> Workload:
        if name not in self.created:
            return Workload(WorkloadState.ABSENT, "NotCreated", "the InferenceService does not exist yet")
        if name in self.broken:
            return self.broken[name]
        return READY if self.now >= self.created[name] + self.ready_after else STARTING

    def world(self) -> World:
        route = None
        if self.route is not None:
            programmed = self.now >= self.routed_at + self.program_after
            if programmed:
                self.carried_out = self.route
            route = Route(self.route, programmed, attachment=self.attachment)
        return World(
            namespace=self.namespace,
            name="scorer",
            uid="uid",
            generation=self.generation,
            created_at=START,
            spec=self.spec,
            status=self.status,
            resolution=self.resolution or resolved(self.spec.model.version or "1"),
            alias_version=self.alias_version,
            revisions=tuple(sorted(self.revisions.values(), key=lambda r: r.number)),
            workloads={name: self.workload(name) for name in self.revisions},
            route=route,
            monitors=self.monitors,
            results=self.results,
            delivered=self.delivered,
            environment=self.environment,
            oversight=replace(
                self.oversight,
                evidence=dict.fromkeys(self.revisions, EVIDENCE) if self.registry_read else {},
                decisions=tuple(replace(d, answer=self.answers.get(d.name)) for d in self.oversight.decisions),
                waivers=tuple(replace(w, answer=self.answers.get(w.name)) for w in self.oversight.waivers),
            ),
        )

    # What the operator does

    def reconcile(self) -> Plan:
        world = self.world()
        plan = decide(world, self.now)
        self.outgoing = plan.outgoing
        self.post()  # what is sent may arrive before anything is written
        for _ in self._carry_out(plan, attachment.wanted(world)):
            self.writes += 1
            if self.on_write is not None:
                self.on_write(self)
            if self.crash_after is not None and self.writes >= self.crash_after:
                self.crash_after = None
                raise Crash
        self.evaluations = plan.evaluations
        self.events += plan.events
        return plan

    def _carry_out(self, plan: Plan, place: Attachment) -> Iterator[None]:
        for document in plan.evidence:
            if document.digest not in self.evidence:
                self.evidence[document.digest] = document.content
                yield
        for write in plan.statuses:
            self._set_status(write.revision, write.status)
            yield
        if plan.create is not None and plan.create.name not in self.revisions:
            self.revisions[plan.create.name] = Revision(plan.create.name, plan.create.spec)
            yield
        for name in plan.run:
            if name not in self.created:
                self.created[name] = self.now
                yield
        if plan.route != self.route or (plan.route is not None and place != self.attachment):
            self.route, self.attachment, self.routed_at = plan.route, place, self.now
            yield
        for name in plan.retire:
            if self.created.pop(name, None) is not None:
                yield
        for name in plan.forget:
            self.revisions.pop(name)
            yield
        for answer in plan.answers:
            self.answers[answer.name] = answer.condition
            yield
        if plan.status != self.status:
            self.status = plan.status
            yield

    def _set_status(self, name: str, status: ModelRevisionStatus) -> None:
        # Through JSON, as in the API server: what does not survive the wire is lost here too.
        parsed = ModelRevisionStatus.model_validate(status.dump())
        self.revisions[name] = replace(self.revisions[name], status=parsed)

    def post(self) -> None:
        """Send what is to be sent."""
        wanted = {event.id: event for event in self.outgoing}
        known = [name for name in self.delivered if name in wanted]
        fresh = [name for name in wanted if name not in known] if self.hooked else []
        self.told += tuple(wanted[name] for name in fresh)
        self.delivered = (*known, *fresh)

    def evaluate(self) -> None:
        """One tick of the evaluator: every wanted verdict, afresh."""
        before, self.results = self.results, {}
        for wanted in self.evaluations:
            name = wanted.revision, wanted.use.name
            if wanted.look is not None and self.looked.get(name) == wanted.look and name in before:
                self.results[name] = before[name]  # one conclusive answer to each look is enough
                continue
            verdict = self.oracle(wanted, self.now)
            over = wanted.look is not None and wanted.look.after_promotion and verdict is not Verdict.ERROR
            if wanted.look is not None and (verdict.conclusive or over):
                self.looked[name] = wanted.look
            kind = wanted.look.kind if wanted.look is not None else None
            self.results[name] = self.found(wanted, verdict).model_copy(update={"look": kind})

    def found(self, wanted: Evaluation, verdict: Verdict) -> MonitorResult:
        """What a monitor says with its verdict."""
        window = wanted.monitor.slo.window if wanted.monitor.slo else self.now - wanted.since
        return MonitorResult(
            name=wanted.use.name,
            verdict=verdict,
            reason=f"Oracle{verdict}",
            window_start=self.now - window,
            observed_at=wanted.look.due if wanted.look is not None and wanted.look.after_promotion else self.now,
        )

    # Time

    def tick(self, seconds: float = 5) -> None:
        """Time passes, monitors are read, and the operator runs until it has nothing more to write."""
        self.now += timedelta(seconds=seconds)
        self.evaluate()
        self.settle()

    def settle(self) -> None:
        start = self.fork() if self.on_settle is not None else self
        for _ in range(20):
            before = self.writes
            try:
                self.reconcile()
            except Crash:
                self.delivered = ()  # it was in the memory of the process
                continue
            if self.writes == before:
                if self.on_settle is not None:
                    self.on_settle(start, self)
                return
        raise AssertionError("the operator keeps writing although nothing changes")

    def run(self, seconds: float, *, every: float = 5) -> None:
        for _ in range(int(seconds / every)):
            self.tick(every)

    def ask(self, wanted: ModelDeploymentSpec) -> None:
        """Apply a changed spec."""
        self.spec, self.generation = wanted, self.generation + 1
        self.settle()

    # What tests ask

    def phase(self, name: str) -> str:
        return str(self.revisions[name].phase)

    def share(self, name: str) -> float:
        """The revision's share of live traffic in percent, as the route says."""
        return sum(lane.weight for lane in self.route.lanes if lane.revision == name) / 10_000 if self.route else 0.0

    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]

    def condition(self, kind: str) -> tuple[str, str]:
        found = next(c for c in self.status.conditions if c.type == kind)
        return str(found.status), found.reason


def released(version: str = "1", **rollout: object) -> Cluster:
    """A cluster in which version 1 is stable."""
    return serving(spec(version, **rollout))


def serving(stated: ModelDeploymentSpec) -> Cluster:
    """A cluster in which what is stated is stable."""
    cluster = Cluster(stated)
    cluster.settle()
    cluster.run(120)
    assert cluster.status.phase == "Healthy", cluster.status.message
    return cluster
