"""Decisions: what people ask of a release, each answered once and put on record.

A decision names its release and its model, so it can be used for nothing else. What it asks for is done in the same
write that puts it on record; that it was, is what keeps it from being done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sluice.api.base import ConditionStatus, format_time
from sluice.api.governance import EvidenceReference
from sluice.api.governancepolicy import Before
from sluice.api.modeldecision import Action
from sluice.api.modelrevision import RevisionPhase
from sluice.api.record import RecordKind, SeenDecision
from sluice.core import gates, identity, reasons, rollback, steps
from sluice.core.draft import Draft
from sluice.core.gates import Judgement
from sluice.core.governance.facts import Decision
from sluice.core.governance.review import COUNTS
from sluice.core.world import Revision, WorkloadState

MOST = 128
"""Decisions that one release takes."""
_PEOPLE_ONLY = (Action.APPROVE, Action.REJECT, Action.PROMOTE)
_JUDGEMENTS = (Action.APPROVE, Action.REJECT, Action.REVOKE)
"""Acts whose effect is worked out afresh at every decision (``governance/approval.py``)."""


Answer = tuple[ConditionStatus, str, str]
"""Status, reason and message of a decision's condition Accepted."""


@dataclass(frozen=True)
class Refusal(Exception):  # noqa: N818 - an answer, not an error
    """Why a decision counts for nothing, and what to do."""

    reason: str
    message: str


class Unsettled(Exception):  # noqa: N818 - no answer yet, not an error
    """What the answer depends on is being read; its coming wakes the deployment."""


def take(draft: Draft) -> None:
    """Answer every decision that was not answered yet, in the order in which people made them."""
    concerned = {r.name for r in (draft.stable, draft.candidate) if r is not None}
    for decision in draft.world.oversight.decisions:
        approves = decision.spec.action is Action.APPROVE and decision.spec.target.revision in concerned
        if decision.answer is None or approves:  # what an approval is worth can change
            try:
                draft.answer(decision, *_answered(draft, decision))
            except Unsettled:
                continue


def _answered(draft: Draft, decision: Decision) -> Answer:
    try:
        if not _seen(draft, decision):
            _DO[decision.spec.action](draft, decision, _checked(draft, decision))
    except Refusal as refusal:
        return ConditionStatus.FALSE, refusal.reason, refusal.message
    if decision.spec.action is Action.APPROVE:
        return _worth(draft, decision)
    return ConditionStatus.TRUE, reasons.DECISION_ACCEPTED, "it is part of the record"


def _worth(draft: Draft, decision: Decision) -> Answer:
    """Whether an approval counts."""
    revision = next((r for r in draft.revisions if r.name == decision.spec.target.revision), None)
    review = draft.review(revision) if revision is not None else None
    if review is not None and review.unread:
        raise Unsettled  # that nobody knows the developers yet is no answer to an approver
    looked_at = [a for state in review.approvals for a in state.approvals] if review is not None else []
    given = next((a for a in looked_at if a.decision == decision.name), None)
    if given is None:
        message = f"nothing asks for the approval of a {decision.spec.role} of this release; see status.governance"
        return ConditionStatus.FALSE, reasons.NOT_REQUIRED, message
    if given.standing == COUNTS:
        return ConditionStatus.TRUE, reasons.DECISION_ACCEPTED, f"it counts as the approval of a {given.role}"
    return ConditionStatus.FALSE, given.standing, given.message


def _seen(draft: Draft, decision: Decision) -> bool:
    return any(seen.uid == decision.uid for revision in draft.revisions for seen in revision.status.decisions)


def _checked(draft: Draft, decision: Decision) -> Revision:
    """The revision that is meant.

    Raises:
        Refusal: the decision is about something else, or too late, or not a person's.
    """
    spec, world = decision.spec, draft.world
    revision = next((r for r in draft.revisions if r.name == spec.target.revision), None)
    if spec.target.uid != world.uid or revision is None:
        message = f"there is no revision {spec.target.revision} of this ModelDeployment; make a decision about one"
        raise Refusal(reasons.OTHER_TARGET, message)
    model = revision.spec.model
    if (spec.subject.model, spec.subject.version, spec.subject.digest) != (model.name, model.version, model.digest):
        raise Refusal(
            reasons.OTHER_MODEL,
            f"it was made about {spec.subject.model} version {spec.subject.version} ({spec.subject.digest}), but "
            f"{revision.name} is {model.name} version {model.version} ({model.digest}); make one about this model",
        )
    if spec.expires_at is not None and spec.expires_at <= draft.now:
        raise Refusal(reasons.DECISION_EXPIRED, f"it expired at {format_time(spec.expires_at)}; make a new one")
    if spec.action in _PEOPLE_ONLY and spec.actor.username.startswith("system:"):
        message = f"only people {spec.action.lower()}, and {spec.actor.username} is no person's name"
        raise Refusal(reasons.NOT_A_PERSON, message)
    if len(revision.status.decisions) >= MOST:
        message = f"{revision.name} has taken {MOST} decisions, and takes no more; release it anew"
        raise Refusal(reasons.TOO_MANY_DECISIONS, message)
    return revision


