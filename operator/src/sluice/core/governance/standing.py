"""Standing: whether one approval counts, and if not, why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sluice.api.base import format_time
from sluice.api.governance import GivenApproval
from sluice.api.governancepolicy import Distinct, RequiredApproval
from sluice.api.modeldecision import Action
from sluice.core.governance.facts import Decision, Facts
from sluice.core.governance.people import Developers, is_person, person, unguarded


class Standing(StrEnum):
    """Whether an approval counts, or why it does not."""

    COUNTS = "Counts"
    ROLE_MISMATCH = "RoleMismatch"
    NOT_GUARDED = "NotGuarded"
    SERVICE_ACCOUNT = "ServiceAccount"
    OTHER_TARGET = "OtherTarget"
    OTHER_MODEL = "OtherModel"
    OTHER_POLICIES = "OtherPolicies"
    REVOKED = "Revoked"
    EXPIRED = "Expired"
    DEVELOPER_AS_APPROVER = "DeveloperAsApprover"
    UNMAPPED_DEVELOPER = "UnmappedDeveloper"
    DEVELOPERS_UNKNOWN = "DevelopersUnknown"
    SELF_APPROVAL = "SelfApproval"
    REQUESTER_UNKNOWN = "RequesterUnknown"
    OUTSIDE_CONDITIONS = "OutsideConditions"
    SAME_APPROVER = "SameApprover"


@dataclass(frozen=True)
class Judged:
    """One approval, as it stands."""

    decision: Decision
    standing: Standing
    message: str
    expires_at: datetime

    @property
    def name(self) -> str:
        """Who gave it."""
        return person(self.decision.spec.actor.username)

    @property
    def given(self) -> GivenApproval:
        """As the status shows it."""
        spec = self.decision.spec
        return GivenApproval(
            decision=self.decision.name,
            username=spec.actor.username[:128],
            role=spec.role or "",
            standing=self.standing,
            message=self.message[:512],
            expires_at=self.expires_at,
        )


def is_about(decision: Decision, facts: Facts) -> bool:
    """Whether an act is about this release of this model, to the letter."""
    target, subject, model = decision.spec.target, decision.spec.subject, facts.model
    return (
        (target.deployment, target.uid, target.revision) == (facts.deployment, facts.uid, facts.revision)
        and model is not None
        and (subject.model, subject.version, subject.digest) == (model.name, model.version, model.digest)
    )


def concerns(decision: Decision, facts: Facts) -> bool:
    """Whether an approval is worth mentioning: it names this release, or these files. Others are other releases'."""
    if decision.spec.action is not Action.APPROVE or not decision.spec.role:
        return False
    same_files = facts.model is not None and decision.spec.subject.digest == facts.model.digest
    return same_files or decision.spec.target.revision == facts.revision


def revokers(facts: Facts) -> Mapping[str, list[Decision]]:
    """The Revokes, by the name of what they take back."""
    found: dict[str, list[Decision]] = {}
    for decision in facts.decisions:
        if decision.spec.action is Action.REVOKE and decision.spec.revokes:
            found.setdefault(decision.spec.revokes, []).append(decision)
    return found


def revoked_by(decision: Decision, taken_back: Mapping[str, list[Decision]]) -> Decision | None:
    """The Revoke that takes an act back: by somebody of its role, and not older than the act itself."""
    found = (
        revoke
        for revoke in taken_back.get(decision.name, ())
        if revoke.spec.role == decision.spec.role and revoke.created_at >= decision.created_at
    )
    return min(found, key=lambda revoke: (revoke.created_at, revoke.name), default=None)


def _expiry(decision: Decision, asked: RequiredApproval) -> datetime:
    latest = decision.created_at + asked.valid_for
    return min(decision.spec.expires_at, latest) if decision.spec.expires_at else latest


def judge(
    facts: Facts,
    asked: RequiredApproval,
    decision: Decision,
    taken_back: Mapping[str, list[Decision]],
    developed: Developers,
) -> Judged:
    """How an approval stands for a role that is asked for, all others left aside."""
    expires_at = _expiry(decision, asked)
    standing, message = (
        _identity(facts, decision)
        or _subject(facts, decision)
        or _time(facts, decision, expires_at, taken_back)
        or _segregation(facts, asked, decision, developed)
        or _conditions(facts, decision)
        or (Standing.COUNTS, "")
    )
    return Judged(decision, standing, message, expires_at)


