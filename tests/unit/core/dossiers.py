"""Dossiers of simulated releases, signed and anchored as the operator does it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from sluice.api.base import format_time
from sluice.api.governanceevidence import EvidenceKind
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.modeldecision import Action
from sluice.api.record import Seal
from sluice.api.verdict import Verdict
from sluice.core import document, evidence, objects, seal
from sluice.core.dossier import Dossier
from sluice.core.governance.facts import Waiver
from sluice.core.objects import Object
from sluice.core.plan import NewEvidence
from sluice.core.verification import Anchored, Trust
from sluice.edges import signing
from tests.unit.core.people import decide, govern
from tests.unit.core.simulation import START, Cluster, spec

NAMESPACE, NAME = "bank", "scorer"


def key(seed: int) -> CryptoSigner:
    """Always the same for a seed, and so is what it signs: a search by chance goes the same ways each time."""
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32)))


KEY, OTHER_KEY, STRANGER = key(1), key(2), key(3)
_SIGNER = signing.Signer(KEY)


@dataclass
class Kept:
    """A simulated release with what the sealer has made of it so far."""

    cluster: Cluster
    signer: signing.Signer = _SIGNER
    anchoring: bool = True
    seals: dict[str, list[NewEvidence]] = field(default_factory=dict)
    """By revision, the documents kept in the cluster."""
    store: list[Anchored] = field(default_factory=list)
    earlier: Dossier | None = None
    """The dossier as it was in the middle of the last release."""

    def seal(self) -> None:
        """Seal every head that is not sealed yet; the next decision writes that down."""
        offered: dict[str, Seal] = dict(self.cluster.oversight.seals)
        for item in self.revisions():
            statement = seal.of(item, self.cluster.now)
            name = item["metadata"]["name"]
            known = offered.get(name)
            if statement is None or (known is not None and known.sequence >= statement.head.sequence):
                continue
            if self.anchoring:
                statement = replace(statement, anchor=f"s3://records/sluice/{statement.name}")
            envelope = self.signer.seal(seal.payload(statement))
            made = NewEvidence(name, EvidenceKind.SEAL, document.digest(envelope), envelope)
            self.seals.setdefault(name, []).append(made)
            if self.anchoring:
                self.store.append(Anchored(statement.name, envelope))
            offered[name] = statement.seal(self.signer.key_id)
        self.cluster.oversight = replace(self.cluster.oversight, seals=offered)
        self.cluster.settle()

    def revisions(self) -> Iterator[Object]:
        """The ModelRevisions as the API server has them."""
        for revision in self.cluster.revisions.values():
            yield {
                "apiVersion": objects.SLUICE,
                "kind": "ModelRevision",
                "metadata": {
                    "name": revision.name,
                    "namespace": NAMESPACE,
                    "uid": f"uid-of-{revision.name}",
                    "labels": objects.labels(NAME, revision.name),
                    "ownerReferences": objects.owned_by("ModelDeployment", NAME, "uid"),
                },
                "spec": revision.spec.dump(),
                "status": revision.status.dump(),
            }

    def dossier(self) -> Dossier:
        """Everything that is kept, as `export` takes it along an hour later."""
        cluster = self.cluster
        by_digest: dict[str, str] = {}
        for revision in cluster.revisions.values():
            for record in revision.status.records:
                for reference in record.evidence:
                    if reference.name == "inputs":
                        by_digest.setdefault(reference.digest or "", revision.name)
        found: list[Object] = [_deployment(cluster), *self.revisions()]
        for digest, text in cluster.evidence.items():
            kind = EvidenceKind.RECORDS if text.startswith("[") else EvidenceKind.INPUTS
            moved = kind is EvidenceKind.RECORDS
            owner = _mover(cluster, digest) if moved else by_digest.get(digest, f"{NAME}-r1")
            found.append(_paper(cluster, NewEvidence(owner, kind, digest, text)))
        for made in self.seals.values():
            found += [_paper(cluster, one) for one in made]
        found += [_decision(cluster, one) for one in cluster.oversight.decisions]
        found += [_act("GovernanceException", w.name, w.uid, w.spec.dump()) for w in cluster.oversight.waivers]
        return Dossier(NAMESPACE, NAME, cluster.now + timedelta(hours=1), tuple(json.loads(json.dumps(found))))

    def trust(self, *, keys: bool = True, anchor: bool = True) -> Trust:
        """What a reviewer brings along: the public key, and access to the store."""
        opener = signing.Trust([KEY.public_key] if keys else [])
        return Trust(opener.open, opener.key_ids, tuple(self.store) if anchor else None)


def _deployment(cluster: Cluster) -> Object:
    metadata = {"name": NAME, "namespace": NAMESPACE, "uid": "uid"}
    return {
        "apiVersion": objects.SLUICE,
        "kind": "ModelDeployment",
        "metadata": metadata,
        "spec": cluster.spec.dump(),
        "status": cluster.status.dump(),
    }


def _paper(cluster: Cluster, made: NewEvidence) -> Object:
    governed = bool(cluster.revisions[made.revision].spec.policies)
    return evidence.build(NAMESPACE, NAME, made, f"uid-of-{made.revision}", governed=governed)


def _mover(cluster: Cluster, digest: str) -> str:
    """Whose records a document holds."""
    for revision in cluster.revisions.values():
        archived = revision.status.archived
        if archived is not None and any(reference.digest == digest for reference in archived.evidence):
            return revision.name
    raise AssertionError(f"nobody moved records into {digest}")


def _act(kind: str, name: str, uid: str, content: Object, status: Object | None = None) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, "uid": uid, "creationTimestamp": format_time(START)}
    item: Object = {"apiVersion": objects.SLUICE, "kind": kind, "metadata": metadata, "spec": content}
    return item | ({"status": status} if status else {})


def _decision(cluster: Cluster, made: Any) -> Object:
    answer = cluster.answers.get(made.name)
    status = {"conditions": [answer.dump()]} if answer else None
    return _act("ModelDecision", made.name, made.uid, made.spec.dump(), status)


VALIDATOR = {"role": "model-validator"}


def waive(cluster: Cluster, control: str, revision: str) -> None:
    """A person accepts that a control does not pass."""
    model = cluster.revisions[revision].spec.model
    given = GovernanceExceptionSpec.model_validate(
        {
            "control": control,
            "target": {"deployment": NAME, "uid": "uid", "revision": revision},
            "subject": {"model": model.name, "version": model.version, "digest": model.digest},
            "approver": {"username": "petra@bank.example"},
            "reason": "the card is being written",
            "ticket": "RISK-7",
            "expiresAt": cluster.now + timedelta(days=30),
        }
    )
    waiver = Waiver(f"{control.lower()}-{revision}", f"uid-waiver-{revision}", cluster.now, given)
    cluster.oversight = replace(cluster.oversight, waivers=(*cluster.oversight.waivers, waiver))


def governed_story(*, signer: signing.Signer = _SIGNER, anchoring: bool = True) -> Kept:
    """Two releases under a policy: the first promoted; the second paused, resumed and rolled back."""
    cluster = Cluster(spec("1"))
    kept = Kept(cluster, signer, anchoring)
    govern(cluster, VALIDATOR, controls=[{"id": "GOV-DOC-01", "mode": "Enforce"}])
    cluster.settle()
    cluster.run(20)
    _approve(cluster, f"{NAME}-r1")
    cluster.run(60)
    kept.seal()
    cluster.run(60)
    assert cluster.phase(f"{NAME}-r1") == "Promoted", cluster.status.message
    cluster.ask(spec("2"))
    cluster.run(20)
    _approve(cluster, f"{NAME}-r2")
    cluster.run(60)
    kept.seal()
    decide(cluster, "omar@bank.example", Action.PAUSE, f"{NAME}-r2")
    cluster.run(20)
    decide(cluster, "omar@bank.example", Action.RESUME, f"{NAME}-r2")
    cluster.run(40)
    kept.earlier = kept.dossier()
    cluster.oracle = lambda _evaluation, _now: Verdict.FAIL
    cluster.run(60)
    kept.seal()
    assert cluster.phase(f"{NAME}-r2") == "RolledBack", cluster.status.message
    return kept


def _approve(cluster: Cluster, revision: str) -> None:
    waive(cluster, "GOV-DOC-01", revision)
    decide(cluster, "vera@bank.example", Action.APPROVE, revision, role="model-validator")


def edited(dossier: Dossier, change: Callable[[list[Object]], None]) -> Dossier:
    """A dossier that somebody laid hands on."""
    items = copy.deepcopy(list(dossier.objects))
    change(items)
    return replace(dossier, objects=tuple(items))
