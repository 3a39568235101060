"""Decide: one World and a time in, one Plan out. The whole of Sluice's judgement is behind this function."""

from __future__ import annotations

from datetime import datetime

from sluice.api.modelrevision import RevisionPhase
from sluice.core import gates, outbox, rollout, status, watch
from sluice.core.draft import Draft
from sluice.core.plan import Plan
from sluice.core.world import WorkloadState, World


def decide(world: World, now: datetime) -> Plan:
    """What to do about one ModelDeployment.

    Pure: the same world and time give the same plan, so a record of the one proves the other. Deciding
    again on a world in which the plan was carried out, in whole or up to any write, asks for the rest.
    """
    draft = Draft(world, now)
    rollout.advance(draft)
    running = [
        r for r in draft.revisions if r.running and (r.status.started_at or r.phase is not RevisionPhase.PENDING)
    ]
    gone = [revision for revision in draft.revisions if not revision.running]
    candidate = draft.candidate
    return Plan(
        evidence=draft.evidence,
        statuses=draft.writes,
        answers=tuple(draft.answers),
        create=draft.create,
        run=tuple(revision.name for revision in running),
        route=draft.intent,
        retire=tuple(r.name for r in gone if world.workload(r).state is not WorkloadState.ABSENT),
        forget=tuple(draft.forget),
        status=status.derive(draft),
        events=tuple(draft.events),
        questions=draft.questions,
        evaluations=(
            *(gates.evaluations(world, draft.revisions, candidate, draft.stable, now) if candidate else ()),
            *watch.evaluations(draft),
        ),
        outgoing=outbox.outgoing(draft),
        requeue_after=draft.requeue_after,
    )
