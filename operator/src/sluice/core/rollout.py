"""Rollout: the rules by which a release moves. Each is a small function over a :class:`Draft`.

The states of a revision, and what moves it::

                     spec asks for it     golden data passes, route shows its lane
      (none) ───────────────────────► Pending ───────────────────────► Progressing ──► Promoted
                                         │        gates pass, hold over: next step ─┘      │
                                         │                                                 │ a newer one
      RolledBack ◄── a gate fails, or ───┴── (Paused) ◄── deadline, onDeadline: Pause      │ is promoted
                     the deadline passes                                                   ▼
      Superseded ◄── the spec asks for another before it was promoted             replaced, then retired

Invariants, held by the property tests: shares sum to 100; nothing has a share before golden data passes, where
that is a gate; a share never rises unless every gate passed on the step before; Inconclusive and Error move
nothing; every release ends; a rollback goes to the revision that was promoted last.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice.api.governance import EvidenceReference
from sluice.api.modelrevision import RevisionPhase
from sluice.api.record import RecordKind
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import (
    consent,
    decisions,
    edits,
    gates,
    lanes,
    looks,
    outbox,
    reasons,
    records,
    steps,
    succession,
    watch,
)
from sluice.core.draft import Draft
from sluice.core.gates import Judgement
from sluice.core.rollback import end_late, past_deadline, roll_back
from sluice.core.seal import better
from sluice.core.steps import NO_HOLD, PlannedStep
from sluice.core.world import Revision, Workload, WorkloadState

LANE_GRACE = timedelta(seconds=2)
"""How long a failed revision stands in its lane at one millionth before the lane is handed back."""
RETIRE_GRACE = timedelta(seconds=30)
"""How long a failed workload is kept, for requests in flight and for `kubectl logs`."""

_NO_ROUTE = "the gateway has not carried out its route yet"


def advance(draft: Draft) -> None:
    """Apply every rule once, in order."""
    succession.close_replaced(draft)
    decisions.take(draft)
    succession.follow_spec(draft)
    succession.supersede(draft)
    edits.record(draft)
    consent.record(draft)
    outbox.settle(draft)
    watch.observe(draft)
    leave_lanes(draft)
    progress(draft)
    retire(draft)
    forget(draft)
    seal(draft)


def leave_lanes(draft: Draft) -> None:
    """A revision that ended hands its lane back once the gateway was seen to have taken its traffic away."""
    for revision in draft.revisions:
        finished = revision.status.finished_at
        if revision.status.lane is None or finished is None:
            continue
        base = lanes.base_of(draft.revisions)
        if base is None or revision.phase is RevisionPhase.PROMOTED:
            grace = revision.spec.rollout.rollback_window if base is not None else timedelta(0)
        elif base.name == revision.name:
            continue  # a superseded first release serves until its successor is ready
        else:
            grace = LANE_GRACE
        if draft.now < finished + grace:
            draft.wake(finished + grace)
        elif base is None or draft.routed:
            draft.update(revision, lane=None)


def progress(draft: Draft) -> None:
    """Move the target one state on, if it may."""
    target = draft.target
    if target is None or (draft.stable is not None and target.name == draft.stable.name):
        return
    if target.phase is RevisionPhase.PROMOTED:
        _return_to(draft, target)
    elif target.phase is RevisionPhase.PENDING or (target.in_progress and target.status.lane is None):
        _start(draft, target)  # there, too, one that was paused before it had a lane
    elif target.in_progress:
        _hold(draft, target)


def _return_to(draft: Draft, target: Revision) -> None:
    # It was promoted before and still runs: no steps, one write of the route.
    if draft.world.workload(target).state is not WorkloadState.READY:
        return
    if target.status.lane is None:
        if not _route_settled(draft):
            return
        target = _enter_lane(draft, target)
    reason, message = reasons.PROMOTED, "returned to a revision that was promoted before, within its rollback window"
    if target.status.reason == reasons.RETURNED:  # until the spec says so too
        reason, message = reasons.RETURNED, target.status.message or message
    draft.enter(
        target,
        RevisionPhase.PROMOTED,
        reason,
        message,
        promoted_at=_promotion(draft),
        finished_at=None,
        failing=[],
        breached=[],
    )
    draft.say(reasons.PROMOTED, f"{target.name}: {message}", target)


def _start(draft: Draft, revision: Revision) -> None:
    if consent.rejected(draft, revision):
        return
    if revision.status.started_at is None:
        if not consent.granted(draft, revision):
            return
        revision = draft.update(draft.latest(revision), started_at=draft.now)
        draft.note(
            revision, RecordKind.STARTED, reasons.STARTED, "nothing stands against it; its workload is asked for"
        )
    workload = draft.world.workload(revision)
    if workload.state is WorkloadState.READY and revision.status.ready_at is None:
        revision = draft.update(revision, ready_at=draft.now)  # no record: nothing is decided by that alone
    judged = gates.judge_workload(draft.world, revision, draft.now)
    examined = _examined(draft, revision)
    awaited = () if decisions.hurried(revision) else examined.awaited
    if judged.verdict is Verdict.FAIL:
        said = judged.message if judged.message.startswith(judged.reason) else f"{judged.reason}: {judged.message}"
        roll_back(draft, revision, reasons.WORKLOAD_UNHEALTHY, said)
    elif (failure := examined.failure) is not None:
        _note_examined(draft, revision, examined)
        roll_back(draft, revision, reasons.EVALUATION_FAILED, f"{failure.name}: {failure.message}")
    elif revision.phase is RevisionPhase.PAUSED:
        return
    elif past_deadline(draft, revision):
        end_late(draft, revision, _not_started(workload, awaited))
    elif workload.state is not WorkloadState.READY:
        _await_workload(draft, revision, workload)
    elif awaited:
        draft.enter(revision, RevisionPhase.PENDING, reasons.EVALUATING, _awaiting(awaited))
    elif revision.status.lane is None and _route_settled(draft):
        _note_examined(draft, revision, examined)
        _enter_lane(draft, revision)
    elif revision.status.lane is None or not draft.routed:
        message = f"the workload is ready; {_NO_ROUTE}"
        draft.enter(revision, RevisionPhase.PENDING, reasons.ROUTE_NOT_PROGRAMMED, message)
    else:
        step = steps.release_plan(revision, draft.stable)[0]
        revision = draft.enter(revision, RevisionPhase.PROGRESSING, reasons.WORKLOAD_READY, "the workload is ready")
        draft.open_step(revision, 0, step.weight)


def _await_workload(draft: Draft, revision: Revision, workload: Workload) -> None:
    message = f"waiting for the workload: {workload.message}"
    reason = workload.reason or reasons.WORKLOAD_STARTING
    if revision.status.reason == reasons.EVALUATING:
        reason = reasons.EVALUATING  # it was ready once, and golden data is still what it waits for
    draft.enter(revision, RevisionPhase.PENDING, reason, message)
    if revision.status.ready_at is None:
        draft.wake(gates.asked_for(revision) + gates.workload_limits(draft.world, revision)[1].start_timeout)


def _examined(draft: Draft, revision: Revision) -> Judgement:
    """What golden data says of it, as long as it has no lane: in one, it has traffic."""
    if revision.status.lane is not None:
        return Judgement(())
    return gates.examined(draft.world, revision, draft.stable)


def _note_examined(draft: Draft, revision: Revision, examined: Judgement) -> None:
    for result in examined.results:
        if result.observed_at is not None and not gates.unfinished(result):
            _note_verdict(draft, revision, result, "evaluation")


def _awaiting(awaited: tuple[MonitorResult, ...]) -> str:
    return f"waiting for {', '.join(f'{r.name} ({r.verdict}: {r.message})' for r in awaited)}"


def _not_started(workload: Workload, awaited: tuple[MonitorResult, ...]) -> str:
    if workload.state is not WorkloadState.READY:
        return f"its workload is not ready: {workload.message}"
    return _awaiting(awaited) if awaited else _NO_ROUTE


def _promotion(draft: Draft) -> datetime:
    return draft.later_than(draft.stable.status.promoted_at if draft.stable else None)


def _enter_lane(draft: Draft, revision: Revision) -> Revision:
    base = lanes.base_of(draft.revisions)
    home = base.status.lane if base is not None and base.status.lane is not None else 1
    lane = 1 - home
    for other in draft.revisions:
        if other.status.lane == lane and other.name != revision.name:
            draft.update(other, lane=None)
    return draft.update(revision, lane=lane)


def _hold(draft: Draft, revision: Revision) -> None:
    stable = draft.stable
    step, record = steps.current(revision, stable), revision.status.current_step()
    if step is None or record is None:
        # A crash between the phase and the record cannot happen (one write), a hand-edited status can.
        draft.open_step(revision, 0, steps.release_plan(revision, stable)[0].weight)
        return
    judgement = gates.judge(draft.world, revision, step, stable, draft.now)
    if (failure := judgement.failure) is not None:
        kind = _kind(draft, revision, failure)
        roll_back(draft, revision, kind, f"{failure.name}: {failure.message}", judgement)
    elif consent.rejected(draft, revision):
        return
    elif record.started_at is None:
        _begin_step(draft, revision, step)
    elif revision.phase is RevisionPhase.PAUSED:
        return
    elif past_deadline(draft, revision):
        end_late(draft, revision, _waiting(judgement), judgement)
    else:
        _watch(draft, revision, step, record.started_at, judgement)


def _begin_step(draft: Draft, revision: Revision, step: PlannedStep) -> None:
    if draft.routed:
        revision = draft.record(revision, started_at=draft.now)
        plan = steps.release_plan(revision, draft.stable)
        index = (revision.status.step or 0) + 1
        copies = f", {step.mirror} % mirrored" if step.mirror else ""
        message = f"{revision.name}: step {index} of {len(plan)}, {step.weight} % of the traffic{copies}"
        draft.note(revision, RecordKind.STEP_STARTED, reasons.STEP_STARTED, message)
        draft.say(reasons.STEP_STARTED, message, revision)
        draft.wake(draft.now + step.hold)
    elif past_deadline(draft, revision):
        end_late(draft, revision, "the gateway did not carry out the step")


def _watch(draft: Draft, revision: Revision, step: PlannedStep, started: datetime, judgement: Judgement) -> None:
    if fresh := gates.planned_looks(draft.world, revision, judgement):
        revision = draft.record(revision, results=[*revision.status.steps[-1].results, *fresh])
        for look in fresh:
            _note_verdict(draft, revision, look)
    if draft.now < started + step.hold:
        draft.wake(looks.next_due(started, step.hold, draft.now))
        return
    past_deadline(draft, revision)  # not yet: wakes us when it is
    if draft.problem is not None or draft.create is not None:
        return  # the spec asks for something else: this one may fall, but not rise
    # Arriving at 100 % without a hold, every gate has passed already. A first release has all the traffic
    # and nothing to return to: it must be ready, and no gate may have failed.
    arrived = step.weight == 100 and step.hold == NO_HOLD and draft.stable is not None
    first = draft.stable is None and judgement.results[0].verdict is Verdict.PASS
    ready = judgement.verdict is Verdict.PASS or arrived or first
    if ready and consent.granted(draft, revision):
        _next_step(draft, draft.latest(revision), judgement)


def _note_verdict(draft: Draft, revision: Revision, look: MonitorResult, document: str = "report") -> None:
    digest = look.evidence.digest if look.evidence else None
    evidence = (EvidenceReference(name=f"{document}/{look.name}", digest=digest),) if digest else ()
    message = f"{look.name} {look.verdict}: {look.message}"
    draft.note(revision, RecordKind.VERDICT_GIVEN, look.reason, message, evidence=evidence)


def _next_step(draft: Draft, revision: Revision, judgement: Judgement) -> None:
    plan = steps.release_plan(revision, draft.stable)
    revision = draft.close_step(revision, judgement)
    index = (revision.status.step or 0) + 1
    if index < len(plan):
        draft.open_step(revision, index, plan[index].weight)
        return
    unread = judgement.waiting_for if draft.stable is None else ()
    message = "every gate passed on every step" if draft.stable else "first release: ready, and no gate failed"
    if decisions.hurried(revision):
        message = "a person promoted it past its gates, and none failed at its last step"
    message += f" ({', '.join(unread)} could not tell yet)" if unread else ""
    draft.enter(revision, RevisionPhase.PROMOTED, reasons.PROMOTED, message, promoted_at=_promotion(draft))
    draft.say(reasons.PROMOTED, f"{revision.name}: {message}", revision)


def _kind(draft: Draft, revision: Revision, failure: MonitorResult) -> str:
    for use in revision.spec.monitors:
        monitor = draft.world.monitor(use) if use.name == failure.name else None
        if monitor is not None and monitor.slo is not None:
            return reasons.SLO_BREACHED
        if monitor is not None and monitor.drift is not None:
            return reasons.DRIFT_DETECTED
        if monitor is not None and monitor.webhook is not None:
            return reasons.WEBHOOK_FAILED
        if monitor is not None and monitor.performance is not None:
            return reasons.PERFORMANCE_DEGRADED
    return reasons.WORKLOAD_UNHEALTHY


def _waiting(judgement: Judgement) -> str:
    waiting = [f"{r.name} ({r.verdict}: {r.message})" for r in judgement.gating if r.verdict is not Verdict.PASS]
    return f"waiting for {', '.join(waiting)}" if waiting else "the holds were not over"


def retire(draft: Draft) -> None:
    """Remove the workload of a revision that has left the route for good."""
    for revision in draft.revisions:
        finished = revision.status.finished_at
        target = draft.target
        if (
            finished is None
            or not revision.running
            or revision.status.lane is not None
            or (target is not None and revision.name == target.name and revision.phase is RevisionPhase.PROMOTED)
        ):
            continue
        rolled_back = revision.phase is RevisionPhase.ROLLED_BACK
        grace = RETIRE_GRACE if rolled_back else LANE_GRACE
        if revision.phase is RevisionPhase.PROMOTED:
            grace = revision.spec.rollout.rollback_window
        if draft.now < finished + grace:
            draft.wake(finished + grace)
        elif _route_settled(draft):
            draft.note(
                draft.update(revision, retired_at=draft.now),
                RecordKind.RETIRED,
                reasons.RETIRED,
                "its workload is removed",
            )
            draft.say(reasons.RETIRED, f"{revision.name}: its workload is removed", revision)


def _route_settled(draft: Draft) -> bool:
    """Whether the gateway was seen to send nothing outside the present intent: before that, nothing is removed."""
    return draft.routed if draft.intent is not None else draft.world.route is None


def forget(draft: Draft) -> None:
    """Delete the oldest finished revisions beyond the history limit; never one that still has a workload."""
    target = draft.target  # forgetting what the spec asks for would release it again
    retired = [
        r
        for r in draft.revisions
        if not r.running and (target is None or r.name != target.name) and records.may_be_forgotten(r)
    ]
    excess = len(retired) - draft.world.spec.rollout.revision_history_limit
    draft.forget.extend(revision.name for revision in retired[: max(0, excess)])


def seal(draft: Draft) -> None:
    """Note how far each chain is signed and anchored."""
    for revision in draft.revisions:
        sealed = draft.world.oversight.seals.get(revision.name)
        if sealed is not None and better(sealed, revision.status.seal):
            draft.update(revision, seal=sealed)  # no record: it would want to be sealed in turn
