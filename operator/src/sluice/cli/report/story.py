"""Story: one revision's release, read from a dossier into typed parts. Nothing is said yet; ``page.py`` words it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError

from sluice.api.base import Resource
from sluice.api.modeldeployment import ModelDeploymentStatus
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus, RevisionPhase
from sluice.api.record import Record, RecordKind
from sluice.cli import plan
from sluice.cli.plan import StepView
from sluice.cli.report.library import Library
from sluice.cli.trouble import Exit, Trouble
from sluice.core.dossier import Dossier
from sluice.core.objects import Object
from sluice.core.world import Revision, World

R = TypeVar("R", bound=Resource)

_ENDS = (RecordKind.PROMOTED, RecordKind.ROLLED_BACK, RecordKind.SUPERSEDED)


@dataclass(frozen=True)
class Wait:
    """A time in which the release stood still for people."""

    start: datetime
    end: datetime
    paused: bool
    """Whether somebody, or the deadline, had paused it; otherwise it waited for approvals or controls."""


@dataclass(frozen=True)
class Story:
    """One release and everything that is kept about it."""

    dossier: Dossier
    revision: Revision
    revisions: tuple[Revision, ...]
    """All of the deployment that are kept, in order of their numbers."""
    status: ModelDeploymentStatus
    """The deployment's, as it was when the dossier was taken; empty if it is gone."""
    uid: str
    """The deployment's metadata.uid; empty if it is gone."""
    library: Library
    missing: tuple[str, ...] = ()
    """What could not be read, in sentences."""

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """The whole record, with what was moved out of the status where that can be read."""
        archived = self.revision.status.archived
        before: list[Record] = []
        for reference in archived.evidence if archived else ():
            found = self.library.records(reference.digest or "")
            before += found if isinstance(found, tuple) else ()
        return (*before, *self.revision.status.records)

    @cached_property
    def gone(self) -> str:
        """Why records are lacking at the beginning, in a sentence; empty if none are."""
        if self.records and self.records[0].sequence > 0:
            return f"records 0 to {self.records[0].sequence - 1} were moved to documents that are not readable here"
        return ""

    @cached_property
    def end(self) -> Record | None:
        """The record with which the release ended. What came later, such as a return to it, is no part of it."""
        return next((record for record in self.records if record.kind in _ENDS), None)

    @property
    def asked_at(self) -> datetime:
        """When the deployment's spec was first seen to ask for it."""
        return self.revision.spec.requested_at

    @property
    def until(self) -> datetime:
        """When it ended; when the dossier was taken, if it has not."""
        if self.end is not None:
            return self.end.time
        status = self.revision.status
        ended = status.promoted_at if self.phase is RevisionPhase.PROMOTED else status.finished_at
        return ended if ended is not None and not self.revision.in_progress else self.dossier.taken_at

    @property
    def phase(self) -> RevisionPhase:
        """How the release ended, or where it stands."""
        ends = {
            RecordKind.PROMOTED: RevisionPhase.PROMOTED,
            RecordKind.ROLLED_BACK: RevisionPhase.ROLLED_BACK,
            RecordKind.SUPERSEDED: RevisionPhase.SUPERSEDED,
        }
        return ends[self.end.kind] if self.end is not None else self.revision.phase

    @property
    def previous(self) -> Revision | None:
        """The revision whose records this one's go on from, if it is kept."""
        link = self.revision.spec.previous
        return next((r for r in self.revisions if link is not None and r.name == link.revision), None)

    @cached_property
    def steps(self) -> tuple[StepView, ...]:
        """The steps, taken or not."""
        live = self.revision.name == self.status.candidate_revision
        return plan.steps_among(self.revisions, self.revision, (self.status.monitors or ()) if live else ())

    @property
    def alone(self) -> bool:
        """Whether nothing was stable when it was released: it then takes one step instead of those of its plan."""
        return len(self.steps) == 1 < len(self.revision.spec.rollout.steps)

    @cached_property
    def taken(self) -> tuple[StepView, ...]:
        """The steps that began."""
        return tuple(step for step in self.steps if step.started_at is not None)

    @cached_property
    def waits(self) -> tuple[Wait, ...]:
        """When it stood still for people, oldest first. Exact where the documents behind the records are kept."""
        pauses = _pauses(self.records, self.until)
        held: dict[datetime, datetime] = {}
        for record in self.records:
            if record.time > self.until:
                break
            seen = self.seen(record)
            since = seen.status.waiting_since if seen is not None else None
            if since is not None:
                held[since] = max(record.time, held.get(since, record.time))
        if (since := self.revision.status.waiting_since) is not None:
            held[since] = self.until
        begun = {pause.start for pause in pauses}
        waits = [Wait(start, end, paused=False) for start, end in held.items() if start not in begun and end > start]
        return tuple(sorted([*pauses, *waits], key=lambda wait: wait.start))

    def seen(self, record: Record) -> Revision | None:
        """The revision as the decision behind a record saw it."""
        world = self.library.world(record)
        if not isinstance(world, World):
            return None
        return next((r for r in world.revisions if r.name == self.revision.name), None)


