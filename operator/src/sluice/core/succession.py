"""Succession: which revision the stated spec asks for, whether it must be made, and what ends because of it."""

from __future__ import annotations

from datetime import datetime

from sluice.api.modelrevision import ModelRevisionSpec, ResolvedModel, RevisionPhase
from sluice.api.record import ChainLink, RecordKind
from sluice.core import decisions, identity, lanes, looks, preflight, reasons, records
from sluice.core.draft import Draft
from sluice.core.governance import policy
from sluice.core.plan import NewRevision
from sluice.core.world import Resolved, Revision, World


def settled(world: World) -> bool:
    """Whether the newest target already answers the stated spec, so that nothing need be resolved."""
    target = lanes.target_of(world.revisions)
    return target is not None and _answers(world, target)


def close_replaced(draft: Draft) -> None:
    """An earlier stable revision left the traffic when its successor was promoted."""
    stable = draft.stable
    for revision in draft.revisions:
        if (
            stable is not None
            and revision.name != stable.name
            and revision.phase is RevisionPhase.PROMOTED
            and revision.status.finished_at is None
        ):
            draft.update(revision, finished_at=stable.status.promoted_at)
            message = f"{stable.name} was promoted in its place"
            draft.note(revision, RecordKind.REPLACED, reasons.REPLACED, message)


def follow_spec(draft: Draft) -> None:
    """Make the revision that the spec asks for, or turn back to one that still runs."""
    world, target = draft.world, draft.target
    if target is not None and _answers(world, target):
        if decisions.retried(target):
            draft.create = _again(draft, target)
        return
    draft.problem = preflight.problem(world)
    if draft.problem is not None or not isinstance(world.resolution, Resolved):
        return
    source = identity.source(world.spec)
    workload = identity.workload(world.resolution.model, world.spec.serving)
    plan = identity.plan(world.spec)
    if target is not None and target.in_progress and (target.spec.identity, target.spec.plan) == (workload, plan):
        draft.update(target, source=source)  # stated differently, meaning the same
        return
    asked_at = draft.later_than(target.targeted_at if target else None)
    reusable = _reusable(draft, workload)
    if reusable is not None:
        message = f"the spec asks for {reusable.name} again, which still runs"
        reusable = draft.update(
            reusable, source=source, targeted_at=asked_at, reason=reasons.REVISION_REUSED, message=message
        )
        draft.note(reusable, RecordKind.REUSED, reasons.REVISION_REUSED, message)
        draft.say(reasons.REVISION_REUSED, message, reusable)
        return
    draft.create = _new_revision(draft, world.resolution.model, asked_at)


def supersede(draft: Draft) -> None:
    """A release that the spec no longer asks for ends; its traffic returns to the stable revision."""
    target = draft.target
    for revision in draft.revisions:
        if target is not None and revision.in_progress and revision.name != target.name:
            message = f"the spec asked for {target.name} before this one was promoted"
            draft.enter(
                draft.close_step(revision),
                RevisionPhase.SUPERSEDED,
                reasons.SUPERSEDED,
                message,
                finished_at=draft.now,
            )
            draft.say(reasons.SUPERSEDED, f"{revision.name}: {message}", revision)


def _answers(world: World, target: Revision) -> bool:
    if target.source != identity.source(world.spec):
        return False
    # A plan edited in mid-release is a new release: the record must name the plan that judged it, and what was
    # stated about it.
    return not target.in_progress or target.spec.plan == identity.plan(world.spec)


def _again(draft: Draft, target: Revision) -> NewRevision:
    """A person asked for what was rolled back once more: a release of its own, by the plan as it is now."""
    return _new_revision(draft, target.spec.model, draft.later_than(target.targeted_at))


def _reusable(draft: Draft, workload: str) -> Revision | None:
    stable = draft.stable
    same = [
        r
        for r in draft.revisions
        if r.spec.identity == workload
        and r.phase is RevisionPhase.PROMOTED
        and r.running
        and not (r.status.breached and r.status.finished_at)  # what was taken back goes through its gates again
    ]
    if stable is not None and stable in same:
        return stable
    return max(same, key=lambda r: r.number, default=None)


def _new_revision(draft: Draft, model: ResolvedModel, asked_at: datetime) -> NewRevision:
    world = draft.world
    number = max((revision.number for revision in world.revisions), default=0) + 1
    spec = ModelRevisionSpec(
        deployment=world.name,
        revision=number,
        identity=identity.workload(model, world.spec.serving),
        plan=identity.plan(world.spec),
        source=identity.source(world.spec),
        requested_at=asked_at,
        model=model,
        serving=world.spec.serving,
        rollout=world.spec.rollout,
        monitors=world.spec.monitors,
        looks=list(looks.plan(world, world.spec.rollout.steps, world.spec.monitors, draft.stable)),
        governance=world.spec.governance,
        policies=list(policy.pinned(world.oversight.policies)),
        requester=world.oversight.requester,
        previous=_link(world),
    )
    made = NewRevision(f"{world.name}-r{number}", spec)
    draft.say(reasons.REVISION_CREATED, f"{made.name}: model {model.name} version {model.version}, {model.digest}")
    return made


def _link(world: World) -> ChainLink | None:
    """Where the records of the latest revision stand: the next one's go on from there."""
    if not world.revisions:
        return None
    last = world.revisions[-1]
    head = records.head(last.spec, last.status)
    return ChainLink(revision=last.name, sequence=head.sequence, hash=head.hash) if head.sequence >= 0 else None
