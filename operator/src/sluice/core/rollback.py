"""Rollback: taking the traffic back, and the ends that a release comes to without being promoted."""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice.api.modeldeployment import OnDeadline
from sluice.api.modelrevision import RevisionPhase
from sluice.core import reasons
from sluice.core.draft import Draft
from sluice.core.gates import Judgement
from sluice.core.world import Revision


def roll_back(draft: Draft, revision: Revision, reason: str, message: str, judgement: Judgement | None = None) -> None:
    """Take the traffic back: one status write, after which the route says so."""
    stable = draft.stable
    revision = draft.close_step(revision, judgement)
    draft.enter(revision, RevisionPhase.ROLLED_BACK, reason, message, finished_at=draft.now, waiting_since=None)
    rest = f"{stable.name} has all the traffic" if stable else "there is no earlier revision; nothing is served"
    draft.say(reason, f"{revision.name} rolled back: {message}; {rest}", revision, warn=True)


def deadline(draft: Draft, revision: Revision) -> datetime:
    """By when a release must have ended. The time that it waits for people does not count."""
    status, waits = revision.status, timedelta(0)
    if status.waiting_since is not None:
        waits = draft.now - status.waiting_since
    return revision.targeted_at + revision.spec.rollout.progress_deadline + status.waited + waits


def past_deadline(draft: Draft, revision: Revision) -> bool:
    """Whether it is too late; wakes the next decision when it will be."""
    at = deadline(draft, revision)
    if revision.status.waiting_since is None:
        draft.wake(at)
    return draft.now >= at


def end_late(draft: Draft, revision: Revision, why: str, judgement: Judgement | None = None) -> None:
    """End a release that has not ended by its deadline, or pause it, as its plan says."""
    if revision.spec.rollout.on_deadline is OnDeadline.ROLLBACK:
        roll_back(draft, revision, reasons.PROGRESS_DEADLINE_EXCEEDED, f"not done in time: {why}", judgement)
        return
    message = f"not done in time, and onDeadline is Pause: {why}"
    draft.enter(revision, RevisionPhase.PAUSED, reasons.DEADLINE_PAUSED, message)
    draft.say(reasons.DEADLINE_PAUSED, f"{revision.name}: {message}", revision, warn=True)
