"""GovernanceEvidence: a document that a record refers to by its digest, such as what a decision was based on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import Conditions, Digest, Name, Resource
from sluice.api.markers import Rule

MAX_CONTENT = 700_000
"""Longest content, in characters: an etcd object holds about a million and a half bytes."""


class EvidenceKind(StrEnum):
    """What kind of document."""

    INPUTS = "Inputs"
    """Everything one decision looked at; deciding again on it gives the same record."""
    RECORDS = "Records"
    """Records moved out of a revision's status, which holds a bounded number."""
    SEAL = "Seal"
    """A signed statement of a chain's head: a DSSE envelope around an in-toto statement."""


class Encoding(StrEnum):
    """How the content is written."""

    GZIP = "Gzip"


class Retention(StrEnum):
    """How long a document is kept."""

    WITH_REVISION = "WithRevision"
    """As long as the revision that refers to it."""
    UNTIL_EXPORTED = "UntilExported"
    """Nobody deletes it before it was exported, garbage collection included."""


class GovernanceEvidenceSpec(Resource):
    """Immutable; the digest is of the decoded content, so a changed document is noticed."""

    rules = (Rule("self == oldSelf", "evidence never changes"),)

    deployment: Name
    """The ModelDeployment's name."""
    revision: Name
    """The ModelRevision whose record refers to it."""
    retention: Retention = Retention.UNTIL_EXPORTED
    """How long it is kept: WithRevision where no policy governs the revision, else UntilExported."""
    kind: EvidenceKind
    """What kind of document."""
    digest: Digest
    """SHA-256 over the decoded content."""
    encoding: Encoding = Encoding.GZIP
    """How the content is written: Gzip is gzip, then base64."""
    content: Annotated[str, Field(min_length=1, max_length=MAX_CONTENT)]
    """The document, JSON, encoded: `kubectl sluice evidence NAME` shows it."""


class GovernanceEvidenceStatus(Resource):
    """Evidence has no state of its own."""

    conditions: Conditions = []
    """None so far."""
