"""Records: an append-only chain. Each record's hash covers all of it and the hash of the one before.

A revision's first record goes on from where the records of the revision before stood (``spec.previous``), so that
a deployment has one chain. ``engine/act.py`` writes a status with its records as one write: a record is there if
and only if the state that it speaks of is.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sluice.api.base import format_time
from sluice.api.governance import EvidenceReference
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus, RevisionPhase
from sluice.api.record import ORIGIN, Record, RecordKind
from sluice.core.identity import content, digest
from sluice.core.objects import Object
from sluice.core.world import Revision, World

OPERATOR = "sluice"
"""The actor of what no person did."""


@dataclass(frozen=True)
class Entry:
    """What happened, before it has a place in the chain."""

    kind: RecordKind
    reason: str
    message: str
    actor: str = OPERATOR
    evidence: tuple[EvidenceReference, ...] = ()


@dataclass(frozen=True)
class Head:
    """The last record of a chain: its number (-1 before the first) and its hash."""

    sequence: int
    hash: str


def hash_of(record: Record) -> str:
    """SHA-256 over canonical JSON of every field but the hash itself."""
    return hash_of_written(record.dump())


def hash_of_written(record: Object) -> str:
    """The same of a record as JSON data."""
    return digest({key: value for key, value in record.items() if key != "hash"})


def head(spec: ModelRevisionSpec, status: ModelRevisionStatus) -> Head:
    """Where a revision's chain stands."""
    if status.records:
        return Head(status.records[-1].sequence, status.records[-1].hash)
    if status.archived is not None:
        return Head(status.archived.until, status.archived.hash)
    return Head(-1, spec.previous.hash if spec.previous else ORIGIN)


def chained(at: Head, entries: Sequence[Entry], now: datetime) -> list[Record]:
    """Records for the entries, in order, bound to the head and to each other."""
    made: list[Record] = []
    for entry in entries:
        record = Record(
            sequence=at.sequence + 1,
            time=now,
            kind=entry.kind,
            actor=entry.actor,
            reason=entry.reason,
            message=entry.message[:1024],
            evidence=list(entry.evidence),
            previous_hash=at.hash,
            hash=ORIGIN,
        )
        record = record.model_copy(update={"hash": hash_of(record)})
        made.append(record)
        at = Head(record.sequence, record.hash)
    return made


def story(records: Sequence[Record]) -> str:
    """The chain in lines, for people."""
    return "\n".join(f"{r.sequence:>3} {format_time(r.time)} {r.kind} by {r.actor}: {r.message}" for r in records)


def created(revision: Revision) -> Entry:
    """The first record of a revision."""
    model = revision.spec.model
    asked = f", asked for by {revision.spec.requester}" if revision.spec.requester else ""
    return Entry(
        RecordKind.CREATED,
        "RevisionCreated",
        f"{revision.name}: model {model.name} version {model.version}, {model.digest}{asked}",
        evidence=(EvidenceReference(name="spec", digest=content(revision.spec)),),
    )


RECORDED_PHASES = {
    RevisionPhase.PAUSED: RecordKind.PAUSED,
    RevisionPhase.PROMOTED: RecordKind.PROMOTED,
    RevisionPhase.ROLLED_BACK: RecordKind.ROLLED_BACK,
    RevisionPhase.SUPERSEDED: RecordKind.SUPERSEDED,
}
"""Phases whose entry is put on record; of the others, the steps are."""


def state(status: ModelRevisionStatus) -> str:
    """Digest of all in a status that never changes without a record: the last record of a decision holds it.

    Left out is what may change in between: the lane, when it was ready, whether it waits and for how long, what fails
    but not for long, a step that no traffic took yet, which stated spec it answers; and the records and their seal.
    """
    recorded = {"phase": status.phase, "reason": status.reason, "message": status.message}
    fields = (
        "started_at",
        "targeted_at",
        "promoted_at",
        "finished_at",
        "retired_at",
        "policy_digest",
        "evaluated",
        "hand_edits",
        "breached",
    )
    said = status.model_copy(
        update={
            "phase": None,
            "reason": None,
            "message": None,
            **(recorded if status.phase in RECORDED_PHASES else {}),
            "steps": [step for step in status.steps if step.started_at is not None or step.finished_at is not None],
        }
    )
    kept = said.model_dump(mode="json", include={*recorded, *fields, "steps", "decisions"}, exclude_defaults=True)
    return digest(kept)


def inputs(world: World, whole: Container[str] = ()) -> World:
    """The world as it is kept: of every chain the last record alone, which is all that a decision looks at.

    The chains of the revisions in ``whole`` stay as they are: their older records are moved, so they are looked at.
    """
    slim = [
        revision
        if revision.name in whole
        else replace(revision, status=revision.status.model_copy(update={"records": revision.status.records[-1:]}))
        for revision in world.revisions
    ]
    return replace(world, revisions=tuple(slim))


def may_be_forgotten(revision: Revision) -> bool:
    """Whether a revision may be deleted: one that is governed not before its records are anchored or exported."""
    if not revision.spec.policies:
        return True
    seal = revision.status.seal
    at = head(revision.spec, revision.status)
    return revision.exported == at.hash or (seal is not None and seal.anchor is not None and seal.hash == at.hash)


def chain_problem(spec: ModelRevisionSpec, status: ModelRevisionStatus) -> str:
    """What is wrong with a revision's chain, in a sentence; empty if nothing."""
    if not status.records:
        return ""
    if status.archived is not None:
        at = Head(status.archived.until, status.archived.hash)
    else:
        at = Head(-1, spec.previous.hash if spec.previous else ORIGIN)
    for record in status.records:
        if record.sequence != at.sequence + 1:
            before = f"record {at.sequence}" if at.sequence >= 0 else "nothing"
            return f"record {record.sequence} follows {before}"
        if record.previous_hash != at.hash:
            return f"record {record.sequence} is not bound to the one before"
        if record.hash != hash_of(record):
            return f"record {record.sequence} was changed after it was written"
        at = Head(record.sequence, record.hash)
    return ""
