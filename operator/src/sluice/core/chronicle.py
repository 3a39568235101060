"""Chronicle: all that is on record of one revision, gathered from its status and the documents that records moved to,
and held against itself, its spec, its status, and what people decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeVar

from pydantic import ValidationError

from sluice.api.base import Resource
from sluice.api.governanceevidence import EvidenceKind, GovernanceEvidenceSpec
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.modeldecision import ModelDecisionSpec
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus, RevisionPhase
from sluice.api.record import MAX_ARCHIVES, ORIGIN, Record, RecordKind
from sluice.core import archive, evidence, identity, records
from sluice.core.finding import Finding, Grade, strange
from sluice.core.objects import Object
from sluice.core.records import Head
from sluice.core.world import Revision

R = TypeVar("R", bound=Resource)

_ACTS: Mapping[str, tuple[str, type[Resource]]] = {
    "decision": ("ModelDecision", ModelDecisionSpec),
    "exception": ("GovernanceException", GovernanceExceptionSpec),
}
"""What a record's evidence calls a person's act, its kind, and what its spec is."""


@dataclass
class Documents:
    """The GovernanceEvidence of a deployment, decoded."""

    texts: dict[str, str] = field(default_factory=dict)
    """By digest."""
    of: dict[tuple[str, EvidenceKind], list[str]] = field(default_factory=dict)
    """By revision and kind."""
    findings: list[Finding] = field(default_factory=list)

    def add(self, item: Object) -> None:
        """Take in one object, and say what is wrong with it."""
        name = item["metadata"]["name"]
        try:
            spec = GovernanceEvidenceSpec.model_validate(item["spec"])
        except ValidationError as error:
            self.findings.append(Finding(name, Grade.UNREADABLE, unreadable("spec", error)))
            return
        if (odd := oddity(item["spec"], spec, "spec")) is not None:
            self.findings.append(Finding(name, *odd))
        if name != evidence.name(spec.revision, spec.kind, spec.digest):
            message = f"its name does not go with its content: a {spec.kind} document of {spec.revision}, {spec.digest}"
            self.findings.append(Finding(name, Grade.TAMPERED, message))
        text = _decoded(spec.content, spec.digest)
        if text is None:
            message = "its content is not what its digest says: the document was changed"
            self.findings.append(Finding(name, Grade.TAMPERED, message))
            return
        self.texts[spec.digest] = text
        self.of.setdefault((spec.revision, spec.kind), []).append(text)


@lru_cache(maxsize=4096)
def _decoded(content: str, digest: str) -> str | None:
    try:
        return evidence.decode({"spec": {"content": content, "digest": digest}})
    except ValueError:
        return None


@dataclass(frozen=True)
class Chronicle:
    """One revision with all of its records that are here."""

    name: str
    uid: str
    owner: str
    """The uid of the ModelDeployment that it belongs to."""
    item: Object
    spec: ModelRevisionSpec
    status: ModelRevisionStatus
    told: tuple[Record, ...]
    """The records, oldest first."""
    begins_at: Head
    """What the first of them follows: nothing, or records that were moved into a document that is not here."""

    @property
    def number(self) -> int:
        """N in ``<deployment>-r<N>``."""
        return self.spec.revision

    @property
    def head(self) -> Head:
        """Where the records end."""
        return Head(self.told[-1].sequence, self.told[-1].hash) if self.told else self.begins_at

    @property
    def revision(self) -> Revision:
        """As a decision sees it."""
        return Revision(self.name, self.spec, self.status)

    @cached_property
    def _by_sequence(self) -> dict[int, Record]:
        return {record.sequence: record for record in self.told}

    def record(self, sequence: int) -> Record | None:
        """The record of this number, if it is here."""
        return self._by_sequence.get(sequence)

    def bad(self, message: str, sequence: int | None = None, grade: Grade = Grade.TAMPERED) -> Finding:
        """A finding about this revision."""
        return Finding(self.name, grade, message, sequence)


def read(item: Object, documents: Documents) -> tuple[Chronicle | None, list[Finding]]:
    """A revision's chronicle, with what is wrong with how it is written; None if it cannot be read."""
    name = item["metadata"]["name"]
    findings: list[Finding] = []
    try:
        spec = ModelRevisionSpec.model_validate(item["spec"])
        status = ModelRevisionStatus.model_validate(item.get("status", {}))
    except ValidationError as error:
        return None, [Finding(name, Grade.UNREADABLE, unreadable("its spec or status", error))]
    raw = {key: value for key, value in item.get("status", {}).items() if key != "records"}  # they are checked strictly
    for part, found, value in (
        ("spec", item["spec"], spec),
        ("status", raw, status.model_copy(update={"records": []})),
    ):
        if (odd := oddity(found, value, part)) is not None:
            findings.append(Finding(name, *odd))
    told, begins_at, missing = _gathered(name, spec, status, documents)
    findings += missing
    owners = [o for o in item["metadata"].get("ownerReferences", []) if o.get("kind") == "ModelDeployment"]
    chronicle = Chronicle(
        name=name,
        uid=item["metadata"]["uid"],
        owner=owners[0]["uid"] if owners else "",
        item=item,
        spec=spec,
        status=status,
        told=told,
        begins_at=begins_at,
    )
    return chronicle, findings


