"""Plan: the steps of one revision's release, each with where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sluice.api.modelrevision import RevisionPhase, StepRecord
from sluice.api.verdict import MonitorResult
from sluice.cli.release import Release
from sluice.core import steps
from sluice.core.steps import PlannedStep, StepKind
from sluice.core.world import Revision


class StepState(StrEnum):
    """Where a step stands."""

    DONE = "Done"
    CURRENT = "Current"
    FAILED = "Failed"
    """The release ended here, badly."""
    AHEAD = "Ahead"


@dataclass(frozen=True)
class StepView:
    """One step as people see it."""

    number: int
    """Counted from 1."""
    kind: StepKind
    weight: int
    mirror: int
    hold: timedelta
    role: str
    state: StepState
    started_at: datetime | None
    finished_at: datetime | None
    results: tuple[MonitorResult, ...]


def steps_of(release: Release, revision: Revision) -> tuple[StepView, ...]:
    """The steps of a revision's release, taken or ahead; none of a release that ended before its first."""
    live = revision.name == release.status.candidate_revision
    return steps_among(release.revisions, revision, (release.status.monitors or ()) if live else ())


def steps_among(
    revisions: Sequence[Revision], revision: Revision, latest: Sequence[MonitorResult] = ()
) -> tuple[StepView, ...]:
    """The steps of a revision's release.

    Args:
        revisions: all that there are of its deployment.
        revision: whose steps.
        latest: what the monitors say now, if its release is the one in progress: for its current step.
    """
    stated = revision.spec.rollout.steps
    plan = steps.first_release(stated) if _first(revisions, revision) else steps.planned(stated)
    taken = {record.index: record for record in revision.status.steps}
    last = revision.status.steps[-1].index if revision.status.steps else -1
    views = []
    for index, step in enumerate(plan):
        record = taken.get(index)
        state = _state(revision, index, last, record)
        results = tuple(latest) if latest and state is StepState.CURRENT else tuple(record.results if record else ())
        role = _role(revision, index, step)
        views.append(
            StepView(
                number=index + 1,
                kind=step.kind,
                weight=step.weight,
                mirror=step.mirror,
                hold=step.hold,
                role=role,
                state=state,
                started_at=record.started_at if record else None,
                finished_at=record.finished_at if record else None,
                results=results,
            )
        )
    return tuple(views)


def _first(revisions: Sequence[Revision], revision: Revision) -> bool:
    """Whether there was nothing stable when it was released."""
    taken = revision.status.steps
    if taken and taken[0].index == 0:  # what was done says more than what is still known of earlier revisions
        alone, split = steps.first_release(revision.spec.rollout.steps), steps.planned(revision.spec.rollout.steps)
        if alone[0].weight != split[0].weight:
            return taken[0].weight == alone[0].weight
    mine = revision.status.promoted_at
    earlier = [r.status.promoted_at for r in revisions if r.name != revision.name]
    return not any(other is not None and (mine is None or other < mine) for other in earlier)


def _state(revision: Revision, index: int, last: int, record: StepRecord | None) -> StepState:
    if revision.in_progress and revision.status.step == index:
        return StepState.CURRENT
    if record is None:
        return StepState.AHEAD
    if revision.phase is RevisionPhase.ROLLED_BACK and index == last:
        return StepState.FAILED
    return StepState.DONE


def _role(revision: Revision, index: int, step: PlannedStep) -> str:
    stated = revision.spec.rollout.steps
    if step.kind is not StepKind.APPROVAL or index >= len(stated):
        return ""
    approval = stated[index].approval
    return approval.role if approval else ""
