"""GovernancePolicy: what must be true of a release, and who must have agreed to it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import Conditions, Digest, Duration, Resource, Text
from sluice.api.markers import SET, Matching, Rule, map_by


class RiskTier(StrEnum):
    """The model's tier in the bank's inventory."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


ControlId = Annotated[
    str,
    Field(min_length=1, max_length=32),
    Matching("^GOV-[A-Z]+-[0-9][0-9]$", "must be the id of a control in the catalogue, such as GOV-INV-01"),
]
Role = Annotated[
    str,
    Field(min_length=1, max_length=54),
    Matching(
        "^[a-z]([-a-z0-9]*[a-z0-9])?$",
        "must be lower-case letters, digits and dashes, such as model-validator: it becomes the verb approve-<role>",
    ),
]
"""What a person approves as; the Kubernetes verb ``approve-<role>`` on modeldeployments says who may."""


class Mode(StrEnum):
    """What a control that does not pass does to a release."""

    ENFORCE = "Enforce"
    """It blocks."""
    WARN = "Warn"
    """It is shown to the person who applies, and in the status."""
    AUDIT = "Audit"
    """It is recorded."""


class Severity(StrEnum):
    """How much a control matters, for the reader of a report; the mode decides, not this."""

    CRITICAL = "Critical"
    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


class PolicyControl(Resource):
    """One control of the catalogue, switched on."""

    id: ControlId
    """The control's id in the catalogue, for example GOV-VAL-02."""
    mode: Mode = Mode.ENFORCE
    """Enforce blocks, Warn shows, Audit records."""
    parameters: Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=32)] = {}
    """The control's parameters, for example maxAge; the catalogue has each with its default."""


class Distinct(StrEnum):
    """Whom an approver must not be."""

    DEVELOPER = "Developer"
    """Who registered or trained the model, or is named as its developer."""
    REQUESTER = "Requester"
    """Who changed the ModelDeployment's spec, as stamped at admission."""
    APPROVER = "Approver"
    """Who has approved in another role, or in another place of this one."""


class Before(StrEnum):
    """Up to where a release may go without an approval."""

    START = "Start"
    """Nothing runs before it is given."""
    PROMOTION = "Promotion"
    """The release may take its steps, but not the last."""


class RequiredApproval(Resource):
    """People who must have agreed, by role."""

    role: Role
    """What they approve as, for example model-validator."""
    count: Annotated[int, Field(ge=1, le=10)] = 1
    """How many different people."""
    before: Before = Before.START
    """Up to where a release may go without."""
    distinct_from: Annotated[list[Distinct], Field(max_length=3), SET] = [
        Distinct.DEVELOPER,
        Distinct.REQUESTER,
        Distinct.APPROVER,
    ]
    """Whom an approver must not be. An empty list means anyone with the role."""
    valid_for: Duration = timedelta(days=90)
    """An approval counts no longer than this after it was given, whatever expiry it states."""


class CustomRule(Resource):
    """A rule of one's own, in CEL over the facts of a release."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=63),
        Matching("^[a-z]([-a-z0-9]*[a-z0-9])?$", "must be lower-case letters, digits and dashes, such as no-friday"),
    ]
    """A short name; results call it CUSTOM-<name>."""
    title: Annotated[str, Field(min_length=1, max_length=128)]
    """What it checks, in a few words."""
    rationale: Text = ""
    """Why it is there."""
    expression: Annotated[str, Field(min_length=1, max_length=2048)]
    """CEL over `facts` (see docs/reference/controls.md); only true passes, all else, errors too, does not."""
    message: Annotated[str, Field(min_length=1, max_length=1024)]
    """What a person reads when it does not pass: what is wrong, and what to do."""
    mode: Mode = Mode.ENFORCE
    """Enforce blocks, Warn shows, Audit records."""
    severity: Severity = Severity.MEDIUM
    """How much it matters."""


class AppliesTo(Resource):
    """Which ModelDeployments a policy is about. Each list that is empty admits everything."""

    namespaces: Annotated[list[Annotated[str, Field(min_length=1, max_length=63)]], Field(max_length=128), SET] = []
    """Namespaces by name."""
    risk_tiers: Annotated[list[RiskTier], Field(max_length=3), SET] = []
    """Risk tiers as stated in spec.governance. A deployment that states none is in every tier, so that leaving
    the field out is no way around a policy."""
    use_cases: Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=64), SET] = []
    """Use cases as stated in spec.governance; likewise."""


class GovernancePolicySpec(Resource):
    """Typed controls, required approvals and rules of one's own, for the deployments it applies to."""

    rules = (
        Rule(
            "[has(self.controls) ? size(self.controls) : 0, has(self.approvals) ? size(self.approvals) : 0,"
            " has(self.customRules) ? size(self.customRules) : 0].sum() > 0",
            "a policy needs at least one control, approval or custom rule",
        ),
    )

    description: Text | None = None
    """What the policy is for, for people."""
    applies_to: AppliesTo = AppliesTo()
    """Which ModelDeployments it is about; empty means all."""
    controls: Annotated[list[PolicyControl], Field(max_length=64), map_by("id")] = []
    """Controls of the catalogue. Where several policies name one, the strictest mode holds."""
    approvals: Annotated[list[RequiredApproval], Field(max_length=16), map_by("role")] = []
    """Who must have agreed."""
    custom_rules: Annotated[list[CustomRule], Field(max_length=32), map_by("name")] = []
    """Rules of one's own, in CEL."""


class GovernancePolicyStatus(Resource):
    """Whether the policy can be evaluated, and what it is pinned by."""

    conditions: Conditions = []
    """Ready: every control is known and every custom rule compiles; False says what to mend."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The spec generation that this status speaks of."""
    digest: Digest | None = None
    """SHA-256 over the spec: what approvals and records name."""
