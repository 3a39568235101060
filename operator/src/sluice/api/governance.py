"""Governance results: what each control said of a release, and how sure that is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import Digest, Name, Resource, Text, Time, Word
from sluice.api.governancepolicy import Before, Mode, Role, Severity
from sluice.api.markers import ATOMIC, map_by


class ControlVerdict(StrEnum):
    """What a control says. Missing data and errors are never a pass."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    """What it asks for is so."""
    FAIL = "Fail"
    """What it asks for is not so, or was not stated."""
    ERROR = "Error"
    """It could not be told: a source did not answer, an identity is not mapped."""
    SKIPPED = "Skipped"
    """It does not concern this release; the message says why."""
    WAIVED = "Waived"
    """It does not pass, and an exception that is in force says that this is acceptable."""


class Assurance(StrEnum):
    """What a control's verdict rests on."""

    DECLARED = "Declared"
    """Somebody said so, in the spec or in MLflow."""
    DERIVED = "Derived"
    """Sluice worked it out: a digest it computed, traffic it measured."""
    VERIFIED = "Verified"
    """A signature, or the API server's own word on who somebody is."""


class EvidenceReference(Resource):
    """Where what a control or a record rests on can be found."""

    name: Annotated[str, Field(max_length=256)]
    """What it is, or where."""
    digest: Digest | None = None
    """Its SHA-256, where it has one."""


class ControlResult(Resource):
    """One control's verdict on one release."""

    id: Annotated[str, Field(min_length=1, max_length=80)]
    """The control's id, or CUSTOM-<name>."""
    verdict: ControlVerdict
    """Pass, Fail, Error, Skipped or Waived."""
    mode: Mode
    """The strictest mode of the policies that name it."""
    severity: Severity
    """How much it matters."""
    assurance: Assurance
    """What the verdict rests on."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """Why, in a sentence; where it does not pass, who can mend it and how."""
    evidence: Annotated[list[EvidenceReference], Field(max_length=8), ATOMIC] = []
    """What it rests on."""
    waiver: Name | None = None
    """The GovernanceException that waives it."""


class GivenApproval(Resource):
    """An approval that was looked at."""

    decision: Name
    """The ModelDecision's name."""
    username: Word
    """Who gave it."""
    role: Role
    """In which role."""
    standing: Word
    """Counts, or why it does not, in one CamelCase word such as Expired or SelfApproval."""
    message: Annotated[str, Field(max_length=512)] = ""
    """Why it does not, in a sentence."""
    expires_at: Time | None = None
    """Until when it is honoured."""


class ApprovalState(Resource):
    """How far one required approval is."""

    role: Role
    """The role."""
    required: Annotated[int, Field(ge=1, le=10)]
    """How many people must have approved."""
    given: Annotated[int, Field(ge=0, le=100)]
    """How many have."""
    before: Before
    """Up to where the release may go without."""
    approvals: Annotated[list[GivenApproval], Field(max_length=32), ATOMIC] = []
    """Those that were looked at."""


class PinnedPolicy(Resource):
    """A policy by its content."""

    name: Name
    """The GovernancePolicy's name."""
    digest: Digest
    """SHA-256 over its spec."""


class ControlSummary(Resource):
    """How many controls said what."""

    passed: Annotated[int, Field(ge=0)] = 0
    """Pass."""
    failed: Annotated[int, Field(ge=0)] = 0
    """Fail."""
    errors: Annotated[int, Field(ge=0)] = 0
    """Error."""
    skipped: Annotated[int, Field(ge=0)] = 0
    """Skipped."""
    waived: Annotated[int, Field(ge=0)] = 0
    """Waived."""


class GovernanceStatus(Resource):
    """What governance says of the release that the spec asks for."""

    revision: Name | None = None
    """The ModelRevision it speaks of; absent before there is one."""
    policies: Annotated[list[PinnedPolicy], Field(max_length=32), map_by("name")] = []
    """The policies that apply."""
    policy_digest: Digest | None = None
    """SHA-256 over all of them: what an approval must name."""
    blocked_by: Annotated[str, Field(max_length=256)] | None = None
    """The controls and approvals that hold the release back, worst first; absent while none does."""
    message: Text | None = None
    """The first of them: why, who can mend it, and with which command."""
    summary: ControlSummary | None = None
    """How many controls said what."""
    controls: Annotated[list[ControlResult], Field(max_length=128), map_by("id")] = []
    """Every control's verdict."""
    approvals: Annotated[list[ApprovalState], Field(max_length=16), map_by("role")] = []
    """Every required approval."""
    requester: Word | None = None
    """Who changed the spec last, as stamped at admission."""
