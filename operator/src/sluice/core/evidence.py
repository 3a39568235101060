"""Evidence: a document as the object that keeps it, and back."""

from __future__ import annotations

import base64
import gzip
import zlib

from sluice.api.governanceevidence import Encoding, EvidenceKind, GovernanceEvidenceSpec, Retention
from sluice.core import document, objects
from sluice.core.objects import Object
from sluice.core.plan import NewEvidence

_IN_NAME = 16
"""Hex digits of the digest that the object's name holds."""
_LARGEST = 64 * 1024 * 1024
"""Bytes of a decoded document: what compresses better than a hundredfold is no document of ours."""


def build(namespace: str, deployment: str, wanted: NewEvidence, owner: str, *, governed: bool) -> Object:
    """The GovernanceEvidence of a document. Its name holds its digest, so that the same one is kept once.

    Args:
        namespace: where it is kept.
        deployment: the ModelDeployment's name.
        wanted: the document.
        owner: the uid of its ModelRevision.
        governed: whether that has policies.
    """
    spec = GovernanceEvidenceSpec(
        deployment=deployment,
        revision=wanted.revision,
        retention=Retention.UNTIL_EXPORTED if governed else Retention.WITH_REVISION,
        kind=wanted.kind,
        digest=wanted.digest,
        encoding=Encoding.GZIP,
        content=encode(wanted.content),
    )
    return {
        "apiVersion": objects.SLUICE,
        "kind": "GovernanceEvidence",
        "metadata": {
            "name": name(wanted.revision, wanted.kind, wanted.digest),
            "namespace": namespace,
            "labels": objects.labels(deployment, wanted.revision),
            "ownerReferences": objects.owned_by("ModelRevision", wanted.revision, owner),
        },
        "spec": spec.dump(),
    }


def name(revision: str, kind: EvidenceKind, digest: str) -> str:
    """What the object is called: ``fraud-r7-inputs-3f2a…``."""
    return f"{revision}-{kind.lower()}-{digest.removeprefix('sha256:')[:_IN_NAME]}"


def encode(content: str) -> str:
    """Gzip, then base64. Without a time stamp: the same content gives the same object."""
    return base64.b64encode(gzip.compress(content.encode(), mtime=0)).decode()


def decode(item: Object) -> str:
    """The document that an object keeps.

    Raises:
        ValueError: it cannot be read, or is not the one that its digest names.
    """
    spec = item["spec"]
    try:
        packed = base64.b64decode(spec["content"], validate=True)
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        text = unpacking.decompress(packed, _LARGEST).decode()
    except (ValueError, zlib.error) as error:
        raise ValueError(f"its content cannot be read: {error}") from error
    if not unpacking.eof:
        raise ValueError(f"its content is cut off, or larger than {_LARGEST} bytes")
    if document.digest(text) != spec["digest"]:
        raise ValueError("its content is not what its digest says")
    return text
