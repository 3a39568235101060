"""ModelDecision: one person's act on one release. Immutable; the list of decisions is the list of human acts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import Conditions, Digest, Name, Resource, Text, Time, Word
from sluice.api.governancepolicy import Role
from sluice.api.markers import SET, Rule


class Action(StrEnum):
    """What a person can do to a release."""

    APPROVE = "Approve"
    """Agree, in a role, to this very model under these very policies."""
    REJECT = "Reject"
    """Refuse, in a role: the release ends."""
    REVOKE = "Revoke"
    """Take an approval back, one's own or another's in the role."""
    PAUSE = "Pause"
    """Stand still at the present weight."""
    RESUME = "Resume"
    """Go on."""
    PROMOTE = "Promote"
    """Go to the last step at once, past holds and past gates that could not tell; a gate that fails still decides."""
    ABORT = "Abort"
    """Take the traffic back."""
    RETRY = "Retry"
    """Release again what was rolled back, from the first step."""
    ROLLBACK = "Rollback"
    """Return to an earlier revision that still runs; needs no approval."""


class Actor(Resource):
    """Who acts. Admission holds it against the authenticated user."""

    username: Annotated[str, Field(min_length=1, max_length=256)]
    """The Kubernetes username: `kubectl auth whoami` shows it."""


class Target(Resource):
    """Which release is meant. The uid tells it apart from an earlier deployment of the same name."""

    deployment: Name
    """The ModelDeployment's name."""
    uid: Annotated[str, Field(min_length=1, max_length=64)]
    """The ModelDeployment's metadata.uid."""
    revision: Name
    """The ModelRevision that is acted on; for Rollback, the one to return to."""


class Subject(Resource):
    """The model that is decided about, pinned."""

    model: Annotated[str, Field(min_length=1, max_length=250)]
    """The registered model's name in MLflow."""
    version: Annotated[str, Field(min_length=1, max_length=10)]
    """Its version."""
    digest: Digest
    """The digest of its files, as in the revision's spec.model.digest."""


class ApprovalConditions(Resource):
    """Under which conditions an approval holds; GOV-APP-04 checks them."""

    max_weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """The largest share of live traffic it covers, in percent."""
    namespaces: Annotated[list[Annotated[str, Field(min_length=1, max_length=63)]], Field(max_length=32), SET] = []
    """The namespaces it covers; empty means any."""


class ModelDecisionSpec(Resource):
    """One act, bound to a person, a model, the policies it was judged under, and a target."""

    rules = (
        Rule("self == oldSelf", "a decision never changes; make another one, such as a Revoke"),
        Rule(
            "has(self.role) == (self.action in ['Approve', 'Reject', 'Revoke'])",
            "role goes with Approve, Reject and Revoke, which need it, and with nothing else",
        ),
        Rule(
            "self.action != 'Approve' || has(self.expiresAt)",
            "an approval must expire: set expiresAt, such as 2027-03-31T00:00:00Z",
        ),
        Rule(
            "self.action != 'Approve' || has(self.policyDigest)",
            "an approval must name the policies it was given under: copy status.governance.policyDigest of the "
            "ModelDeployment to policyDigest",
        ),
        Rule(
            "has(self.revokes) == (self.action == 'Revoke')",
            "revokes names the approval that a Revoke takes back, and goes with nothing else",
        ),
        Rule(
            "!(self.action in ['Promote', 'Reject', 'Abort', 'Rollback', 'Revoke'])"
            " || has(self.reason) && size(self.reason) > 0",
            "say why, in reason: this act ends a release or goes around its gates",
        ),
        Rule("self.action != 'Promote' || has(self.ticket)", "a promotion past the gates needs a ticket"),
        Rule("!has(self.conditions) || self.action == 'Approve'", "conditions go with Approve"),
    )

    action: Action
    """What is done."""
    actor: Actor
    """Who does it; must be the authenticated user."""
    target: Target
    """Which release."""
    subject: Subject
    """Which model, by digest."""
    role: Role | None = None
    """For Approve, Reject and Revoke: the role acted in."""
    policy_digest: Digest | None = None
    """For Approve: the policies as they were, from status.governance.policyDigest."""
    revokes: Name | None = None
    """For Revoke: the name of the ModelDecision that is taken back."""
    reason: Text = ""
    """Why."""
    ticket: Word | None = None
    """A ticket, where there is one."""
    expires_at: Time | None = None
    """Until when the act is valid; an approval needs it, another act that has not been carried out by then is void."""
    conditions: ApprovalConditions | None = None
    """Under which conditions an approval holds."""


class ModelDecisionStatus(Resource):
    """What came of it, written by Sluice alone."""

    conditions: Conditions = []
    """Accepted: True once it is part of the record; False says why it counts for nothing, and what to do."""
