"""Verification: whether the records of a deployment are as Sluice wrote them, and how far that is proven.

By themselves the records show that nobody changed one of them. That nobody wrote all of them anew, or took the last
away, shows a signature, if its key was out of reach; and a statement in a store that nobody can change. What is not
in the records is not checked: ``docs/records.md`` lists it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sluice.api.base import format_time
from sluice.api.governanceevidence import EvidenceKind, Retention
from sluice.core import chronicle, lanes, seal
from sluice.core.chronicle import Chronicle, Documents
from sluice.core.dossier import Dossier
from sluice.core.finding import Finding, Grade
from sluice.core.records import Head
from sluice.core.seal import Statement

GRACE = timedelta(minutes=15)
"""How long a record may be not sealed before that is a finding: sealing comes after, and its store may be away."""
_KINDS = (
    "ModelDeployment",
    "ModelRevision",
    "GovernanceEvidence",
    "ModelDecision",
    "GovernanceException",
    "GovernancePolicy",
)


@dataclass(frozen=True)
class Opened:
    """What was in an envelope."""

    payload: bytes
    keys: tuple[str, ...]
    """The keys that are said to have signed it."""
    verified: frozenset[str]
    """The trusted keys that did."""


@dataclass(frozen=True)
class Anchored:
    """Something found in a store."""

    name: str
    """Its name there, below the store's prefix."""
    envelope: str


@dataclass(frozen=True)
class Trust:
    """What a check may rely on."""

    open: Callable[[str], Opened]
    """Opens an envelope; raises ValueError for what is none."""
    keys: frozenset[str] = frozenset()
    """The ids of the trusted public keys; none, and nothing counts as signed."""
    anchored: Sequence[Anchored] | None = None
    """What the store has of this deployment; None if there is no store to ask."""


@dataclass(frozen=True)
class Proof:
    """How far the record of one revision is proven."""

    revision: str
    head: Head
    records: int
    """How many were checked."""
    whole: bool
    """Whether nothing was found against it."""
    signed: int | None
    """Up to which record a trusted key has signed."""
    anchored: int | None
    """Up to which record the store has a statement."""


