"""Approvals (GOV-APP): who agreed to this very release, and which of those agreements count.

Every approval that was looked at gets a standing: it counts, or there is one word for why it does not. What may
start, and what may be promoted, is then a matter of counting (``missing``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from sluice.api.base import format_time
from sluice.api.governance import ApprovalState, Assurance, EvidenceReference, GivenApproval
from sluice.api.governanceexception import MAX_DAYS
from sluice.api.governancepolicy import Before, Distinct, RequiredApproval, Severity
from sluice.api.modeldecision import Action
from sluice.core.governance.checks import ALWAYS, SERVED, listed, reference
from sluice.core.governance.control import (
    Control,
    Finding,
    Parameter,
    ParameterError,
    Parameters,
    error,
    failed,
    passed,
    skipped,
)
from sluice.core.governance.facts import Decision, Facts, Stage
from sluice.core.governance.parameters import duration, integer, words
from sluice.core.governance.people import dependent, developers, unguarded
from sluice.core.governance.policy import merged_approvals
from sluice.core.governance.quorum import Seats, seated
from sluice.core.governance.standing import (
    Judged,
    Standing,
    concerns,
    is_about,
    judge,
    revoked_by,
    revokers,
)

_LISTED = 32
"""Most approvals that a state lists; those that count come first."""


def states(facts: Facts) -> tuple[ApprovalState, ...]:
    """How far every required approval is, one state a role, with the standing of each approval looked at."""
    required = sorted(merged_approvals(facts.required), key=lambda asked: asked.before is not Before.START)
    if not required:
        return ()
    looked = [decision for decision in facts.decisions if concerns(decision, facts)]
    taken_back = revokers(facts)
    developed = developers(facts)
    judged = {
        asked.role: [judge(facts, asked, d, taken_back, developed) for d in looked if d.spec.role == asked.role]
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
    taken_back = revokers(facts)
    found = (
        decision
        for decision in facts.decisions
        if decision.spec.action is Action.REJECT
        and is_about(decision, facts)
        and revoked_by(decision, taken_back) is None
        and (decision.spec.expires_at is None or facts.now < decision.spec.expires_at)
    )
    return tuple(sorted(found, key=lambda decision: (decision.created_at, decision.name)))


def _stray(decision: Decision, required: Iterable[RequiredApproval]) -> GivenApproval:
    asked = ", ".join(one.role for one in required)
    message = f"nobody asks for an approval as {decision.spec.role}; asked for are {asked}"
    mismatch = Judged(decision, Standing.ROLE_MISMATCH, message, decision.spec.expires_at or decision.created_at)
    return mismatch.given


def _state(
    asked: RequiredApproval,
    judged: Iterable[Judged],
    seats: Mapping[str, frozenset[str]],
    strays: Iterable[GivenApproval],
) -> ApprovalState:
    counted: set[str] = set()
    settled: list[Judged] = []
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


_UNCERTAIN = (
    Standing.NOT_GUARDED,
    Standing.UNMAPPED_DEVELOPER,
    Standing.DEVELOPERS_UNKNOWN,
    Standing.REQUESTER_UNKNOWN,
)
"""Standings that say that it cannot be told whether the approval counts."""
_DEPENDENT = (
    Standing.DEVELOPER_AS_APPROVER,
    Standing.SELF_APPROVAL,
    Standing.SAME_APPROVER,
    Standing.SERVICE_ACCOUNT,
)
_ENDED = (Standing.EXPIRED, Standing.REVOKED)
_EARLIER = "it was released before any policy applied to it; approvals are asked for the next release"
_NOBODY_ASKED = "no policy says whose approval is needed; whoever writes policies adds approvals to one that applies"


def due(facts: Facts) -> Before:
    """Which approvals must be there now: those to start, or all, where the next step is the last."""
    last = facts.stage is Stage.CONTINUOUS or facts.weight >= 100
    return Before.PROMOTION if last else Before.START


def _due(facts: Facts) -> tuple[ApprovalState, ...]:
    before = due(facts)
    return tuple(state for state in states(facts) if before is Before.PROMOTION or state.before is Before.START)


def _how_to(facts: Facts, role: str) -> str:
    return f"somebody who may `kubectl sluice approve {facts.deployment} --role {role} -n {facts.namespace}`"


def _approved(facts: Facts, _: Parameters) -> Finding:
    if facts.predates:
        return skipped(_EARLIER)
    if not facts.required:
        return failed(_NOBODY_ASKED)
    given = _due(facts)
    for state in missing(given, Before.PROMOTION):
        why = next((f"; {one.username}: {one.message}" for one in state.approvals if one.message), "")
        return failed(
            f"{state.given} of {state.required} approvals as {state.role} count: it needs "
            f"{_how_to(facts, state.role)}{why}"
        )
    if not given:
        return skipped("no approval is needed before the last step")
    return passed(f"approved by {_counted(given)}", *_references(given))


def _counted(given: Iterable[ApprovalState]) -> str:
    return listed(
        [f"{one.username} as {one.role}" for s in given for one in s.approvals if one.standing == Standing.COUNTS]
    )


def _references(given: Iterable[ApprovalState]) -> list[EvidenceReference]:
    names = [one.decision for s in given for one in s.approvals if one.standing == Standing.COUNTS]
    return [reference(f"ModelDecision/{name}") for name in names[:8]]


def _segregated(facts: Facts, values: Parameters) -> Finding:
    distinct = words(values, "distinctFrom")
    if not distinct or set(distinct) - set(Distinct):
        raise ParameterError(f"distinctFrom: must list some of {', '.join(Distinct)}")
    if facts.predates:
        return skipped(_EARLIER)
    if not facts.required:
        return failed(_NOBODY_ASKED)
    strict = [asked.model_copy(update={"distinct_from": [Distinct(d) for d in distinct]}) for asked in facts.required]
    given = _due(replace(facts, required=tuple(strict)))
    if not given:
        return skipped("no approval is needed before the last step")
    # Only what would count but for this is this control's affair; a bare want of approvals is GOV-APP-01's, and yet
    # nothing here can be said to be apart.
    for state in missing(given, Before.PROMOTION):
        for one in state.approvals:
            if one.standing in _DEPENDENT:
                return failed(f"{one.username} as {state.role}: {one.message}")
        for one in state.approvals:
            if one.standing in _UNCERTAIN:
                return error(f"{one.username} as {state.role}: {one.message}")
        return failed(
            f"nobody who is apart from the rest approved as {state.role}: it needs {_how_to(facts, state.role)}"
        )
    return passed(f"{_counted(given)}: apart from {listed(distinct).lower()}", *_references(given))


def _standing(facts: Facts, standings: tuple[Standing, ...], good: str) -> Finding:
    if facts.predates:
        return skipped(_EARLIER)
    if not facts.required:
        return failed(_NOBODY_ASKED)
    given = _due(facts)
    if not given:
        return skipped("no approval is needed before the last step")
    for state in missing(given, Before.PROMOTION):
        for one in state.approvals:
            if one.standing in standings:
                return failed(f"{one.username} as {state.role}: {one.message}")
        if facts.stage is not Stage.CONTINUOUS:  # that it is missing is GOV-APP-01's to say
            return skipped(f"no approval as {state.role} counts yet, so none has lapsed")
        return failed(f"no approval as {state.role} counts: it needs {_how_to(facts, state.role)}")
    return passed(good, *_references(given))


def _in_force(facts: Facts, _: Parameters) -> Finding:
    ends = [
        one.expires_at for s in _due(facts) for one in s.approvals if one.standing == Standing.COUNTS and one.expires_at
    ]
    until = f", until {format_time(min(ends))} at least" if ends else ""
    return _standing(facts, _ENDED, f"approvals are in force{until}")


def _within_conditions(facts: Facts, _: Parameters) -> Finding:
    return _standing(
        facts, (Standing.OUTSIDE_CONDITIONS,), f"{facts.weight} % in {facts.namespace} is what was approved"
    )


def _exceptions(facts: Facts, values: Parameters) -> Finding:
    most, cap = integer(values, "maxCount"), min(duration(values, "maxAge"), timedelta(days=MAX_DAYS))
    mine = [one for one in facts.waivers if one.spec.target.uid == facts.uid and one.spec.expires_at > facts.now]
    if not mine:
        return skipped("no exception is in force for it")
    developed = developers(facts)
    for one in mine:
        spec = one.spec
        if not spec.reason.strip() or not spec.ticket.strip():
            return failed(f"exception {one.name} has no reason or no ticket; it is made anew, with both")
        if spec.expires_at > one.created_at + cap:
            return failed(
                f"exception {one.name} lasts until {format_time(spec.expires_at)}, longer than {cap.days} days; "
                "it is made anew, "
                "shorter"
            )
        if why := unguarded(facts, one.created_at):
            return error(f"nothing proves that {spec.approver.username} made exception {one.name}: {why}")
        if why := dependent(facts, spec.approver.username, developed):
            return failed(f"exception {one.name}: {why}")
    if len(mine) > most:
        return failed(f"{len(mine)} exceptions are in force, {most} are allowed; mend some of what they waive")
    return passed(
        f"{len(mine)} exceptions are in force", *[reference(f"GovernanceException/{one.name}") for one in mine[:8]]
    )


CONTROLS = (
    Control(
        id="GOV-APP-01",
        title="Everybody who must have agreed has agreed, to exactly this release under these policies",
        stages=SERVED,
        severity=Severity.CRITICAL,
        assurance=Assurance.VERIFIED,
        remedy="People with the role approve: `kubectl sluice approve NAME --role ROLE`.",
        check=_approved,
        parameters={},
    ),
    Control(
        id="GOV-APP-02",
        title="Who approved is a person, did not develop the model, did not ask for the release, and counts once",
        stages=SERVED,
        severity=Severity.CRITICAL,
        assurance=Assurance.VERIFIED,
        remedy="Somebody else approves; the platform team completes the identity map.",
        check=_segregated,
        parameters={
            "distinctFrom": Parameter(
                "Developer, Requester, Approver", "Whom no approver may be, whatever the required approval itself says."
            )
        },
    ),
    Control(
        id="GOV-APP-03",
        title="The approvals have not expired and were not revoked",
        stages=SERVED,
        severity=Severity.HIGH,
        assurance=Assurance.VERIFIED,
        remedy="People with the role approve again: `kubectl sluice approve NAME --role ROLE`.",
        check=_in_force,
        parameters={},
    ),
    Control(
        id="GOV-APP-04",
        title="The release keeps to the conditions of its approvals",
        stages=SERVED,
        severity=Severity.HIGH,
        assurance=Assurance.VERIFIED,
        remedy="The approver approves again with a larger conditions.maxWeight or other namespaces.",
        check=_within_conditions,
        parameters={},
    ),
    Control(
        id="GOV-APP-05",
        title="Every exception in force has a reason, a ticket, an independent approver and an early end",
        stages=ALWAYS,
        severity=Severity.HIGH,
        assurance=Assurance.VERIFIED,
        remedy="The exception is made anew, by somebody who neither developed the model nor asked for the release.",
        check=_exceptions,
        parameters={
            "maxCount": Parameter("3", "How many exceptions may be in force for one deployment."),
            "maxAge": Parameter("2160h", "How long an exception may last; 2160h are 90 days, and no more is possible."),
        },
    ),
)
