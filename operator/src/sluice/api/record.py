"""Records: what happened in a release, each bound to the one before by a hash."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import Digest, Name, Resource, Text, Time, Word
from sluice.api.governance import EvidenceReference
from sluice.api.markers import ATOMIC
from sluice.api.modeldecision import Action

MAX_RECORDS = 256
"""Most records in a revision's status; before that, the older ones move to GovernanceEvidence of kind Records."""

MAX_ARCHIVES = 64
"""How many documents of moved records a status names. Older ones are found by the records that say they were moved."""

ORIGIN = "sha256:" + "0" * 64
"""What the first record of a deployment's first revision has before it."""


class RecordKind(StrEnum):
    """What happened."""

    CREATED = "Created"
    POLICY_EVALUATED = "PolicyEvaluated"
    """The controls said something else than before, or it was the first time."""
    DECISION_SEEN = "DecisionSeen"
    """A person's act became part of the record; the actor is that person."""
    STARTED = "Started"
    """Nothing stood against it, and its workload was asked for."""
    STEP_STARTED = "StepStarted"
    """The gateway was seen to apply the step's weight."""
    VERDICT_GIVEN = "VerdictGiven"
    """A drift gate gave its one verdict on a step."""
    STEP_FINISHED = "StepFinished"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"
    BREACHED = "Breached"
    """A gate failed on what serves for longer than spec.watch allows."""
    RECOVERED = "Recovered"
    """A gate that had passes again on what serves, or is not watched any more."""
    REPLACED = "Replaced"
    """A later revision was promoted; this one left the traffic."""
    REUSED = "Reused"
    """The spec, or a person, asked for it again."""
    WAIVED = "Waived"
    """An exception came into force, or ceased to be."""
    EXPIRED = "Expired"
    """An approval of what is serving expired or was revoked: new releases are held, nothing else changes."""
    HAND_EDITED = "HandEdited"
    """Somebody changed what was decided; the message says what, and under which name of a field manager."""
    CORRECTED = "Corrected"
    """What was changed by hand is as it was decided again."""
    RETIRED = "Retired"
    ARCHIVED = "Archived"
    """Older records were moved to evidence."""


class Record(Resource):
    """One thing that happened. ``hash`` is over all the other fields, as canonical JSON."""

    sequence: Annotated[int, Field(ge=0)]
    """Its number in this revision, from 0, without gaps."""
    time: Time
    """When the operator decided it."""
    kind: RecordKind
    """What happened."""
    actor: Annotated[str, Field(min_length=1, max_length=256)]
    """Who: a username, or sluice."""
    reason: Word
    """Why, in one CamelCase word."""
    message: Text
    """Why, in a sentence."""
    evidence: Annotated[list[EvidenceReference], Field(max_length=16), ATOMIC] = []
    """What it rests on: `inputs` is what the decision looked at, `spec` the revision's spec, `step` a step's record,
    `records` records that were moved, `state` the status after it."""
    previous_hash: Digest
    """The hash of the record before; of revision N's first, the head of revision N-1 when N was made."""
    hash: Digest
    """SHA-256 over this record without this field."""


class ChainLink(Resource):
    """The head of an earlier revision's records, where this revision's begin."""

    revision: Name
    """The earlier ModelRevision."""
    sequence: Annotated[int, Field(ge=0)]
    """The head's number."""
    hash: Digest
    """The head's hash."""


class ArchivedRecords(Resource):
    """Records that were moved out of the status."""

    until: Annotated[int, Field(ge=0)]
    """The sequence of the last of them."""
    hash: Digest
    """The hash of the last of them."""
    evidence: Annotated[list[EvidenceReference], Field(max_length=MAX_ARCHIVES), ATOMIC]
    """The documents that hold them, oldest first; the latest 64, where there are more."""


class SeenDecision(Resource):
    """A person's act that was taken into account, so that it is carried out once."""

    name: Name
    """The ModelDecision's or GovernanceException's name."""
    uid: Annotated[str, Field(max_length=64)]
    """Its metadata.uid."""
    action: Action | None = None
    """What was done; absent for a GovernanceException that came into force."""
    ended_at: Time | None = None
    """When a GovernanceException was seen to be in force no longer."""


class Seal(Resource):
    """How far the records are signed, and anchored outside the cluster."""

    sequence: Annotated[int, Field(ge=0)]
    """The record up to which."""
    hash: Digest
    """Its hash."""
    sealed_at: Time
    """When."""
    key_id: Word | None = None
    """The key of the signature; absent where there is none."""
    anchor: Annotated[str, Field(max_length=512)] | None = None
    """Where the statement was written, such as s3://records/risk/fraud/…; absent where no anchor is configured."""
