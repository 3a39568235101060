"""Status: a deployment's state for people and machines, derived afresh from the revisions at every decision.

It says what was seen, not what was asked for: traffic shares are those the gateway reported to have applied.
While nothing happens it does not change by a byte, so that nothing is written.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sluice.api.base import Condition, ConditionStatus, format_time
from sluice.api.governancepolicy import Before
from sluice.api.modeldeployment import ModelDeploymentStatus, Phase, StepStatus, TrafficShare
from sluice.api.modelrevision import Failing, RevisionPhase
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import attachment, consent, gates, lanes, reasons, steps, watch
from sluice.core.draft import Draft
from sluice.core.gates import Judgement
from sluice.core.governance.review import Obstacle, Review
from sluice.core.world import Resolving, Revision, Unresolved, WorkloadState

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


class Says(NamedTuple):
    """A condition's content without its bookkeeping."""

    status: ConditionStatus
    reason: str
    message: str


def derive(draft: Draft) -> ModelDeploymentStatus:
    """The deployment's status after this decision."""
    world, before = draft.world, draft.world.status
    judgement, watched = judge(draft), watch.judge(draft)
    phase, message = _phase(draft, judgement)
    review, against = _oversight(draft)
    kept = before.governance if review is not None and _asks_again(draft, review) else None
    said = {
        "Ready": _ready(draft),
        "Progressing": _progressing(draft, message),
        "ModelResolved": _resolved(draft),
        "GovernanceSatisfied": _kept(draft, "GovernanceSatisfied") if kept else _governance(review, against),
        "MonitorsPassing": _watched(draft, watched) if watched is not None else _monitors(draft, judgement),
        "Promoted": _promoted(draft),
    }
    stable, candidate = draft.stable, _moving(draft)
    return ModelDeploymentStatus(
        conditions=[_condition(draft, kind, says) for kind, says in said.items()],
        observed_generation=world.generation,
        phase=phase,
        message=message,
        stable_revision=stable.name if stable else None,
        candidate_revision=candidate.name if candidate else None,
        traffic=_traffic(draft),
        step=_step(draft),
        monitors=_results(judgement or watched or _last_judgement(draft), before.monitors),
        url=f"http://{attachment.wanted(world).hostnames[0]}",
        governance=kept or (review.status(against) if review is not None else None),
    )


def _oversight(draft: Draft) -> tuple[Review | None, tuple[Obstacle, ...]]:
    """What governance says, and what it holds against the release in progress, or else against what serves."""
    subject = draft.candidate or draft.stable
    review = draft.review(subject) if subject is not None else None
    if subject is None or review is None:
        return None, ()
    return review, consent.obstacles(draft, subject) if subject.in_progress else review.obstacles(Before.START)


def _asks_again(draft: Draft, review: Review) -> bool:
    """Whether the registry or custom rules are being asked again. The answer comes in a moment; until then what was
    said last stands, since "is being read" twice a change would be two writes and no news."""
    said = draft.world.status.governance
    return review.undecided and said is not None and said.revision == review.facts.revision


def _kept(draft: Draft, kind: str) -> Says:
    before = next((c for c in draft.world.status.conditions if c.type == kind), None)
    return Says(before.status, before.reason, before.message) if before else Says(UNKNOWN, reasons.NOT_EVALUATED, "")


def judge(draft: Draft) -> Judgement | None:
    """What the gauges say of the candidate at its step, or before its first; None outside a release."""
    candidate = draft.candidate
    step = steps.current(candidate, draft.stable) if candidate else None
    if candidate is None or step is None:
        return _examined(draft)
    return gates.judge(draft.world, candidate, step, draft.stable, draft.now)


def _examined(draft: Draft) -> Judgement | None:
    """What golden data says while a release waits for it, and in the write in which it falls."""
    target = draft.target
    if target is None or target.status.reason not in (reasons.EVALUATING, reasons.EVALUATION_FAILED):
        return None
    judgement = gates.examined(draft.world, target, draft.stable)
    return judgement if target.in_progress or judgement.failure is not None else None


def _moving(draft: Draft) -> Revision | None:
    """The target while it is not stable and has not failed."""
    target, stable = draft.target, draft.stable
    if target is None or (stable is not None and target.name == stable.name):
        return None
    return target if target.in_progress or target.phase is RevisionPhase.PROMOTED else None


