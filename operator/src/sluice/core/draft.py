"""Draft: a decision in the making. The rules in ``rollout.py`` write into it; nothing else does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sluice.api.base import Condition, ConditionStatus
from sluice.api.governance import EvidenceReference
from sluice.api.governanceevidence import EvidenceKind
from sluice.api.governancepolicy import Before
from sluice.api.modelrevision import ModelRevisionStatus, RevisionPhase, StepRecord
from sluice.api.record import RecordKind
from sluice.core import archive, attachment, document, identity, lanes, records
from sluice.core.archive import Move
from sluice.core.gates import Judgement
from sluice.core.governance import review
from sluice.core.governance.custom import Question
from sluice.core.governance.facts import Decision, Waiver
from sluice.core.governance.review import Obstacle, Review
from sluice.core.plan import ActKind, Answer, Event, EventType, NewEvidence, NewRevision, StatusWrite
from sluice.core.preflight import Problem
from sluice.core.records import OPERATOR, RECORDED_PHASES, Entry
from sluice.core.world import Revision, RouteIntent, WorkloadState, World

_LONGEST = 1024
"""Characters of a message, as the CRDs have it."""


class Draft:
    """The world's revisions with the changes made so far, and what has been decided beside them.

    What people and reviewers are told of it, the records, is made when all is decided, in the order of the writes.
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
        self.answers: list[Answer] = []
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        self._reviews: dict[str, Review | None] = {}
        self._revisions = {r.name: r for r in sorted(world.revisions, key=lambda r: r.number)}
        self._changed: dict[str, ModelRevisionStatus] = {}
        self._alarm: datetime | None = None
        self._ready = {r.name for r in world.revisions if world.workload(r).state is WorkloadState.READY}

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """All revisions as they will be, in order of their numbers."""
        return tuple(self._revisions.values())

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
        if changes.get("message"):
            changes["message"] = changes["message"][:_LONGEST]
        status = current.status.model_copy(update=changes)
        if status == current.status:
            return current
        updated = replace(current, status=status)
        self._revisions[revision.name] = updated
        self._changed.pop(revision.name, None)  # to the end: a lane is vacated before it is entered
        self._changed[revision.name] = status
        return updated

    def enter(self, revision: Revision, phase: RevisionPhase, reason: str, message: str, **changes: Any) -> Revision:
        """Move a revision to a phase, saying why; on record, where that means something."""
        before = self._revisions[revision.name]
        revision = self.update(revision, phase=phase, reason=reason, message=message, **changes)
        resumed = before.phase is RevisionPhase.PAUSED and phase is RevisionPhase.PROGRESSING
        kind = RecordKind.RESUMED if resumed else RECORDED_PHASES.get(phase)
        if kind is not None and revision.status != before.status:
            self.note(revision, kind, reason, message)
        return revision

    def latest(self, revision: Revision) -> Revision:
        """A revision with all the changes made to it so far."""
        return self._revisions[revision.name]

    def record(self, revision: Revision, **changes: Any) -> Revision:
        """Change the record of the revision's current step."""
        *before, last = revision.status.steps
        return self.update(revision, steps=[*before, last.model_copy(update=changes)])

    def open_step(self, revision: Revision, index: int, weight: int) -> Revision:
        """Begin the record of a step; it counts as started only once the gateway was seen to apply it."""
        records = [*revision.status.steps, StepRecord(index=index, weight=weight)][-64:]
        return self.update(revision, step=index, steps=records)

    def close_step(self, revision: Revision, judgement: Judgement | None = None) -> Revision:
        """End the record of the current step, with what the gates said if they were asked."""
        record = revision.status.current_step()
        if record is None or record.finished_at is not None:
            return revision
        results = {} if judgement is None else {"results": list(judgement.results)[:32]}
        revision = self.record(revision, finished_at=self.now, **results)
        closed = revision.status.steps[-1]
        said = ", ".join(f"{result.name} {result.verdict}" for result in closed.results)
        self.note(
            revision,
            RecordKind.STEP_FINISHED,
            "StepFinished",
            f"step {closed.index + 1}, {closed.weight} % of the traffic: {said or 'no gate was asked'}",
            evidence=(EvidenceReference(name="step", digest=identity.content(closed)),),
        )
        return revision

    def wait(self, revision: Revision) -> Revision:
        """The release waits for people from now on, if it did not already; its deadline stands still."""
        if revision.status.waiting_since is not None:
            return revision
        return self.update(revision, waiting_since=self.now)

    def go_on(self, revision: Revision) -> Revision:
        """It waits no longer."""
        since = revision.status.waiting_since
        if since is None:
            return revision
        return self.update(revision, waiting_since=None, waited=revision.status.waited + (self.now - since))

    def note(
        self,
        revision: Revision,
        kind: RecordKind,
        reason: str,
        message: str,
        *,
        actor: str = OPERATOR,
        evidence: tuple[EvidenceReference, ...] = (),
    ) -> None:
        """Put something on the revision's record."""
        self._entries[revision.name].append(Entry(kind, reason, message[:_LONGEST], actor, evidence))
        self._changed.setdefault(revision.name, self._revisions[revision.name].status)

    def review(self, revision: Revision) -> Review | None:
        """What governance says of a revision, by what was seen when this decision began."""
        if revision.name not in self._reviews:
            seen = self._revisions[revision.name]
            self._reviews[revision.name] = review.of(self.world, seen, self.stable, self.now)
        return self._reviews[revision.name]

    def obstacles(self, revision: Revision, before: Before) -> tuple[Obstacle, ...]:
        """What governance holds against going on to a point; nothing, where nothing governs."""
        found = self.review(revision)
        return found.obstacles(before) if found is not None else ()

    @property
    def questions(self) -> tuple[Question, ...]:
        """Custom rules whose outcome decides, or was decided by, here: all of them, answered or not."""
        known = [found for found in self._reviews.values() if found is not None]
        return tuple({q.key: q for found in known for q in found.custom.questions}.values())

    def answer(self, act: Decision | Waiver, status: ConditionStatus, reason: str, message: str) -> None:
        """Tell a person what came of their decision or exception, if that is news."""
        before = act.answer
        if before is not None and (before.status, before.reason) == (status, reason):
            return
        changed = before.last_transition_time if before is not None and before.status == status else self.now
        said = Condition(
            type="Accepted", status=status, reason=reason, message=message[:4096], last_transition_time=changed
        )
        kind = ActKind.DECISION if isinstance(act, Decision) else ActKind.EXCEPTION
        self.answers.append(Answer(kind, act.name, said))

    def say(self, reason: str, message: str, revision: Revision | None = None, *, warn: bool = False) -> None:
        """Tell people, once: an Event, a log line, a count."""
        kind = EventType.WARNING if warn else EventType.NORMAL
        self.events.append(Event(kind, reason, message[:_LONGEST], revision.name if revision else None))

    def wake(self, at: datetime) -> None:
        """Decide again at this time, if nothing happens before."""
        if self._alarm is None or at < self._alarm:
            self._alarm = at

    @property
    def requeue_after(self) -> timedelta | None:
        """How long until the earliest alarm."""
        return max(self._alarm - self.now, timedelta(0)) if self._alarm is not None else None

    @cached_property
    def _moves(self) -> dict[str, Move]:
        """Older records that must leave a status, by revision; asked when all is decided."""
        found = {}
        for name, status in self._changed.items():
            entries = self._recorded(name)
            move = archive.due(name, status, len(entries) + 1) if entries else None
            if move is not None:
                found[name] = move
        return found

    @cached_property
    def _inputs(self) -> str:
        return document.text(records.inputs(self.world, self._moves))

    @property
    def evidence(self) -> tuple[NewEvidence, ...]:
        """What the records of this decision refer to."""
        recorded = [self._revisions[name] for name in self._changed if self._recorded(name)]
        if not recorded:
            return ()
        owner = max(recorded, key=lambda revision: revision.number)
        basis = NewEvidence(owner.name, EvidenceKind.INPUTS, document.digest(self._inputs), self._inputs)
        moved = [NewEvidence(m.revision, EvidenceKind.RECORDS, m.digest, m.document) for m in self._moves.values()]
        return (basis, *moved)

    @property
    def writes(self) -> tuple[StatusWrite, ...]:
        """The changed statuses with their records, in the order in which they last changed."""
        return tuple(self._write(name, status) for name, status in self._changed.items())

    def _write(self, name: str, status: ModelRevisionStatus) -> StatusWrite:
        entries = self._recorded(name)
        move = self._moves.get(name)
        if move is None:
            return StatusWrite(name, self._with_records(name, status, entries))
        moved = self._with_records(name, move.applied(status), [*entries, move.entry])
        return StatusWrite(name, moved, unmoved=self._with_records(name, status, entries))

    def _recorded(self, name: str) -> list[Entry]:
        """What is to be put on a revision's record: of a new one, first that it was made."""
        revision = self._revisions[name]
        fresh = not revision.status.records and revision.status.archived is None
        return ([records.created(revision)] if fresh else []) + self._entries[name]

    def _with_records(self, name: str, status: ModelRevisionStatus, entries: list[Entry]) -> ModelRevisionStatus:
        if not entries:
            return status
        basis = EvidenceReference(name="inputs", digest=document.digest(self._inputs))
        after = EvidenceReference(name="state", digest=records.state(status))
        *others, last = [replace(entry, evidence=(*entry.evidence, basis)) for entry in entries]
        last = replace(last, evidence=(*last.evidence, after))
        at = records.head(self._revisions[name].spec, status)
        return status.model_copy(update={"records": [*status.records, *records.chained(at, [*others, last], self.now)]})
