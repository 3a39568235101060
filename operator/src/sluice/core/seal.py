"""Seal: the statement that a revision's record had a certain head at a certain time, as an in-toto Statement v1.

Signed and put where it cannot be changed, it shows later that nothing up to that head was changed or removed, since
the head's hash covers every record before it, those of earlier revisions included.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sluice.api.base import format_time, parse_time
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.record import ChainLink, Seal
from sluice.core import records
from sluice.core.objects import Object
from sluice.core.records import Head

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://sluice.dev/record-head/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""What a DSSE envelope calls an in-toto statement."""
_IN_NAME = 16
"""Hex digits of the head's hash in the name of what is anchored: two heads of one number are two objects."""


@dataclass(frozen=True)
class Statement:
    """How far the record of one ModelRevision had come. The uids tell it from a later object of the same name."""

    namespace: str
    deployment: str
    deployment_uid: str
    revision: str
    uid: str
    head: Head
    sealed_at: datetime
    previous: ChainLink | None = None
    """Where the record of the revision before stood when this one's began."""
    anchor: str | None = None
    """Where it is kept outside the cluster."""

    @property
    def name(self) -> str:
        """Where it is kept in a store: ``risk/fraud/fraud-r7/000012-3f2a….json``. Names sort as the records do."""
        digits = self.head.hash.removeprefix("sha256:")[:_IN_NAME]
        return f"{folder(self.namespace, self.deployment, self.revision)}{self.head.sequence:06}-{digits}.json"

    def says_the_same(self, other: Statement) -> bool:
        """Whether another statement is about the same head of the same object, whenever it was made."""
        return (self.uid, self.head, self.previous) == (other.uid, other.head, other.previous)

    def seal(self, key_id: str | None) -> Seal:
        """What the revision's status says of it."""
        return Seal(
            sequence=self.head.sequence,
            hash=self.head.hash,
            sealed_at=self.sealed_at,
            key_id=key_id,
            anchor=self.anchor,
        )


def folder(namespace: str, deployment: str, revision: str = "") -> str:
    """What the names of a deployment's statements, or of one revision's, begin with."""
    return f"{namespace}/{deployment}/" + (f"{revision}/" if revision else "")


def of(item: Object, now: datetime) -> Statement | None:
    """The statement of a ModelRevision as the API server has it; None while nothing is recorded.

    Raises:
        ValidationError: this version of Sluice cannot read it.
    """
    metadata = item["metadata"]
    spec = ModelRevisionSpec.model_validate(item["spec"])
    head = records.head(spec, ModelRevisionStatus.model_validate(item.get("status", {})))
    if head.sequence < 0:
        return None
    return Statement(
        namespace=metadata["namespace"],
        deployment=spec.deployment,
        deployment_uid=owner_uid(item),
        revision=metadata["name"],
        uid=metadata["uid"],
        head=head,
        sealed_at=now,
        previous=spec.previous,
    )


def owner_uid(item: Object) -> str:
    """The uid of the ModelDeployment that a ModelRevision belongs to; empty if it belongs to none."""
    owners = item["metadata"].get("ownerReferences", [])
    return next((str(owner["uid"]) for owner in owners if owner["kind"] == "ModelDeployment"), "")


def payload(statement: Statement) -> bytes:
    """The statement's canonical bytes: what is signed."""
    more: dict[str, Any] = {}
    if statement.previous is not None:
        more["previous"] = statement.previous.dump()
    if statement.anchor is not None:
        more["anchor"] = statement.anchor
    said = {
        "_type": STATEMENT,
        "subject": [
            {
                "name": f"{statement.namespace}/{statement.revision}",
                "digest": {"sha256": statement.head.hash.removeprefix("sha256:")},
                "annotations": {"uid": statement.uid},
            }
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "deployment": statement.deployment,
            "deploymentUid": statement.deployment_uid,
            "revision": statement.revision,
            "sequence": statement.head.sequence,
            "sealedAt": format_time(statement.sealed_at),
        }
        | more,
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(content: bytes) -> Statement:
    """The statement that :func:`payload` wrote.

    Raises:
        ValueError: it is none, or not one of ours.
    """
    try:
        found = json.loads(content)
        kind = (found["_type"], found["predicateType"])
        if kind != (STATEMENT, PREDICATE):
            raise ValueError(f"it is a {kind[1]} ({kind[0]})")
        statement = _read(found)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"it is no statement of a record's head: {error!r}") from error
    if payload(statement) != content:
        raise ValueError("it is not written as Sluice writes statements")
    return statement


def _read(found: Any) -> Statement:
    (subject,) = found["subject"]
    said = found["predicate"]
    namespace, _, _ = subject["name"].partition("/")
    previous = said.get("previous")
    return Statement(
        namespace=namespace,
        deployment=said["deployment"],
        deployment_uid=said["deploymentUid"],
        revision=said["revision"],
        uid=subject["annotations"]["uid"],
        head=Head(int(said["sequence"]), "sha256:" + subject["digest"]["sha256"]),
        sealed_at=parse_time(said["sealedAt"]),
        previous=ChainLink.model_validate(previous) if previous is not None else None,
        anchor=said.get("anchor"),
    )


def better(seal: Seal, than: Seal | None) -> bool:
    """Whether a seal is worth writing down over another: it goes further, or holds more of the same."""
    if than is None or seal.sequence != than.sequence:
        return than is None or seal.sequence > than.sequence
    return (seal.anchor is not None, seal.key_id is not None) > (than.anchor is not None, than.key_id is not None)