def _phase(draft: Draft, judgement: Judgement | None) -> tuple[Phase, str]:
    phase, message = _release(draft, judgement)
    obstacle = draft.obstacle
    if obstacle is None or draft.problem is not None:
        return phase, message
    if phase is Phase.HEALTHY:
        phase = Phase.PENDING if obstacle.transient else Phase.DEGRADED
    return phase, f"{obstacle.message}; until then the route stays where it is: {message}"


def _release(draft: Draft, judgement: Judgement | None) -> tuple[Phase, str]:
    problem, target, stable = draft.problem, draft.target, draft.stable
    serving = f"{stable.name} serves all the traffic" if stable else "nothing is served"
    if draft.create is not None:
        return Phase.PROGRESSING, f"{draft.create.name} is being created"
    if problem is not None:
        moving = _moving(draft)
        rest = f"{moving.name} holds where it is" if moving else serving
        if problem.reason == reasons.MODEL_RESOLVING:
            return Phase.EVALUATING, f"{problem.message}; {rest}"
        phase = Phase.DEGRADED if stable and not problem.transient else Phase.PENDING
        return phase, f"{problem.message}; {rest}"
    assert target is not None, "a spec without a problem has a revision, or one is being created"
    if stable is not None and target.name == stable.name:
        return _settled(draft, stable)
    if target.in_progress and (against := consent.obstacles(draft, target)) and _waits(target):
        review, before = draft.review(target), draft.world.status
        if review is not None and _asks_again(draft, review) and before.phase and before.message:
            return before.phase, before.message
        awaited = against[0].reason == reasons.AWAITING_APPROVAL
        where = f"{target.name}: {against[0].message}; {serving}"
        return Phase.AWAITING_APPROVAL if awaited else Phase.EVALUATING, where
    if target.phase is RevisionPhase.PAUSED:
        return Phase.PAUSED, f"{target.name}: {target.status.message}"
    if target.phase in (RevisionPhase.ROLLED_BACK, RevisionPhase.SUPERSEDED):
        return Phase.DEGRADED, f"{target.name} rolled back: {target.status.message}; {serving}"
    return Phase.PROGRESSING, f"{target.name}: {_progress(draft, target, judgement)}"


def _settled(draft: Draft, stable: Revision) -> tuple[Phase, str]:
    """The target serves; but a person may have returned to a model that the spec does not ask for."""
    asked, served = draft.world.spec.model.version, stable.spec.model.version
    if stable.status.reason == reasons.RETURNED:
        return Phase.DEGRADED, (
            f"{stable.name} (version {served}) serves all the traffic: {stable.status.message}. The spec still asks "
            "for another: state what serves, to agree, or something else to release that"
        )
    if asked is not None and asked != served:
        return Phase.DEGRADED, (
            f"{stable.name} (version {served}) serves all the traffic, for a person returned to it; the spec asks for "
            f"version {asked}: state version {served} to agree, or another to release that"
        )
    return Phase.HEALTHY, f"{stable.name} serves all the traffic"


def _waits(target: Revision) -> bool:
    """Whether governance is what it waits for just now: before its start, or at the end of a step."""
    return target.status.waiting_since is not None and target.phase is not RevisionPhase.PAUSED


def _progress(draft: Draft, target: Revision, judgement: Judgement | None) -> str:
    record, step = target.status.current_step(), steps.current(target, draft.stable)
    route = draft.world.route
    detail = f" ({route.message})" if route is not None and route.message else ""
    if record is None or step is None:
        if target.status.lane is not None:
            return f"its workload is ready, waiting for the gateway to carry out its route{detail}"
        return target.status.message or "its workload is being created"
    plan = steps.release_plan(target, draft.stable)
    copies = f", {step.mirror} % mirrored" if step.mirror else ""
    where = f"step {record.index + 1} of {len(plan)}, {step.weight} % of the traffic{copies}"
    if record.started_at is None:
        return f"{where}: waiting for the gateway to carry it out{detail}"
    over = record.started_at + step.hold
    if draft.now < over:
        return f"{where}: holding until {format_time(over.replace(microsecond=0))}"
    waiting = ", ".join(judgement.waiting_for) if judgement else ""
    return f"{where}: the hold is over, waiting for {waiting}" if waiting else where


def _governance(review: Review | None, against: tuple[Obstacle, ...]) -> Says:
    if review is None:
        return Says(UNKNOWN, reasons.NOT_GOVERNED, "no GovernancePolicy applies, and no step asks for an approval")
    if against:
        return Says(FALSE, against[0].reason, "; ".join(obstacle.message for obstacle in against))
    return Says(TRUE, reasons.GOVERNANCE_SATISFIED, review.told())