def _accept(draft: Draft, decision: Decision, revision: Revision) -> Revision:
    spec = decision.spec
    seen = SeenDecision(name=decision.name, uid=decision.uid, action=spec.action)
    revision = draft.update(revision, decisions=[*revision.status.decisions, seen])
    role = f" as {spec.role}" if spec.role else ""
    ticket = f" ({spec.ticket})" if spec.ticket else ""
    why = f": {spec.reason}" if spec.reason else ""
    draft.note(
        revision,
        RecordKind.DECISION_SEEN,
        spec.action,
        f"{spec.action}{role}{ticket}{why}",
        actor=spec.actor.username,
        evidence=(EvidenceReference(name=f"decision/{decision.name}", digest=identity.content(spec)),),
    )
    return revision


def _judge(draft: Draft, decision: Decision, revision: Revision) -> None:
    # Whether an approval counts is another question, which the approval's own state answers.
    if decision.spec.action is not Action.REVOKE and not (revision.in_progress or _serves(draft, revision)):
        raise Refusal(reasons.NOT_POSSIBLE, f"the release of {revision.name} has ended ({revision.phase})")
    _accept(draft, decision, revision)


def _pause(draft: Draft, decision: Decision, revision: Revision) -> None:
    if revision.phase is not RevisionPhase.PROGRESSING:
        message = f"{revision.name} is {revision.phase}: only a release that takes its steps can be paused"
        raise Refusal(reasons.NOT_POSSIBLE, message)
    revision = _accept(draft, decision, revision)
    message = f"paused by {_who(decision)}"
    revision = draft.wait(revision)
    draft.enter(revision, RevisionPhase.PAUSED, reasons.PAUSED_BY_PERSON, message)
    draft.say(reasons.PAUSED_BY_PERSON, f"{revision.name}: {message}", revision)


def _resume(draft: Draft, decision: Decision, revision: Revision) -> None:
    if revision.phase is not RevisionPhase.PAUSED:
        raise Refusal(reasons.NOT_POSSIBLE, f"{revision.name} is not paused, but {revision.phase}")
    late = revision.status.reason == reasons.DEADLINE_PAUSED
    revision = draft.go_on(_accept(draft, decision, revision))
    if late:  # a person looked, and gives it as long again
        revision = draft.update(revision, waited=draft.now - revision.targeted_at)
    message = f"resumed by {_who(decision)}"
    draft.enter(revision, RevisionPhase.PROGRESSING, reasons.RESUMED_BY_PERSON, message)
    draft.say(reasons.RESUMED_BY_PERSON, f"{revision.name}: {message}", revision)


def _promote(draft: Draft, decision: Decision, revision: Revision) -> None:
    examined = _examined(draft, revision)
    judgement = examined or _judged(draft, revision)
    if (failure := judgement.failure) is not None:
        raise Refusal(reasons.NOT_POSSIBLE, f"{failure.name} fails, which takes the traffic back: {failure.message}")
    review = draft.review(revision)
    if review is not None and review.undecided:
        raise Unsettled
    if obstacles := draft.obstacles(revision, Before.PROMOTION):
        message = f"its gates can be passed by, its governance cannot: {obstacles[0].message}"
        raise Refusal(reasons.APPROVALS_MISSING, message)
    revision = draft.go_on(_accept(draft, decision, revision))
    if examined is not None:  # the gates of its steps are still before it
        message = f"it may take its steps without {', '.join(r.name for r in examined.awaited)}, says {_who(decision)}"
        draft.enter(revision, RevisionPhase.PENDING, reasons.PROMOTED_BY_PERSON, message)
        draft.say(reasons.PROMOTED_BY_PERSON, f"{revision.name}: {message}", revision, warn=True)
        return
    message = f"promoted past its gates by {_who(decision)}"
    revision = draft.enter(revision, RevisionPhase.PROGRESSING, reasons.PROMOTED_BY_PERSON, message)
    plan = steps.release_plan(revision, draft.stable)
    if revision.status.step != len(plan) - 1:
        draft.open_step(draft.close_step(revision), len(plan) - 1, plan[-1].weight)
    draft.say(reasons.PROMOTED_BY_PERSON, f"{revision.name}: {message}", revision, warn=True)


