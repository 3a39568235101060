"""Dossiers: what is kept of a simulated cluster, with all that an export of a real one would have."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sluice.api.base import format_time
from sluice.api.governance import PinnedPolicy
from sluice.api.governanceevidence import EvidenceKind
from sluice.core import document, evidence, objects, seal
from sluice.core.dossier import Dossier
from sluice.core.governance import policy
from sluice.core.governance.facts import Decision, Policy, Waiver
from sluice.core.objects import Object
from sluice.core.plan import NewEvidence
from sluice.core.records import Head
from sluice.core.seal import Statement
from sluice.core.verification import Anchored, Trust
from sluice.core.world import Revision, World
from sluice.edges import signing
from tests.unit.bank import KEY, SIGNER, Bank
from tests.unit.core.governance import examples

UNTRUSTED = Trust(signing.Trust([]).open)
"""What a check may rely on if neither keys nor a store are given."""


def trusted(kept: Dossier, *, anchored: bool = True) -> Trust:
    """The bank's key, and a store that has what was sealed."""
    opener = signing.Trust([KEY.public_key])
    seals = [item for item in kept.of("GovernanceEvidence") if item["spec"]["kind"] == EvidenceKind.SEAL]
    envelopes = [evidence.decode(item) for item in seals]
    stored = [Anchored(seal.parse(opener.open(text).payload).name, text) for text in envelopes]
    return Trust(opener.open, opener.key_ids, tuple(stored) if anchored else None)


def dossier(cluster: Bank, taken_at: datetime | None = None) -> Dossier:
    """What an export of a simulated cluster has, taken now unless said."""
    world = cluster.world()
    made = [
        _deployment(cluster, world),
        *(_revision(world, name) for name in cluster.revisions),
        *(_evidence(cluster, world, text) for text in cluster.evidence.values()),
        *(_sealed(world, r) for r in cluster.revisions.values() if r.status.seal is not None),
        *(_act(world, d, "ModelDecision") for d in world.oversight.decisions),
        *(_act(world, w, "GovernanceException") for w in world.oversight.waivers),
        *(_policy(p) for p in world.oversight.policies),
    ]
    return Dossier(world.namespace, world.name, taken_at or cluster.now, tuple(made))


def _item(kind: str, name: str, namespace: str | None, created: datetime, **rest: Any) -> Object:
    metadata: Object = {"name": name, "uid": f"{kind}-{name}", "creationTimestamp": format_time(created)}
    metadata |= {"namespace": namespace} if namespace else {}
    return {"apiVersion": objects.SLUICE, "kind": kind, "metadata": metadata, **rest}


def _deployment(cluster: Bank, world: World) -> Object:
    found = _item("ModelDeployment", world.name, world.namespace, world.created_at)
    found["metadata"] |= {"uid": world.uid, "generation": cluster.generation}
    return found | {"spec": cluster.spec.dump(), "status": cluster.status.dump()}


def _revision(world: World, name: str) -> Object:
    revision = next(r for r in world.revisions if r.name == name)
    found = _item("ModelRevision", name, world.namespace, revision.spec.requested_at)
    found["metadata"] |= {
        "labels": objects.labels(world.name, name),
        "ownerReferences": objects.owned_by("ModelDeployment", world.name, world.uid),
    }
    return found | {"spec": revision.spec.dump(), "status": revision.status.dump()}


def _evidence(cluster: Bank, world: World, text: str) -> Object:
    digest = document.digest(text)
    named = [
        r
        for r in cluster.revisions.values()
        if any(e.digest == digest for record in r.status.records for e in record.evidence)
    ]
    owner = max(named, key=lambda r: r.number)
    made = NewEvidence(owner.name, EvidenceKind.INPUTS, digest, text)
    return _document(world, owner, made)


def _sealed(world: World, revision: Revision) -> Object:
    """The statement that the revision's status names."""
    told = revision.status.seal
    assert told is not None
    statement = Statement(
        namespace=world.namespace,
        deployment=world.name,
        deployment_uid=world.uid,
        revision=revision.name,
        uid=f"ModelRevision-{revision.name}",
        head=Head(told.sequence, told.hash),
        sealed_at=told.sealed_at,
        previous=revision.spec.previous,
        anchor=told.anchor,
    )
    envelope = SIGNER.seal(seal.payload(statement))
    made = NewEvidence(revision.name, EvidenceKind.SEAL, document.digest(envelope), envelope)
    return _document(world, revision, made)


def _document(world: World, owner: Revision, made: NewEvidence) -> Object:
    governed = bool(owner.spec.policies)
    return evidence.build(world.namespace, world.name, made, f"ModelRevision-{owner.name}", governed=governed)


def _act(world: World, act: Decision | Waiver, kind: str) -> Object:
    found = _item(kind, act.name, world.namespace, act.created_at, spec=act.spec.dump())
    found["metadata"]["uid"] = act.uid
    return found | {"status": {"conditions": [act.answer.dump()]} if act.answer else {}}


def _policy(found: Policy) -> Object:
    pinned: PinnedPolicy = policy.pinned([found])[0]
    item = _item("GovernancePolicy", found.name, None, found.changed_at or examples.NOW)
    return item | {"spec": found.spec.dump(), "status": {"digest": pinned.digest}}