def unreadable(what: str, error: ValidationError) -> str:
    """Why something is no object of this version's."""
    first = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"])
    return f"{what} cannot be read by this version of Sluice: {where}: {first['msg']}"


def oddity(raw: Object, value: Resource, part: str) -> tuple[Grade, str] | None:
    """What in an object is not as Sluice writes it, though it can be read."""
    found = strange(raw, value.dump(), part)
    if found is None:
        return None
    path, unknown = found
    if unknown:
        return Grade.UNREADABLE, f"{path} is not known to this version of Sluice: added by hand, or by a later version"
    return Grade.TAMPERED, f"{path} is not as Sluice writes it: it was written by somebody else"


def _gathered(
    name: str, spec: ModelRevisionSpec, status: ModelRevisionStatus, documents: Documents
) -> tuple[tuple[Record, ...], Head, list[Finding]]:
    """The records of the status, before them those of the documents that it leads back to."""
    start = Head(-1, spec.previous.hash if spec.previous else ORIGIN)
    told = list(status.records)
    if status.archived is None:
        return tuple(told), start, []
    findings = [
        Finding(name, Grade.MISSING, f"{reference.name}, which holds records of it, is not here")
        for reference in status.archived.evidence
        if reference.digest not in documents.texts
    ]
    moved: dict[str, list[Record]] = {}
    for text in documents.of.get((name, EvidenceKind.RECORDS), []):
        try:
            held = archive.parse(text)
        except ValueError as error:
            findings.append(Finding(name, Grade.UNREADABLE, f"a document of its records: {error}"))
            continue
        moved[held[-1].hash] = held
    at = Head(status.archived.until, status.archived.hash)
    while at.sequence >= 0:
        before = moved.pop(at.hash, None)
        if before is None:
            message = f"its records up to {at.sequence} were moved into a document that is not here"
            findings.append(Finding(name, Grade.MISSING, message, at.sequence))
            return tuple(told), at, findings
        if before[-1].sequence != at.sequence:
            message = f"status.archived.until is {at.sequence}, but its hash is that of record {before[-1].sequence}"
            findings.append(Finding(name, Grade.TAMPERED, message, at.sequence))
        told = [*before, *told]
        at = Head(before[0].sequence - 1, before[0].previous_hash)
    return tuple(told), start, findings


def check(chronicle: Chronicle, documents: Documents, acts: Mapping[tuple[str, str], Object]) -> Iterator[Finding]:
    """What is wrong with a revision by itself.

    Args:
        chronicle: the revision.
        documents: the deployment's documents.
        acts: its ModelDecisions and GovernanceExceptions, by kind and name.
    """
    yield from _identity(chronicle)
    yield from _chain(chronicle)
    yield from _moves(chronicle)
    yield from _beginning_and_end(chronicle)
    yield from _steps(chronicle)
    yield from _acts(chronicle, acts)
    yield from _bases(chronicle, documents)


def _identity(it: Chronicle) -> Iterator[Finding]:
    if it.name != f"{it.spec.deployment}-r{it.spec.revision}":
        yield it.bad(f"its spec is that of {it.spec.deployment}-r{it.spec.revision}")


def _chain(it: Chronicle) -> Iterator[Finding]:
    at = it.begins_at
    raw = it.item.get("status", {}).get("records", [])
    held = len(it.told) - len(raw)  # those before are written in documents, which have digests
    for index, record in enumerate(it.told):
        written = record.dump()
        if record.sequence != at.sequence + 1:
            after = f"record {at.sequence}" if at.sequence >= 0 else "the beginning"
            yield it.bad(f"it comes after {after}: records were removed, added or moved", record.sequence)
        elif record.previous_hash != at.hash:
            before = f"record {at.sequence}" if at.sequence >= 0 else "what the spec says was before"
            yield it.bad(f"it is not bound to {before}: one of them was changed", record.sequence)
        if record.hash != records.hash_of_written(written):
            yield it.bad("it was changed after it was written", record.sequence)
        if index >= held and raw[index - held] != written:
            yield it.bad("it is not written as Sluice writes records", record.sequence)
        at = Head(record.sequence, record.hash)


