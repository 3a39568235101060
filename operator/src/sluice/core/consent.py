"""Consent: a release goes on only as far as governance lets it, and waits where it does not."""

from __future__ import annotations

from sluice.api.base import format_duration
from sluice.api.governancepolicy import Before
from sluice.api.modelrevision import RevisionPhase
from sluice.api.record import RecordKind
from sluice.core import exceptions, reasons, steps
from sluice.core.draft import Draft
from sluice.core.governance.review import COUNTS, FREEZING, Obstacle, Review
from sluice.core.rollback import roll_back
from sluice.core.world import Revision

_EVALUATIONS = (RecordKind.POLICY_EVALUATED, RecordKind.EXPIRED)


def record(draft: Draft) -> None:
    """Put on record what governance says of the release in progress and of what serves, when that changes."""
    for revision in (draft.stable, draft.candidate):
        review = draft.review(revision) if revision is not None else None
        if revision is None or review is None or review.undecided:
            continue
        if revision.status.evaluated == review.digest:
            continue
        lapsed = any(r.id in FREEZING and r.verdict in ("Fail", "Error") for r in review.results)
        expired = lapsed and not revision.in_progress
        pinned = {"policy_digest": review.facts.policy_digest} if revision.in_progress else {}
        before = _last_said(revision)
        revision = draft.update(revision, evaluated=review.digest, **pinned)
        kind = RecordKind.EXPIRED if expired else RecordKind.POLICY_EVALUATED
        reason = reasons.FROZEN if expired else reasons.GOVERNANCE_SATISFIED
        if not expired and review.obstacles(Before.PROMOTION):
            reason = reasons.GOVERNANCE_BLOCKED
        draft.note(revision, kind, reason, review.told())
        if reason != before:
            _tell(draft, revision, review, reason, again=before is not None)
    _watch_approvals(draft)
    exceptions.settle(draft)


def _last_said(revision: Revision) -> str | None:
    """The reason under which governance was last put on a revision's record; None if it was not, or long ago."""
    said = (r.reason for r in reversed(revision.status.records) if r.kind in _EVALUATIONS)
    return next(said, None)


def _tell(draft: Draft, revision: Revision, review: Review, reason: str, *, again: bool) -> None:
    """Say that governance holds a release, or holds it no longer. What was never held is nothing to tell."""
    against = review.obstacles(Before.PROMOTION)
    if reason == reasons.FROZEN:
        lapsed = [o.message for o in against if o.name in FREEZING]
        what = f"nothing new is released: {lapsed[0]}" if lapsed else review.told()
        draft.say(reason, f"{revision.name}, which serves on, has lost an approval; {what}", revision, warn=True)
    elif against:
        listed = ", ".join(obstacle.name for obstacle in against)
        draft.say(reason, f"{revision.name} is held by {listed}: {against[0].message}", revision)
    elif again:
        draft.say(reason, f"{revision.name} is held by nothing any more: {review.told()}", revision)


def _watch_approvals(draft: Draft) -> None:
    """Come back when an approval that counts expires: a freeze begins then, and not at the next look."""
    for revision in (draft.stable, draft.candidate):
        review = draft.review(revision) if revision is not None else None
        for state in review.approvals if review is not None else ():
            for given in state.approvals:
                if given.standing == COUNTS and given.expires_at is not None:
                    draft.wake(given.expires_at)


def rejected(draft: Draft, revision: Revision) -> bool:
    """End a release that a person has refused; whether one has."""
    review = draft.review(revision)
    if review is None or not review.rejections:
        return False
    first = review.rejections[0].spec
    why = f"rejected by {first.actor.username} as {first.role}: {first.reason}"
    roll_back(draft, revision, reasons.REJECTED, why)
    return True


def obstacles(draft: Draft, revision: Revision) -> tuple[Obstacle, ...]:
    """What stands against the release's next move, if it has one: its start, a step, its last step."""
    found = (*_frozen(draft, revision), *draft.obstacles(revision, _reaching(draft, revision)))
    step, review = steps.current(revision, draft.stable), draft.review(revision)
    if step is not None and step.role and review is not None:
        found += tuple(o for o in review.awaited(step.role) if o not in found)
    return found


def granted(draft: Draft, revision: Revision) -> bool:
    """Whether the release may make its next move. If not, it waits, and ends if it has waited too long."""
    against = obstacles(draft, revision)
    if not against:
        draft.go_on(revision)
        return True
    review = draft.review(revision)
    if review is not None and review.undecided:
        return False  # what is being read will wake us
    revision = draft.wait(revision)
    since, patience = revision.status.waiting_since or draft.now, revision.spec.rollout.approval_deadline
    if draft.now >= since + patience:
        message = f"nobody helped within {format_duration(patience)}: {against[0].message}"
        roll_back(draft, revision, reasons.APPROVAL_TIMED_OUT, message)
        return False
    draft.wake(since + patience)
    if revision.phase is RevisionPhase.PENDING:
        draft.enter(revision, RevisionPhase.PENDING, against[0].reason, against[0].message)
    return False


def _reaching(draft: Draft, revision: Revision) -> Before:
    """Up to where the next move goes: the last step is the promotion, and so is an only one."""
    plan = steps.release_plan(revision, draft.stable)
    index = revision.status.step
    following = 0 if index is None else index + 1
    return Before.PROMOTION if following >= len(plan) - 1 else Before.START


def _frozen(draft: Draft, revision: Revision) -> tuple[Obstacle, ...]:
    """An approval of what serves has lapsed: it serves on, and nothing new is released until that is mended."""
    stable = draft.stable
    review: Review | None = draft.review(stable) if stable is not None else None
    if stable is None or review is None or stable.name == revision.name:
        return ()
    found = [o for o in review.obstacles(Before.START) if o.name in FREEZING]
    return tuple(
        Obstacle(
            f"{o.name}:{stable.name}",
            reasons.FROZEN,
            f"{stable.name}, which serves, has lost an approval, and nothing new is released until it has it again: "
            f"{o.message}",
        )
        for o in found
    )
