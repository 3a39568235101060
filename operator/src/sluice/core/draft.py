"""Draft: a decision in the making. The rules in ``rollout.py`` write into it; nothing else does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sluice.api.modelrevision import ModelRevisionStatus, RevisionPhase, StepRecord
from sluice.core import attachment, lanes
from sluice.core.plan import Event, EventType, NewRevision, StatusWrite
from sluice.core.preflight import Problem
from sluice.core.world import Revision, RouteIntent, WorkloadState, World


class Draft:
    """The world's revisions with the changes made so far, and what has been decided beside them.

    Later rules see what earlier ones changed. Every change is one status write of one revision, and any
    prefix of the writes leaves a world from which the rules carry on.
    """

    def __init__(self, world: World, now: datetime) -> None:
        self.world = world
        self.now = now
        self.problem: Problem | None = None
        """Why the stated spec cannot be released, if it asks for anything new."""
        self.obstacle = attachment.obstacle(world)
        """Why the route cannot be where the spec wants it, and stays where it is."""
        self.create: NewRevision | None = None
        self.forget: list[str] = []
        self.events: list[Event] = []
        self._revisions = {revision.name: revision for revision in world.revisions}
        self._changed: dict[str, ModelRevisionStatus] = {}
        self._alarm: datetime | None = None
        self._ready = {r.name for r in world.revisions if world.workload(r).state is WorkloadState.READY}

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """All revisions as they will be, in order of their numbers."""
        return tuple(sorted(self._revisions.values(), key=lambda revision: revision.number))

    @property
    def stable(self) -> Revision | None:
        """The revision that was promoted last."""
        return lanes.stable_of(self.revisions)

    @property
    def target(self) -> Revision | None:
        """The revision that the spec asked for last."""
        return lanes.target_of(self.revisions)

    @property
    def candidate(self) -> Revision | None:
        """The target while its release is in progress."""
        target = self.target
        return target if target is not None and target.in_progress else None

    @property
    def intent(self) -> RouteIntent | None:
        """What the route must say, by the changes made so far."""
        return lanes.intent(self.revisions, self._ready)

    @property
    def routed(self) -> bool:
        """Whether the gateway was seen to carry out the present intent."""
        intent, route = self.intent, self.world.route
        there = route is not None and route.attachment in (None, attachment.wanted(self.world))
        return there and intent is not None and route is not None and route.shows(intent)

    def later_than(self, earlier: datetime | None) -> datetime:
        """Now, but strictly after ``earlier``.

        Order among revisions is order in time, and the clock of a new leader may be behind that of the last.
        """
        return self.now if earlier is None or self.now > earlier else earlier + timedelta(microseconds=1)

    def update(self, revision: Revision, **changes: Any) -> Revision:
        """Change fields of a revision's status; writes nothing if they already hold."""
        current = self._revisions[revision.name]
        status = current.status.model_copy(update=changes)
        if status == current.status:
            return current
        updated = Revision(current.name, current.spec, status)
        self._revisions[revision.name] = updated
        self._changed.pop(revision.name, None)  # to the end: a lane is vacated before it is entered
        self._changed[revision.name] = status
        return updated

    def enter(self, revision: Revision, phase: RevisionPhase, reason: str, message: str, **changes: Any) -> Revision:
        """Move a revision to a phase, saying why."""
        return self.update(revision, phase=phase, reason=reason, message=message[:1024], **changes)

    def record(self, revision: Revision, **changes: Any) -> Revision:
        """Change the record of the revision's current step."""
        *before, last = revision.status.steps
        return self.update(revision, steps=[*before, last.model_copy(update=changes)])

    def open_step(self, revision: Revision, index: int, weight: int) -> Revision:
        """Begin the record of a step; it counts as started only once the gateway was seen to apply it."""
        records = [*revision.status.steps, StepRecord(index=index, weight=weight)][-64:]
        return self.update(revision, step=index, steps=records)

    def say(self, reason: str, message: str, revision: Revision | None = None, *, warn: bool = False) -> None:
        """Tell people, once: an Event, a log line, a count."""
        kind = EventType.WARNING if warn else EventType.NORMAL
        self.events.append(Event(kind, reason, message[:1024], revision.name if revision else None))

    def wake(self, at: datetime) -> None:
        """Decide again at this time, if nothing happens before."""
        if self._alarm is None or at < self._alarm:
            self._alarm = at

    @property
    def requeue_after(self) -> timedelta | None:
        """How long until the earliest alarm."""
        return max(self._alarm - self.now, timedelta(0)) if self._alarm is not None else None

    @property
    def writes(self) -> tuple[StatusWrite, ...]:
        """The changed statuses, in the order in which they last changed."""
        return tuple(StatusWrite(name, status) for name, status in self._changed.items())