_Why = tuple[Standing, str] | None


def _identity(facts: Facts, decision: Decision) -> _Why:
    if why := unguarded(facts, decision.created_at):
        return Standing.NOT_GUARDED, (
            f"nothing proves that {decision.spec.actor.username} gave it: {why}; the platform team installs the "
            "admission policies of the chart (`kubectl get validatingadmissionpolicies`), then it is given again"
        )
    if not is_person(decision.spec.actor.username):
        return Standing.SERVICE_ACCOUNT, "only people approve; somebody with the role gives it under their own name"
    return None


def _subject(facts: Facts, decision: Decision) -> _Why:
    target, subject, model = decision.spec.target, decision.spec.subject, facts.model
    if (target.deployment, target.uid) != (facts.deployment, facts.uid):
        return Standing.OTHER_TARGET, (
            f"it is for another ModelDeployment (uid {target.uid}); approve this one, uid {facts.uid}"
        )
    if facts.revision is None or target.revision != facts.revision:
        here = f"approve {facts.revision}" if facts.revision else "approve once there is a revision"
        return Standing.OTHER_TARGET, f"it is for {target.revision}; {here}"
    if model is None or (subject.model, subject.version, subject.digest) != (model.name, model.version, model.digest):
        here = f"{model.name} {model.version} with digest {model.digest}" if model else "not resolved yet"
        return Standing.OTHER_MODEL, (
            f"it is for {subject.model} {subject.version} with digest {subject.digest}; this model is {here}"
        )
    if not facts.policy_digest or decision.spec.policy_digest != facts.policy_digest:
        return Standing.OTHER_POLICIES, (
            f"it was given under other policies ({decision.spec.policy_digest or 'none named'}); read what changed and "
            f"approve again under {facts.policy_digest or 'the digest in status.governance.policyDigest'}"
        )
    return None


def _time(facts: Facts, decision: Decision, expires_at: datetime, taken_back: Mapping[str, list[Decision]]) -> _Why:
    if revoke := revoked_by(decision, taken_back):
        return Standing.REVOKED, (
            f"{revoke.spec.actor.username} took it back ({revoke.name}: {revoke.spec.reason or 'no reason given'}); "
            "if that is mended, it is given again"
        )
    if facts.now >= expires_at:
        return Standing.EXPIRED, f"it expired at {format_time(expires_at)}; it is given again"
    return None


def _segregation(facts: Facts, asked: RequiredApproval, decision: Decision, developed: Developers) -> _Why:
    approver = person(decision.spec.actor.username)
    if Distinct.DEVELOPER in asked.distinct_from:
        if approver in developed.known:
            return Standing.DEVELOPER_AS_APPROVER, "the approver developed the model; somebody else must approve it"
        if developed.unmapped:
            return Standing.UNMAPPED_DEVELOPER, (
                f"it cannot be told whether the approver developed the model: {developed.unsure}"
            )
        if developed.problem:
            return Standing.DEVELOPERS_UNKNOWN, (
                f"it cannot be told whether the approver developed the model: {developed.problem}"
            )
    if Distinct.REQUESTER in asked.distinct_from:
        if facts.requester is None or not facts.requester.strip():
            return Standing.REQUESTER_UNKNOWN, (
                "it cannot be told whether the approver asked for this release: nobody was stamped at admission; the "
                "platform team installs the chart's admission policies, then the ModelDeployment is applied again"
            )
        if approver == person(facts.requester):
            return Standing.SELF_APPROVAL, "the approver asked for this release; somebody else must approve it"
    return None


def _conditions(facts: Facts, decision: Decision) -> _Why:
    conditions = decision.spec.conditions
    if conditions is None:
        return None
    if conditions.max_weight is not None and facts.weight > conditions.max_weight:
        return Standing.OUTSIDE_CONDITIONS, (
            f"it covers up to {conditions.max_weight} % of the traffic, and the next step gives {facts.weight} %; "
            "it is given again with a larger conditions.maxWeight, or without"
        )
    if conditions.namespaces and facts.namespace not in conditions.namespaces:
        return Standing.OUTSIDE_CONDITIONS, (
            f"it covers the namespaces {', '.join(conditions.namespaces)}, and this is {facts.namespace}"
        )
    return None
