"""Dossiers: what is kept of a simulated cluster, with all that an export of a real one would have."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sluice.api.base import format_time
from sluice.api.governance import PinnedPolicy
from sluice.api.governanceevidence import EvidenceKind
from sluice.core import document, evidence, objects
from sluice.core.dossier import Dossier
from sluice.core.governance import policy
from sluice.core.governance.facts import Decision, Policy, Waiver
from sluice.core.objects import Object
from sluice.core.plan import NewEvidence
from sluice.core.world import World
from tests.unit.bank import Bank
from tests.unit.core.governance import examples


def dossier(cluster: Bank, taken_at: datetime | None = None) -> Dossier:
    """What an export of a simulated cluster has, taken now unless said."""
    world = cluster.world()
    made = [
        _deployment(cluster, world),
        *(_revision(world, name) for name in cluster.revisions),
        *(_evidence(cluster, world, text) for text in cluster.evidence.values()),
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
    found["metadata"]["labels"] = objects.labels(world.name, name)
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
    governed = bool(owner.spec.policies)
    return evidence.build(world.namespace, world.name, made, f"uid-{owner.name}", governed=governed)


def _act(world: World, act: Decision | Waiver, kind: str) -> Object:
    found = _item(kind, act.name, world.namespace, act.created_at, spec=act.spec.dump())
    found["metadata"]["uid"] = act.uid
    return found | {"status": {"conditions": [act.answer.dump()]} if act.answer else {}}


def _policy(found: Policy) -> Object:
    pinned: PinnedPolicy = policy.pinned([found])[0]
    item = _item("GovernancePolicy", found.name, None, found.changed_at or examples.NOW)
    return item | {"spec": found.spec.dump(), "status": {"digest": pinned.digest}}