def _ready(draft: Draft) -> Says:
    base, route = lanes.base_of(draft.revisions), draft.world.route
    if base is None:
        reason = draft.problem.reason if draft.problem else reasons.NOT_SERVING
        return Says(FALSE, reason, draft.problem.message if draft.problem else "no revision receives traffic")
    workload = draft.world.workload(base)
    if workload.state is not WorkloadState.READY:
        return Says(FALSE, workload.reason or reasons.NOT_SERVING, f"{base.name}: {workload.message}")
    if not _carried_out(draft):
        message = route.message if route and route.message else "the gateway has not taken over the route yet"
        return Says(FALSE, (route.reason if route else "") or reasons.ROUTE_NOT_PROGRAMMED, message)
    return Says(TRUE, reasons.SERVING, f"{base.name} answers requests")


def _carried_out(draft: Draft) -> bool:
    """Whether requests reach the base: the gateway says so, or said so and is just taking over the next weights."""
    route = draft.world.route
    if route is None or route.programmed:
        return route is not None
    was_ready = any(c.type == "Ready" and c.status is TRUE for c in draft.world.status.conditions)
    return was_ready and route.reason in ("", reasons.ROUTE_NOT_PROGRAMMED)


def _progressing(draft: Draft, message: str) -> Says:
    target, at_rest = draft.target, _moving(draft) is None
    problem = draft.problem or (draft.obstacle if at_rest else None)
    if problem is not None:
        return Says(UNKNOWN if problem.transient else FALSE, problem.reason, problem.message)
    if target is None:
        return Says(UNKNOWN, reasons.REVISION_CREATED, message)
    if at_rest or target.phase is RevisionPhase.PAUSED:
        return Says(FALSE, target.status.reason or reasons.PROMOTED, message)
    if target.status.step_started_at() is not None:
        return Says(TRUE, reasons.HOLDING, message)
    if target.status.step is not None:
        return Says(TRUE, reasons.ROUTE_NOT_PROGRAMMED, message)
    workload = draft.world.workload(target)
    if workload.state is WorkloadState.READY and target.status.reason == reasons.EVALUATING:
        return Says(TRUE, reasons.EVALUATING, message)
    why = "" if workload.state is WorkloadState.READY else workload.reason  # such as ErrImagePull
    return Says(TRUE, why or reasons.WORKLOAD_STARTING, message)


def _resolved(draft: Draft) -> Says:
    resolution, target = draft.world.resolution, draft.target
    if draft.problem is not None and isinstance(resolution, Resolving):
        return Says(UNKNOWN, reasons.MODEL_RESOLVING, "resolving the model and computing its digest")
    if draft.problem is not None and isinstance(resolution, Unresolved):
        return Says(FALSE, resolution.reason, resolution.message)
    if target is None:
        return Says(UNKNOWN, reasons.NOT_EVALUATED, "no revision was made yet")
    pinned, now_at = target.spec.model, draft.world.alias_version
    if pinned.alias is not None and now_at is not None and now_at != pinned.version:
        message = (
            f"alias {pinned.alias} now points at version {now_at}; {target.name} stays at version {pinned.version}, "
            f"to which it was pinned. To release the other, state it: spec.model.version: '{now_at}'"
        )
        return Says(TRUE, reasons.ALIAS_MOVED, message)
    return Says(TRUE, reasons.MODEL_RESOLVED, f"{pinned.name} version {pinned.version}, {pinned.digest}")


def _monitors(draft: Draft, judgement: Judgement | None) -> Says:
    stable, judgement = draft.stable, judgement or _last_judgement(draft)
    if stable is not None and stable.status.breached and (judgement is None or judgement.failure is None):
        return Says(FALSE, reasons.BREACHED, f"{stable.name}: {_failing(stable.status.breached)}")
    target = draft.target
    if judgement is None and target is not None and target.status.reason == reasons.EVALUATION_FAILED:
        return Says(FALSE, reasons.EVALUATION_FAILED, f"{target.name}: {target.status.message}")
    if judgement is None:
        return Says(UNKNOWN, reasons.NO_MONITORS, "no monitor has been read yet")
    if judgement.verdict is Verdict.PASS:
        return Says(TRUE, reasons.ALL_PASSING, f"{len(judgement.gating)} monitors pass")
    if (failure := judgement.failure) is not None:
        return Says(FALSE, failure.reason, f"{failure.name}: {failure.message}")
    error = judgement.verdict is Verdict.ERROR
    reason = reasons.GATES_UNANSWERED if error else reasons.GATES_INCONCLUSIVE
    told = [f"{r.name}: {r.reason}" for r in judgement.gating if r.verdict is not Verdict.PASS]
    return Says(UNKNOWN, reason, "; ".join(told))