@dataclass(frozen=True)
class Verification:
    """What a check came to."""

    proofs: tuple[Proof, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    """What a reader should know, and is in order."""


@dataclass(frozen=True)
class _Sealed:
    """A statement that was found."""

    statement: Statement
    opened: Opened
    envelope: str
    place: str
    """Where, in words."""
    anchored: bool

    def counts(self, trust: Trust) -> bool:
        """Whether it proves anything: where keys are given, one of them must have signed it."""
        return not trust.keys or bool(self.opened.verified)


def verify(dossier: Dossier, trust: Trust) -> Verification:
    """Check everything that is on record of a deployment."""
    documents = Documents()
    for item in dossier.of("GovernanceEvidence"):
        documents.add(item)
    findings = [*_odd_objects(dossier), *documents.findings]
    chronicles: list[Chronicle] = []
    for item in sorted(dossier.of("ModelRevision"), key=lambda one: str(one["metadata"]["name"])):
        found, problems = chronicle.read(item, documents)
        findings += problems
        if found is not None:
            chronicles.append(found)
    chronicles.sort(key=lambda one: one.number)
    acts = {(item["kind"], item["metadata"]["name"]): item for item in dossier.objects}
    for one in chronicles:
        findings += chronicle.check(one, documents, acts)
    sealed, problems = _sealed(documents, trust)
    findings += problems
    gone, in_order = _gone_by_number(dossier, chronicles)
    absent, notes = _absent(dossier, gone, in_order=in_order, any_read=bool(chronicles))
    findings += absent
    findings += _owned(dossier, chronicles, forgotten=gone if in_order else ())
    findings += _links(chronicles)
    findings += _contradicted(chronicles, sealed)
    findings += _gone(dossier, chronicles, sealed)
    notes += _earlier(dossier, chronicles, sealed)
    for one in chronicles:
        findings += _unsealed(dossier, one, sealed, trust)
    unique = tuple(dict.fromkeys(sorted(findings, key=lambda f: (f.revision, f.sequence or -1))))
    return Verification(tuple(_proof(one, unique, sealed, trust) for one in chronicles), unique, tuple(notes))


def _odd_objects(dossier: Dossier) -> Iterator[Finding]:
    names = Counter((item["kind"], item["metadata"]["name"]) for item in dossier.objects)
    for (kind, name), count in names.items():
        if kind not in _KINDS:
            yield Finding(name, Grade.UNREADABLE, f"a {kind} is no part of a record")
        if count > 1:
            yield Finding(name, Grade.TAMPERED, f"there are {count} objects {kind} {name}")
    for item in dossier.objects:
        name, kind = item["metadata"]["name"], item["kind"]
        if kind != "GovernancePolicy" and item["metadata"].get("namespace") != dossier.namespace:
            yield Finding(name, Grade.TAMPERED, f"the {kind} is not of namespace {dossier.namespace}")
        if kind in ("ModelRevision", "GovernanceEvidence") and item["spec"].get("deployment") != dossier.deployment:
            yield Finding(name, Grade.TAMPERED, f"the {kind} is not of ModelDeployment {dossier.deployment}")


def _owned(dossier: Dossier, chronicles: Sequence[Chronicle], forgotten: Sequence[str]) -> Iterator[Finding]:
    """Evidence says the truth about the revision that it belongs to. It may outlive one that Sluice has forgotten."""
    known = {one.name: one for one in chronicles}
    expected = {item["metadata"]["name"] for item in dossier.of("ModelRevision")} | set(forgotten)
    for item in dossier.of("GovernanceEvidence"):
        name, spec = item["metadata"]["name"], item["spec"]
        one = known.get(spec.get("revision", ""))
        if one is None:
            if spec.get("revision") not in expected:
                yield Finding(name, Grade.MISSING, f"its revision {spec.get('revision')} is not here")
            continue
        kept = Retention.UNTIL_EXPORTED if one.spec.policies else Retention.WITH_REVISION
        if spec.get("retention", Retention.UNTIL_EXPORTED) != kept:
            yield Finding(name, Grade.TAMPERED, f"spec.retention is not {kept}, as its revision's policies ask")
        owners = {owner.get("uid") for owner in item["metadata"].get("ownerReferences", [])}
        if owners != {one.uid}:
            yield Finding(name, Grade.TAMPERED, f"it does not belong to {one.name}, of which it is")


def _links(chronicles: Sequence[Chronicle]) -> Iterator[Finding]:
    """Every revision goes on from where the one before stood."""
    known = {one.name: one for one in chronicles}
    for one in chronicles:
        link = one.spec.previous
        before = [other for other in chronicles if other.number < one.number]
        if link is None:
            if any(other.told for other in before):
                yield one.bad(f"it does not go on from the records of {before[-1].name}")
            continue
        other = known.get(link.revision)
        if other is None:
            continue
        if not before or before[-1].name != other.name:
            yield one.bad(f"it goes on from {other.name}, which is not the revision before it")
        record = other.record(link.sequence)
        if record is None and link.sequence > other.begins_at.sequence:
            yield other.bad(f"{one.name} goes on from its record {link.sequence}, which is gone", link.sequence)
        elif record is not None and record.hash != link.hash:
            yield other.bad(f"it is not the one that {one.name} goes on from", link.sequence)


def _gone_by_number(dossier: Dossier, chronicles: Sequence[Chronicle]) -> tuple[list[str], bool]:
    """Revisions of which only the numbers are left, and whether that is in order: Sluice itself removes those beyond
    the history limit."""
    if not chronicles:
        return [], False
    present = {item["metadata"]["name"] for item in dossier.of("ModelRevision")}
    names = [f"{dossier.deployment}-r{number}" for number in range(1, chronicles[-1].number)]
    target = lanes.target_of([one.revision for one in chronicles])
    retired = [
        one for one in chronicles if one.status.retired_at is not None and (target is None or one.name != target.name)
    ]
    limit = _history_limit(dossier)
    return [name for name in names if name not in present], limit is not None and len(retired) >= limit


def _absent(
    dossier: Dossier, gone: Sequence[str], *, in_order: bool, any_read: bool
) -> tuple[list[Finding], list[str]]:
    if not any_read:
        return [Finding(dossier.deployment, Grade.MISSING, "there is no ModelRevision of it that can be read")], []
    if not gone:
        return [], []
    listed = ", ".join(gone[:8]) + (", …" if len(gone) > 8 else "")
    if in_order:
        limit = _history_limit(dossier)
        return [], [f"{listed}: removed, as revisionHistoryLimit: {limit} asks; earlier exports have what they held"]
    message = f"it is not here: removed by somebody, or the history limit was lower then ({listed})"
    return [Finding(name, Grade.MISSING, message) for name in gone], []


def _history_limit(dossier: Dossier) -> int | None:
    for item in dossier.of("ModelDeployment"):
        limit = item["spec"].get("rollout", {}).get("revisionHistoryLimit", 10)
        return limit if isinstance(limit, int) else None
    return None


def _sealed(documents: Documents, trust: Trust) -> tuple[list[_Sealed], list[Finding]]:
    """All statements, from the documents and from the store."""
    found: list[_Sealed] = []
    findings: list[Finding] = []
    for (revision, kind), texts in documents.of.items():
        if kind is EvidenceKind.SEAL:
            for text in texts:
                _take(found, findings, trust, revision, "the seal kept with it", text, None)
    for item in trust.anchored or ():
        revision = item.name.rpartition("/")[0].rpartition("/")[2]
        _take(found, findings, trust, revision, f"the store's {item.name}", item.envelope, item.name)
    return found, findings


def _take(
    found: list[_Sealed], findings: list[Finding], trust: Trust, revision: str, place: str, text: str, name: str | None
) -> None:
    try:
        opened = trust.open(text)
        statement = seal.parse(opened.payload)
    except ValueError as error:
        findings.append(Finding(revision, Grade.UNREADABLE, f"{place}: {error}"))
        return
    sequence = statement.head.sequence
    if statement.revision != revision or (name is not None and statement.name != name):
        message = f"{place} is a statement about {statement.name}, and does not belong there"
        findings.append(Finding(revision, Grade.TAMPERED, message, sequence))
    if trust.keys and not opened.verified:
        if trust.keys & set(opened.keys):
            message = f"{place} is not what the key has signed: the signature does not fit"
            findings.append(Finding(revision, Grade.TAMPERED, message, sequence))
        elif opened.keys:
            message = f"{place} is signed by a key that was not given ({opened.keys[0]})"
            findings.append(Finding(revision, Grade.MISSING, message, sequence))
    found.append(_Sealed(statement, opened, text, place, anchored=name is not None))


def _contradicted(chronicles: Sequence[Chronicle], sealed: Iterable[_Sealed]) -> Iterator[Finding]:
    """Statements about what is not so any more."""
    known = {one.uid: one for one in chronicles}
    for item in sealed:
        said = item.statement
        one = known.get(said.uid)
        if one is None or said.head.sequence <= one.begins_at.sequence:
            continue
        sequence, when = said.head.sequence, format_time(said.sealed_at)
        record = one.record(sequence)
        if record is None:
            message = f"its record was sealed up to {sequence} at {when}, and ends at {one.head.sequence}: "
            yield one.bad(message + f"its end was removed ({item.place})", sequence)
        elif record.hash != said.head.hash:
            message = f"it is not the record that was sealed at {when}: everything up to it may have been written anew"
            yield one.bad(f"{message} ({item.place})", sequence)
        if said.previous != one.spec.previous or said.revision != one.name or said.deployment_uid != one.owner:
            yield one.bad(f"{item.place} is about another object or another beginning", sequence)


def _gone(dossier: Dossier, chronicles: Sequence[Chronicle], sealed: Iterable[_Sealed]) -> Iterator[Finding]:
    """Revisions of this deployment that were sealed and are not here."""
    uids = _deployment_uids(dossier, chronicles)
    here = {item["metadata"]["uid"] for item in dossier.of("ModelRevision")}
    names = {item["metadata"]["name"] for item in dossier.of("ModelRevision")}
    latest = max((one.number for one in chronicles), default=0)
    gone: dict[str, Statement] = {}
    for item in sealed:
        said = item.statement
        if said.uid not in here and (not uids or said.deployment_uid in uids):
            known = gone.get(said.uid)
            gone[said.uid] = said if known is None or said.head.sequence > known.head.sequence else known
    for said in gone.values():
        number = said.revision.rpartition("-r")[2]
        if said.revision in names:
            message = f"another revision of this name (uid {said.uid}) was sealed: it was removed and made anew"
            yield Finding(said.revision, Grade.TAMPERED, message, said.head.sequence)
        elif not number.isdigit() or int(number) > latest:
            when = format_time(said.sealed_at)
            message = f"its record was sealed up to {said.head.sequence} at {when}, and it is gone: it was removed"
            yield Finding(said.revision, Grade.TAMPERED, message, said.head.sequence)
    links = {one.spec.previous.revision: one for one in chronicles if one.spec.previous is not None}
    for item in sealed:
        said, follower = item.statement, links.get(item.statement.revision)
        link = follower.spec.previous if follower is not None else None
        if follower is None or link is None or said.uid not in gone or said.head.sequence != link.sequence:
            continue
        if said.head.hash != link.hash:
            yield follower.bad(f"it does not go on from {said.revision} as that was sealed ({item.place})", 0)


def _earlier(dossier: Dossier, chronicles: Sequence[Chronicle], sealed: Iterable[_Sealed]) -> list[str]:
    """What the store has of earlier deployments of this name."""
    uids = _deployment_uids(dossier, chronicles)
    others: dict[str, set[str]] = {}
    for item in sealed:
        if uids and item.anchored and item.statement.deployment_uid not in uids:
            others.setdefault(item.statement.deployment_uid, set()).add(item.statement.revision)
    return [
        f"the store also has statements about {len(names)} revisions of an earlier ModelDeployment of this name "
        f"(uid {uid}), which is gone"
        for uid, names in sorted(others.items())
    ]


def _deployment_uids(dossier: Dossier, chronicles: Sequence[Chronicle]) -> set[str]:
    stated = {str(item["metadata"]["uid"]) for item in dossier.of("ModelDeployment")}
    return (stated | {one.owner for one in chronicles}) - {""}


def _unsealed(dossier: Dossier, one: Chronicle, sealed: Sequence[_Sealed], trust: Trust) -> Iterator[Finding]:
    """What the status says of its seal has a document; and what must be sealed is."""
    mine = [item for item in sealed if item.statement.uid == one.uid]
    kept = [item for item in mine if not item.anchored]
    said = one.status.seal
    if said is not None:
        same = [item for item in kept if item.statement.head.sequence == said.sequence]
        keys = [item.statement.seal(item.opened.keys[0] if item.opened.keys else None) for item in same]
        if not same:
            yield one.bad("the document of its seal is not here", said.sequence, Grade.MISSING)
        elif said not in keys:
            yield one.bad("status.seal is not what the seal itself says", said.sequence)
    newest = max((i.statement for i in kept), key=lambda s: (s.head.sequence, s.sealed_at), default=None)
    upto = said.sequence if said is not None else -1
    in_store = {item.statement.name: item.envelope for item in reversed(mine) if item.anchored}  # the first one counts
    for item in kept:
        if in_store.get(item.statement.name, item.envelope) != item.envelope:
            yield one.bad("the seal kept with it is not the one in the store", item.statement.head.sequence)
    if newest is not None and newest.head.sequence > upto and newest.sealed_at < dossier.taken_at - GRACE:
        message = f"it was sealed up to {newest.head.sequence} at {format_time(newest.sealed_at)}, and status.seal is "
        yield one.bad(message + ("absent" if said is None else f"at {upto}"), newest.head.sequence)
    for wanted, what, reached in (
        (bool(trust.keys), "signed by a key that was given", _reach(one, sealed, trust, anchored=False)),
        (trust.anchored is not None, "in the store", _reach(one, sealed, trust, anchored=True)),
    ):
        first = next((r for r in one.told if r.sequence > (reached if reached is not None else -1)), None)
        if wanted and first is not None and first.time < dossier.taken_at - GRACE:
            yield one.bad(f"from this record on, nothing is {what}", first.sequence, Grade.MISSING)


def _reach(one: Chronicle, sealed: Iterable[_Sealed], trust: Trust, *, anchored: bool) -> int | None:
    """The last record up to which statements prove what is here."""
    fitting = [
        item.statement.head.sequence
        for item in sealed
        if item.statement.uid == one.uid
        and (item.anchored if anchored else bool(item.opened.verified))
        and item.counts(trust)
        and (record := one.record(item.statement.head.sequence)) is not None
        and record.hash == item.statement.head.hash
    ]
    return max(fitting, default=None)


def _proof(one: Chronicle, findings: Iterable[Finding], sealed: Sequence[_Sealed], trust: Trust) -> Proof:
    return Proof(
        revision=one.name,
        head=one.head,
        records=len(one.told),
        whole=not any(f.revision == one.name and f.grade is not Grade.MISSING for f in findings),
        signed=_reach(one, sealed, trust, anchored=False),
        anchored=_reach(one, sealed, trust, anchored=True),
    )
