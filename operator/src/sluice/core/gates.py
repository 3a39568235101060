"""Gates: what all gauges together say of a revision at its current step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.api.modeldeployment import MonitorMode, MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec, Workload
from sluice.api.modelrevision import StepRecord
from sluice.api.verdict import LookKind, MonitorResult, Verdict
from sluice.core import lanes, looks, reasons, steps
from sluice.core.plan import Evaluation
from sluice.core.steps import PlannedStep
from sluice.core.world import Revision, WorkloadState, World

WORKLOAD = MonitorUse(name="workload-health")
"""Judged in every release, listed or not: a crashed canary has no series and its error rate looks perfect."""

_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True)
class Judgement:
    """All results at a step, and what those that decide come to."""

    results: tuple[MonitorResult, ...]

    @property
    def gating(self) -> tuple[MonitorResult, ...]:
        """The results that decide; the others are recorded only."""
        return tuple(result for result in self.results if result.mode == MonitorMode.GATE)

    @property
    def verdict(self) -> Verdict:
        """The worst deciding verdict: Fail, Error, Inconclusive, Pass."""
        given = {result.verdict for result in self.gating}
        return next((verdict for verdict in _WORST_FIRST if verdict in given), Verdict.PASS)

    @property
    def failure(self) -> MonitorResult | None:
        """The first deciding Fail, if there is one."""
        return next((result for result in self.gating if result.verdict is Verdict.FAIL), None)

    @property
    def awaited(self) -> tuple[MonitorResult, ...]:
        """What a release waits for before it has any traffic: a gate until it has passed, others until they spoke."""
        return tuple(
            result
            for result in self.results
            if (result.verdict is not Verdict.PASS if result.mode == MonitorMode.GATE else unfinished(result))
        )

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The names of the deciding monitors that have not passed yet."""
        return tuple(result.name for result in self.gating if result.verdict is not Verdict.PASS)


def unfinished(result: MonitorResult) -> bool:
    """Whether golden data is still being asked."""
    return result.reason == reasons.EVALUATING


def judge(world: World, revision: Revision, step: PlannedStep, stable: Revision | None, now: datetime) -> Judgement:
    """Every applicable gauge's result at this step, the workload's first. Unknown monitors are an Error."""
    record = revision.status.current_step()
    exposed = stable is not None and step.weight > 0
    results = [judge_workload(world, revision, now, exposed=exposed)]
    for use in revision.spec.monitors:
        monitor = world.monitor(use)
        if monitor is None:
            results.append(missing_monitor(use))
        elif monitor.workload is None and steps.applicable(monitor, step, stable):
            results.append(_measured(world, revision, use, monitor, step, record))
    return Judgement(tuple(results))


def workload_limits(world: World, revision: Revision) -> tuple[MonitorUse, Workload]:
    """The listed workload monitor and its limits; the built-in one if none is listed."""
    for use in revision.spec.monitors:
        monitor = world.monitor(use)
        if monitor is not None and monitor.workload is not None:
            return use, monitor.workload
    return WORKLOAD, Workload()


def judge_workload(world: World, revision: Revision, now: datetime, *, exposed: bool = False) -> MonitorResult:
    """The workload's health, by the listed workload monitor's limits or the defaults.

    ``exposed``: users depend on it and there is a stable revision to return to. Then a workload without one
    ready pod fails at once: the gateway answers its share itself, with errors that no series shows.
    """
    use, limits = workload_limits(world, revision)
    workload = world.workload(revision)
    verdict, reason, message = Verdict.INCONCLUSIVE, workload.reason, workload.message
    if workload.state is WorkloadState.FAILED:
        verdict = Verdict.FAIL
    elif workload.restarts > limits.max_restarts:
        verdict, reason = Verdict.FAIL, "TooManyRestarts"
        message = f"its containers restarted {workload.restarts} times; {limits.max_restarts} are allowed"
    elif exposed and workload.state is not WorkloadState.READY and workload.available == 0:
        verdict, message = Verdict.FAIL, f"no pod answers its share of the traffic: {message}"
    elif workload.state is WorkloadState.READY:
        verdict, reason, message = Verdict.PASS, reasons.WORKLOAD_READY, "all pods are ready"
    elif not _started(revision) and now - asked_for(revision) > limits.start_timeout:
        verdict = Verdict.FAIL
        message = f"not ready after {int(limits.start_timeout.total_seconds())} s: {message}"
    return MonitorResult(
        name=use.name, verdict=verdict, reason=reason, message=message, mode=MonitorMode.GATE, observed_at=now
    )


def _started(revision: Revision) -> bool:
    """Whether its workload was ready before. What has a lane was, even where nobody noted when."""
    return revision.status.lane is not None or revision.status.ready_at is not None


def asked_for(revision: Revision) -> datetime:
    """Since when its workload is meant to exist: a release may have waited for people before."""
    return revision.status.started_at or revision.targeted_at


def missing_monitor(use: MonitorUse) -> MonitorResult:
    """What a gauge says that nobody has defined."""
    message = f"there is no {use.kind} named {use.name}; create it, or `kubectl get mmon,cmmon` for those there are"
    return MonitorResult(
        name=use.name, verdict=Verdict.ERROR, reason=reasons.MONITOR_NOT_FOUND, message=message, mode=use.mode
    )


