"""Approvals (GOV-APP): who agreed to this very release, and which of those agreements count.

Every approval that was looked at gets a standing: it counts, or there is one word for why it does not. What may
start, and what may be promoted, is then a matter of counting (``missing``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sluice.api.base import format_time
from sluice.api.governance import ApprovalState, GivenApproval
from sluice.api.governancepolicy import Before, Distinct, RequiredApproval
from sluice.api.modeldecision import Action
from sluice.core.governance.facts import Decision, Facts
from sluice.core.governance.people import Developers, developers, is_person, person, unguarded
from sluice.core.governance.policy import merged_approvals
from sluice.core.governance.quorum import Seats, seated

_LISTED = 32
"""Most approvals that a state lists; those that count come first."""


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
class _Judged:
    """One approval, as it stands."""

    decision: Decision
    standing: Standing
    message: str
    expires_at: datetime

    @property
    def name(self) -> str:
        return person(self.decision.spec.actor.username)

    @property
    def given(self) -> GivenApproval:
        spec = self.decision.spec
        return GivenApproval(
            decision=self.decision.name,
            username=spec.actor.username[:128],
            role=spec.role or "",
            standing=self.standing,
            message=self.message[:512],
            expires_at=self.expires_at,
        )


def states(facts: Facts) -> tuple[ApprovalState, ...]:
    """How far every required approval is, one state a role, with the standing of each approval looked at."""
    required = sorted(merged_approvals(facts.required), key=lambda asked: asked.before is not Before.START)
    if not required:
        return ()
    looked = [decision for decision in facts.decisions if _concerns(decision, facts)]
    revokers = _revokers(facts)
    developed = developers(facts)
    judged = {
        asked.role: [_judge(facts, asked, d, revokers, developed) for d in looked if d.spec.role == asked.role]
        for asked in required
    }
    seats = seated(
        [
            Seats(
                asked.role,
                asked.count,
                frozenset(one.name for one in judged[asked.role] if one.standing is Standing.COUNTS),
                Distinct.APPROVER in asked.distinct_from,
            )
            for asked in required
        ]
    )
    strays = [_stray(d, required) for d in looked if d.spec.role not in judged]
    return tuple(_state(asked, judged[asked.role], seats, strays if asked is required[0] else []) for asked in required)


def missing(given: Iterable[ApprovalState], before: Before = Before.START) -> tuple[ApprovalState, ...]:
    """The approvals that are not complete, of those needed to start, or of all those needed to be promoted."""
    due = (state for state in given if before is Before.PROMOTION or state.before is Before.START)
    return tuple(state for state in due if state.given < state.required)


def rejections(facts: Facts) -> tuple[Decision, ...]:
    """Every Reject of this release that is in force, oldest first: not revoked, and not void when it was seen.

    In any role: whoever may approve may refuse, asked or not. It is honoured without guards too, since the worst
    that a forged one does is that a release waits.
    """
    revokers = _revokers(facts)
    found = (
        decision
        for decision in facts.decisions
        if decision.spec.action is Action.REJECT
        and _is_about(decision, facts)
        and _revoked_by(decision, revokers) is None
        and (decision.spec.expires_at is None or facts.now < decision.spec.expires_at)
    )
    return tuple(sorted(found, key=lambda decision: (decision.created_at, decision.name)))


def _is_about(decision: Decision, facts: Facts) -> bool:
    """Whether an act is about this release of this model, to the letter."""
    target, subject, model = decision.spec.target, decision.spec.subject, facts.model
    return (
        (target.deployment, target.uid, target.revision) == (facts.deployment, facts.uid, facts.revision)
        and model is not None
        and (subject.model, subject.version, subject.digest) == (model.name, model.version, model.digest)
    )


def _concerns(decision: Decision, facts: Facts) -> bool:
    """Whether an approval is worth mentioning: it names this release, or these files. Others are other releases'."""
    if decision.spec.action is not Action.APPROVE or not decision.spec.role:
        return False
    same_files = facts.model is not None and decision.spec.subject.digest == facts.model.digest
    return same_files or decision.spec.target.revision == facts.revision


def _revokers(facts: Facts) -> Mapping[str, list[Decision]]:
    found: dict[str, list[Decision]] = {}
    for decision in facts.decisions:
        if decision.spec.action is Action.REVOKE and decision.spec.revokes:
            found.setdefault(decision.spec.revokes, []).append(decision)
    return found


def _revoked_by(decision: Decision, revokers: Mapping[str, list[Decision]]) -> Decision | None:
    """The Revoke that takes an act back: by somebody of its role, and not older than the act itself."""
    for revoke in revokers.get(decision.name, ()):
        if revoke.spec.role == decision.spec.role and revoke.created_at >= decision.created_at:
            return revoke
    return None


def _expiry(decision: Decision, asked: RequiredApproval) -> datetime:
    latest = decision.created_at + asked.valid_for
    return min(decision.spec.expires_at, latest) if decision.spec.expires_at else latest


def _judge(
    facts: Facts,
    asked: RequiredApproval,
    decision: Decision,
    revokers: Mapping[str, list[Decision]],
    developed: Developers,
) -> _Judged:
    expires_at = _expiry(decision, asked)
    standing, message = (
        _identity(facts, decision)
        or _subject(facts, decision)
        or _time(facts, decision, expires_at, revokers)
        or _segregation(facts, asked, decision, developed)
        or _conditions(facts, decision)
        or (Standing.COUNTS, "")
    )
    return _Judged(decision, standing, message, expires_at)


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


def _time(facts: Facts, decision: Decision, expires_at: datetime, revokers: Mapping[str, list[Decision]]) -> _Why:
    if revoke := _revoked_by(decision, revokers):
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


def _stray(decision: Decision, required: Iterable[RequiredApproval]) -> GivenApproval:
    asked = ", ".join(one.role for one in required)
    message = f"nobody asks for an approval as {decision.spec.role}; asked for are {asked}"
    mismatch = _Judged(decision, Standing.ROLE_MISMATCH, message, decision.spec.expires_at or decision.created_at)
    return mismatch.given


def _state(
    asked: RequiredApproval,
    judged: Iterable[_Judged],
    seats: Mapping[str, frozenset[str]],
    strays: Iterable[GivenApproval],
) -> ApprovalState:
    counted: set[str] = set()
    settled: list[_Judged] = []
    # Of two by one person the one that lasts longer counts, then the newer.
    for one in sorted(
        judged, key=lambda one: (one.expires_at, one.decision.created_at, one.decision.name), reverse=True
    ):
        if one.standing is Standing.COUNTS and one.name in counted:
            one = replace(
                one, standing=Standing.SAME_APPROVER, message="the approver has approved in this role already"
            )
        elif one.standing is Standing.COUNTS and one.name not in seats[asked.role]:
            elsewhere = ", ".join(sorted(role for role, names in seats.items() if one.name in names))
            message = f"the approver counts as {elsewhere} already; somebody else must approve as {asked.role}"
            one = replace(one, standing=Standing.SAME_APPROVER, message=message)
        elif one.standing is Standing.COUNTS:
            counted.add(one.name)
        settled.append(one)
    # What counts comes first, then what was given last.
    settled.sort(key=lambda one: (one.decision.created_at, one.decision.name), reverse=True)
    settled.sort(key=lambda one: one.standing is not Standing.COUNTS)
    return ApprovalState(
        role=asked.role,
        required=asked.count,
        given=min(len(counted), 100),
        before=asked.before,
        approvals=[*(one.given for one in settled), *strays][:_LISTED],
    )