def _watched(draft: Draft, judgement: Judgement) -> Says:
    """Of what serves: one bad minute is no breach, and no news."""
    stable = draft.stable
    assert stable is not None, "only what serves is watched"
    if breached := stable.status.breached:
        return Says(FALSE, reasons.BREACHED, f"{stable.name}: {_failing(breached)}")
    if failing := stable.status.failing:
        return Says(UNKNOWN, reasons.FAILING_BRIEFLY, f"{stable.name}: {_failing(failing)}; not long enough to tell")
    said, refusal = _monitors(draft, judgement), draft.world.environment.hook_refusal
    if said.status is TRUE and refusal:
        return Says(UNKNOWN, reasons.HOOK_NOT_ALLOWED, f"spec.watch.hook would not be told of a breach: {refusal}")
    return said


def _failing(items: list[Failing]) -> str:
    return ", ".join(f"{item.monitor} fails since {format_time(item.since)}" for item in items)


def _promoted(draft: Draft) -> Says:
    target, stable, problem = draft.target, draft.stable, draft.problem
    if draft.create is not None or (target is not None and _moving(draft) is not None and problem is None):
        return Says(UNKNOWN, reasons.HOLDING, "the release is in progress")
    if problem is not None:
        return Says(UNKNOWN if problem.transient else FALSE, problem.reason, problem.message)
    assert target is not None, "a spec without a problem has a revision, or one is being created"
    if stable is not None and target.name == stable.name:
        if stable.status.reason == reasons.RETURNED:
            return Says(FALSE, reasons.RETURNED, stable.status.message or "")
        return Says(TRUE, reasons.PROMOTED, f"{stable.name}: {stable.status.message or 'promoted'}")
    return Says(FALSE, target.status.reason or reasons.ROLLED_BACK, f"{target.name}: {target.status.message}")


def _traffic(draft: Draft) -> list[TrafficShare] | None:
    route = draft.world.route
    if route is None:
        return None
    if not route.programmed or route.intent is None:
        return draft.world.status.traffic  # what was last seen to apply
    shares = lanes.percentages(route.intent)
    return [TrafficShare(revision=name, weight=weight) for name, weight in sorted(shares.items())]


def _step(draft: Draft) -> StepStatus | None:
    candidate = draft.candidate
    step = steps.current(candidate, draft.stable) if candidate else None
    if candidate is None or step is None or candidate.status.step is None:
        return None
    plan = steps.release_plan(candidate, draft.stable)
    return StepStatus(
        index=candidate.status.step + 1,
        of=len(plan),
        kind=step.kind,
        weight=step.weight,
        started_at=candidate.status.step_started_at(),
    )


def _last_judgement(draft: Draft) -> Judgement | None:
    """What the gauges said when the target's last step was left; None before its first."""
    steps_taken = draft.target.status.steps if draft.target else []
    return Judgement(tuple(steps_taken[-1].results)) if steps_taken and steps_taken[-1].results else None


def _results(judgement: Judgement | None, before: list[MonitorResult] | None) -> list[MonitorResult] | None:
    """The results, but figures change only with the words: a live value is a metric, not a status write."""
    if judgement is None:
        return before
    known = {result.name: result for result in before or []}

    def steady(result: MonitorResult) -> MonitorResult:
        old = known.get(result.name)
        same = old is not None and (old.verdict, old.reason, old.mode) == (result.verdict, result.reason, result.mode)
        return old if old is not None and same else result

    return [steady(result) for result in judgement.results][:32]


def _condition(draft: Draft, kind: str, says: Says) -> Condition:
    before = next((c for c in draft.world.status.conditions if c.type == kind), None)
    changed: datetime = draft.now
    if before is not None and before.status == says.status:
        changed = before.last_transition_time
    return Condition(
        type=kind,
        status=says.status,
        reason=says.reason,
        message=says.message[:4096],
        last_transition_time=changed,
        observed_generation=draft.world.generation,
    )