def _measured(
    world: World,
    revision: Revision,
    use: MonitorUse,
    monitor: ModelMonitorSpec,
    step: PlannedStep,
    record: StepRecord | None,
) -> MonitorResult:
    if monitor.drift is not None and (looked := looks.taken(record, use)) is not None:
        return looked
    result = world.results.get((revision.name, use.name))
    started = record.started_at if record else None
    if started is None or result is None or result.observed_at is None or result.observed_at < started:
        message = "a verdict is due when the hold ends" if monitor.drift else "not measured at this step yet"
        return _unmeasured(use, reasons.NOT_EVALUATED, message)
    guard = result.look is LookKind.GUARD
    early = guard or result.observed_at < started + step.hold
    if monitor.drift is not None and early and not (guard and result.verdict is Verdict.FAIL):
        return _unmeasured(use, reasons.NOT_EVALUATED, "a verdict is due when the hold ends")
    if monitor.slo is not None and result.verdict is Verdict.PASS and not _within(result, started):
        return _unmeasured(use, reasons.WINDOW_NOT_FULL, "passing, but measured partly before this step")
    return result.model_copy(update={"mode": use.mode})


def _within(result: MonitorResult, started: datetime) -> bool:
    return result.window_start is not None and result.window_start >= started


def _unmeasured(use: MonitorUse, reason: str, message: str) -> MonitorResult:
    return MonitorResult(name=use.name, verdict=Verdict.INCONCLUSIVE, reason=reason, message=message, mode=use.mode)


def examined(world: World, revision: Revision, stable: Revision | None) -> Judgement:
    """What golden data says of a revision that has no traffic yet.

    A gate that nobody has defined counts here, too: it may be one that must pass before there is any.
    """
    results: list[MonitorResult] = []
    for use in revision.spec.monitors:
        monitor = world.monitor(use)
        if monitor is None:
            results.append(missing_monitor(use))
        elif steps.examines(monitor, use, stable):
            found = world.results.get((revision.name, use.name))
            since = _paired_since(revision, _beside(monitor, stable))
            if found is None or found.observed_at is None or found.observed_at < since:
                results.append(_unmeasured(use, reasons.EVALUATING, "golden data is about to be asked"))
            else:
                results.append(found.model_copy(update={"mode": use.mode}))
    return Judgement(tuple(results))


def _beside(monitor: ModelMonitorSpec, stable: Revision | None) -> Revision | None:
    """Of whom golden data is asked, too. A stable revision that is broken must not keep what mends it from limits."""
    compares = monitor.evaluation is not None and monitor.evaluation.compare is not None
    return stable if compares else None


def _paired_since(revision: Revision, stable: Revision | None) -> datetime:
    """Since when these two could be compared: what was said before was said of another pair."""
    promoted = stable.status.promoted_at if stable is not None else None
    return max(asked_for(revision), promoted) if promoted is not None else asked_for(revision)


def planned_looks(world: World, revision: Revision, judgement: Judgement) -> list[MonitorResult]:
    """What planned looks of drift monitors found at this step and is not on record yet."""
    drift = {use.name for use in revision.spec.monitors if (m := world.monitor(use)) is not None and m.drift}
    record = revision.status.current_step()
    known = {result.name for result in record.results} if record is not None else set()
    fresh = [result for result in judgement.results if result.name in drift - known]
    return [result for result in fresh if result.verdict.conclusive and result.look is not LookKind.GUARD]


def evaluations(
    world: World, revisions: tuple[Revision, ...], revision: Revision, stable: Revision | None, now: datetime
) -> tuple[Evaluation, ...]:
    """What must be measured for the revision's current step: levels all the time, drift when the hold ends.

    Before it has a lane: what golden data is to be asked, once its pods answer.
    """
    if revision.status.lane is None:
        return _examinations(world, revision, stable)
    step, record = steps.current(revision, stable), revision.status.current_step()
    if step is None or record is None or record.started_at is None:
        return ()
    wanted: list[Evaluation] = []
    for use in revision.spec.monitors:
        monitor = world.monitor(use)
        if monitor is None or monitor.workload or not steps.applicable(monitor, step, stable):
            continue
        look = looks.due(record, step, use, now) if monitor.drift else None
        alpha = looks.alpha(world, revision, stable, use, look.kind) if look else None
        if monitor.drift and alpha is None:
            continue
        compare_with = stable if steps.comparable(step, stable) else None
        wanted.append(
            Evaluation(
                namespace=world.namespace,
                deployment=world.name,
                revision=revision.name,
                use=use,
                monitor=monitor,
                since=record.started_at,
                lane=revision.status.lane,
                lane_clean_since=lanes.clean_since(revision, revisions),
                stable=compare_with.name if compare_with else None,
                stable_lane=compare_with.status.lane if compare_with else None,
                mirrored=step.mirror > 0,
                weight=None if step.mirror else step.weight,
                look=look,
                alpha=alpha,
                model=revision.spec.model,
                born=asked_for(revision),
                stable_born=asked_for(compare_with) if compare_with else None,
            )
        )
    return tuple(wanted)


def _examinations(world: World, revision: Revision, stable: Revision | None) -> tuple[Evaluation, ...]:
    if world.workload(revision).state is not WorkloadState.READY:
        return ()
    wanted: list[Evaluation] = []
    for use in revision.spec.monitors:
        monitor = world.monitor(use)
        if monitor is None or not steps.examines(monitor, use, stable):
            continue
        beside = _beside(monitor, stable)
        since = _paired_since(revision, beside)
        wanted.append(
            Evaluation(
                namespace=world.namespace,
                deployment=world.name,
                revision=revision.name,
                use=use,
                monitor=monitor,
                since=since,
                lane=0,  # it has none yet, and nothing is measured in the route
                lane_clean_since=since,
                stable=beside.name if beside else None,
                stable_lane=None,
                mirrored=False,
                weight=0,
                model=revision.spec.model,
                born=asked_for(revision),
                stable_born=asked_for(beside) if beside else None,
                stable_model=beside.spec.model if beside else None,
            )
        )
    return tuple(wanted)