def _moves(it: Chronicle) -> Iterator[Finding]:
    """The status names the documents that the records say were written."""
    stated = it.status.archived.evidence if it.status.archived is not None else []
    told = [digest for r in it.told if r.kind is RecordKind.ARCHIVED and (digest := _named(r, "records"))]
    wanted = [(evidence.name(it.name, EvidenceKind.RECORDS, digest), digest) for digest in told]
    found = [(reference.name, reference.digest) for reference in stated]
    # Where older records are not here, neither are those that say where still older ones are.
    if found[-len(wanted) :] != wanted[-MAX_ARCHIVES:] if wanted else found and it.begins_at.sequence < 0:
        yield it.bad("status.archived does not name the documents that its records name")


def _beginning_and_end(it: Chronicle) -> Iterator[Finding]:
    if not it.told:
        yield it.bad("it has no records; it was made before Sluice kept any, or they were removed", grade=Grade.MISSING)
        return
    first, last = it.told[0], it.told[-1]
    if it.begins_at.sequence < 0:
        if first.kind is not RecordKind.CREATED:
            yield it.bad(f"its first record is {first.kind}, not Created", first.sequence)
        if _named(first, "spec") != identity.content(it.spec):
            yield it.bad("its spec is not the one that its first record is of: the spec was changed", first.sequence)
    if (said := _named(last, "state")) is None:
        yield it.bad("it is not the last that its decision wrote: records at the end were removed", last.sequence)
    elif said != records.state(it.status):
        yield it.bad("the status is not what this last record says: the status was changed", last.sequence)


def _steps(it: Chronicle) -> Iterator[Finding]:
    status = it.status
    closed = [step for step in status.steps if step.finished_at is not None]
    finished = [r for r in it.told if r.kind is RecordKind.STEP_FINISHED]
    if len(finished) < len(closed) and it.begins_at.sequence < 0:
        yield it.bad(f"{len(closed)} steps were left, and {len(finished)} are on record")
    for step, record in zip(reversed(closed), reversed(finished), strict=False):
        if _named(record, "step") != identity.content(step):
            yield it.bad(f"step {step.index + 1} is not what this record of it is of", record.sequence)
    if status.step != (status.steps[-1].index if status.steps else None):
        yield it.bad(f"status.step is {status.step}, and the last of status.steps is another")
    begun = bool(status.steps) and status.steps[-1].started_at is not None
    if status.phase not in records.RECORDED_PHASES and begun and status.phase is not RevisionPhase.PROGRESSING:
        yield it.bad(f"its phase is {status.phase}, but it has begun to take steps")


def _acts(it: Chronicle, acts: Mapping[tuple[str, str], Object]) -> Iterator[Finding]:
    uids = {seen.name: seen.uid for seen in it.status.decisions}
    for record in it.told:
        for reference in record.evidence:
            what, _, name = reference.name.partition("/")
            if what not in _ACTS or not name:
                continue
            kind, model = _ACTS[what]
            item = acts.get((kind, name))
            if item is None:
                yield it.bad(f"{kind} {name}, which it is about, is not here", record.sequence, Grade.MISSING)
                continue
            try:
                spec = model.model_validate(item["spec"])
            except ValidationError as error:
                yield it.bad(unreadable(f"{kind} {name}", error), record.sequence, Grade.UNREADABLE)
                continue
            if identity.content(spec) != reference.digest:
                yield it.bad(f"{kind} {name} is not what it was when it was seen: it was changed", record.sequence)
            elif (odd := strange(item["spec"], spec.dump(), "spec")) is not None and odd[1]:
                message = f"{kind} {name}: {odd[0]} is not known to this version of Sluice"
                yield it.bad(message, record.sequence, Grade.UNREADABLE)
            if item["metadata"]["uid"] != uids.get(name):
                yield it.bad(f"{kind} {name} is another object of that name than the one seen", record.sequence)


def _bases(it: Chronicle, documents: Documents) -> Iterator[Finding]:
    """Every document that a record names is here."""
    said = set()
    for record in it.told:
        for name, what in (("inputs", "what it was decided on"), ("records", "the records that it says were moved")):
            digest = _named(record, name)
            if digest is None and name == "inputs":
                yield it.bad("it does not say what it was decided on", record.sequence)
            elif digest is not None and digest not in documents.texts and digest not in said:
                said.add(digest)
                yield it.bad(f"{what} ({digest}) is not here", record.sequence, Grade.MISSING)


def _named(record: Record, name: str) -> str | None:
    return next((reference.digest for reference in record.evidence if reference.name == name), None)
