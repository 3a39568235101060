"""Measures: what a decision ended, counted when it is on record."""

from __future__ import annotations

from sluice.api.modelrevision import ModelRevisionStatus, RevisionPhase
from sluice.core.plan import Plan
from sluice.core.world import Revision, World
from sluice.edges import metrics

_ENDS = (RevisionPhase.PROMOTED, RevisionPhase.ROLLED_BACK, RevisionPhase.SUPERSEDED)


def count(world: World, plan: Plan) -> None:
    """Observe the duration of every release and every step that the plan brings to its end."""
    before = {revision.name: revision for revision in world.revisions}
    for write in plan.statuses:
        _release(world, before[write.revision], write.status)
        _steps(world, before[write.revision], write.status)


def _release(world: World, old: Revision, new: ModelRevisionStatus) -> None:
    ended_at = new.promoted_at if new.phase is RevisionPhase.PROMOTED else new.finished_at
    if old.in_progress and new.phase in _ENDS and ended_at is not None:
        seconds = (ended_at - old.targeted_at).total_seconds()
        metrics.ROLLOUT_DURATION.labels(world.namespace, world.name, new.phase).observe(seconds)


def _steps(world: World, old: Revision, new: ModelRevisionStatus) -> None:
    still_open = {record.index for record in old.status.steps if record.finished_at is None}
    for record in new.steps:
        if record.index in still_open and record.started_at is not None and record.finished_at is not None:
            seconds = (record.finished_at - record.started_at).total_seconds()
            metrics.STEP_DURATION.labels(world.namespace, world.name).observe(seconds)