def _examined(draft: Draft, revision: Revision) -> Judgement | None:
    """What golden data says of it, if that is what it waits for."""
    ready = draft.world.workload(revision).state is WorkloadState.READY
    if not ready or not revision.in_progress or revision.status.lane is not None or hurried(revision):
        return None
    judgement = gates.examined(draft.world, revision, draft.stable)
    return judgement if judgement.awaited else None


def _judged(draft: Draft, revision: Revision) -> Judgement:
    """What the gauges say of it at its step.

    Raises:
        Refusal: it takes none.
    """
    step = steps.current(revision, draft.stable)
    moving = revision.phase in (RevisionPhase.PROGRESSING, RevisionPhase.PAUSED)
    if not moving or step is None or revision.status.step_started_at() is None:
        message = f"{revision.name} is {revision.phase} and takes no step; promote it once it does"
        raise Refusal(reasons.NOT_POSSIBLE, message)
    return gates.judge(draft.world, revision, step, draft.stable, draft.now)


def _abort(draft: Draft, decision: Decision, revision: Revision) -> None:
    if not revision.in_progress:
        raise Refusal(reasons.NOT_POSSIBLE, f"the release of {revision.name} has ended ({revision.phase})")
    rollback.roll_back(draft, _accept(draft, decision, revision), reasons.ABORTED, f"aborted by {_who(decision)}")


def _retry(draft: Draft, decision: Decision, revision: Revision) -> None:
    target = draft.target
    if target is None or revision.name != target.name or revision.phase is not RevisionPhase.ROLLED_BACK:
        message = f"{revision.name} is not what the spec asks for and rolled back; change the spec to release another"
        raise Refusal(reasons.NOT_POSSIBLE, message)
    _accept(draft, decision, revision)
    draft.say(reasons.RETRIED, f"{revision.name} is to be released again, says {_who(decision)}", revision)


def _return(draft: Draft, decision: Decision, revision: Revision) -> None:
    if revision.phase is not RevisionPhase.PROMOTED or not revision.running:
        message = (
            f"{revision.name} is not running any more; to go back further than the rollback window, release its "
            f"version again: spec.model.version: '{revision.spec.model.version}'"
        )
        raise Refusal(reasons.NOT_POSSIBLE, message)
    target = draft.target
    if target is not None and target.name == revision.name:
        raise Refusal(reasons.NOT_POSSIBLE, f"{revision.name} is what serves, or is about to")
    revision = _accept(draft, decision, revision)
    asked_at = draft.later_than(target.targeted_at if target else None)
    message = f"returned to by {_who(decision)}"
    revision = draft.update(
        revision,
        source=identity.source(draft.world.spec),
        targeted_at=asked_at,
        reason=reasons.ROLLED_BACK_BY_PERSON,
        message=message,
    )
    draft.note(revision, RecordKind.REUSED, reasons.ROLLED_BACK_BY_PERSON, message)
    draft.say(reasons.ROLLED_BACK_BY_PERSON, f"{revision.name}: {message}", revision, warn=True)


def _serves(draft: Draft, revision: Revision) -> bool:
    return draft.stable is not None and draft.stable.name == revision.name


def _who(decision: Decision) -> str:
    why = f": {decision.spec.reason}" if decision.spec.reason else ""
    return f"{decision.spec.actor.username}{why}"


_DO: dict[Action, Callable[[Draft, Decision, Revision], None]] = {
    Action.APPROVE: _judge,
    Action.REJECT: _judge,
    Action.REVOKE: _judge,
    Action.PAUSE: _pause,
    Action.RESUME: _resume,
    Action.PROMOTE: _promote,
    Action.ABORT: _abort,
    Action.RETRY: _retry,
    Action.ROLLBACK: _return,
}
"""What each act does, once it is known to be about this release."""


def retried(revision: Revision) -> bool:
    """Whether a person asked for a rolled back revision to be released again."""
    return revision.phase is RevisionPhase.ROLLED_BACK and any(
        seen.action is Action.RETRY for seen in revision.status.decisions
    )


def hurried(revision: Revision) -> bool:
    """Whether a person promoted it past its gates."""
    return any(seen.action is Action.PROMOTE for seen in revision.status.decisions)