def of(dossier: Dossier, name: str | None = None) -> Story:
    """The story of a revision: of the one named, as ``fraud-r7``, ``r7`` or ``7``, else of the latest release.

    Raises:
        Trouble: there is no such revision, or it cannot be read.
    """
    revisions = tuple(_revision(item) for item in _sorted(dossier))
    if not revisions:
        raise Trouble(Exit.NOT_FOUND, f"{dossier.deployment} has no revision yet: there is nothing to report")
    missing: list[str] = []
    deployment = next(iter(dossier.of("ModelDeployment")), None)
    status = ModelDeploymentStatus()
    if deployment is not None:
        status = _read(ModelDeploymentStatus, deployment.get("status") or {}, missing, "the deployment's status")
    return Story(
        dossier=dossier,
        revision=_named(dossier, revisions, name),
        revisions=revisions,
        status=status,
        uid=str(deployment["metadata"].get("uid", "")) if deployment is not None else "",
        library=Library(dossier),
        missing=tuple(missing),
    )


def _named(dossier: Dossier, revisions: Sequence[Revision], name: str | None) -> Revision:
    if name is None:
        return max(revisions, key=lambda r: r.number)
    wanted = {name, f"{dossier.deployment}-r{name.removeprefix('r')}"}
    found = next((r for r in revisions if r.name in wanted), None)
    if found is None:
        known = ", ".join(r.name for r in revisions)
        raise Trouble(Exit.NOT_FOUND, f"{dossier.deployment} has no revision {name}; there are: {known}")
    return found


def _sorted(dossier: Dossier) -> list[Object]:
    try:
        return dossier.revisions
    except (KeyError, TypeError) as error:
        raise Trouble(Exit.UNREADABLE, f"a ModelRevision in it cannot be read: {error!r}") from error


def _revision(item: Object) -> Revision:
    try:
        return Revision(
            name=str(item["metadata"]["name"]),
            spec=ModelRevisionSpec.model_validate(item["spec"]),
            status=ModelRevisionStatus.model_validate(item.get("status") or {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        name = (item.get("metadata") or {}).get("name", "a revision")
        raise Trouble(Exit.UNREADABLE, f"ModelRevision {name} cannot be read: {first_line(error)}") from error


def _read(kind: type[R], data: Any, missing: list[str], what: str) -> R:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        missing.append(f"{what} cannot be read: {first_line(error)}")
        return kind()


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = str(error).splitlines() or [repr(error)]
    return " ".join(line.strip() for line in lines[:3])[:300]


def _pauses(records: Iterable[Record], until: datetime) -> list[Wait]:
    found, since = [], None
    for record in records:
        if record.kind is RecordKind.PAUSED:
            since = record.time
        elif since is not None and record.kind in (RecordKind.RESUMED, *_ENDS):
            found.append(Wait(since, record.time, paused=True))
            since = None
    if since is not None:
        found.append(Wait(since, until, paused=True))
    return found
