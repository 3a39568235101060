"""Exceptions: whether each is in force, answered to whoever made it, and put on record when that begins and ends."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.api.base import ConditionStatus, format_time
from sluice.api.governance import EvidenceReference
from sluice.api.record import RecordKind, SeenDecision
from sluice.core import identity, reasons
from sluice.core.draft import Draft
from sluice.core.governance.evaluate import Refused, refused
from sluice.core.governance.facts import Waiver
from sluice.core.governance.people import developers
from sluice.core.governance.review import Review
from sluice.core.world import Revision

MOST = 192
"""Acts that a revision remembers, with those of people (``decisions.MOST``)."""


@dataclass(frozen=True)
class _Case:
    """One release that exceptions may be about, and what is said against each of them there."""

    revision: Revision
    review: Review
    against: dict[str, Refused | None]
    """By the exception's uid: why it waives nothing here; None where it does."""


def settle(draft: Draft) -> None:
    """Answer, record, and come back when the next one expires."""
    world = draft.world
    if not world.revisions:
        return  # nothing to be waived yet, and nothing said about it
    cases = list(_cases(draft))
    if any(case.review.unread or case.review.undecided for case in cases):
        return  # what is being read will wake us
    for waiver in world.oversight.waivers:
        _answer(draft, waiver, cases)
        if any(case.against[waiver.uid] is None for case in cases):
            draft.wake(waiver.spec.expires_at)
    for case in cases:
        _record_ends(draft, case)
        _record_beginnings(draft, case)


def _cases(draft: Draft) -> list[_Case]:
    """The release in progress first, then what serves."""
    found = []
    for revision in (draft.candidate, draft.stable):
        review = draft.review(revision) if revision is not None else None
        if revision is not None and review is not None:
            developed = developers(review.facts)
            against = {w.uid: refused(review.facts, w, developed) for w in draft.world.oversight.waivers}
            found.append(_Case(revision, review, against))
    return found


def _answer(draft: Draft, waiver: Waiver, cases: list[_Case]) -> None:
    if not cases:
        message = "nothing governs this ModelDeployment just now, so there is nothing to waive"
        draft.answer(waiver, ConditionStatus.FALSE, reasons.NOT_REQUIRED, message)
        return
    against = [case.against[waiver.uid] for case in cases]
    if None in against:
        where = cases[against.index(None)].revision.name
        message = f"it is in force for {where} until {format_time(waiver.spec.expires_at)}"
        draft.answer(waiver, ConditionStatus.TRUE, reasons.DECISION_ACCEPTED, message)
        return
    # What is said of the release it was made for; of another, it could only be that it is another's.
    meant = (said for case, said in zip(cases, against, strict=True) if _is_for(waiver, case))
    said = next(meant, against[0])
    assert said is not None
    draft.answer(waiver, ConditionStatus.FALSE, said.reason, said.message)


def _is_for(waiver: Waiver, case: _Case) -> bool:
    return waiver.spec.subject.digest == case.revision.spec.model.digest


def _record_beginnings(draft: Draft, case: _Case) -> None:
    """An exception begins for a release when it first waives something there."""
    used = {result.waiver for result in case.review.results if result.waiver}
    for waiver in draft.world.oversight.waivers:
        revision = draft.latest(case.revision)
        seen = revision.status.decisions
        before = next((one for one in seen if one.uid == waiver.uid), None)
        if waiver.name not in used or case.against[waiver.uid] is not None:
            continue
        if (before is not None and before.ended_at is None) or (before is None and len(seen) >= MOST):
            continue
        now = SeenDecision(name=waiver.name, uid=waiver.uid)
        revision = draft.update(revision, decisions=[*(one for one in seen if one.uid != waiver.uid), now])
        spec = waiver.spec
        draft.note(
            revision,
            RecordKind.WAIVED,
            spec.control,
            f"{spec.control} is waived until {format_time(spec.expires_at)}: {spec.reason} ({spec.ticket})",
            actor=spec.approver.username,
            evidence=(EvidenceReference(name=f"exception/{waiver.name}", digest=identity.content(spec)),),
        )


def _record_ends(draft: Draft, case: _Case) -> None:
    there = {waiver.uid: waiver for waiver in draft.world.oversight.waivers}
    for seen in case.revision.status.decisions:
        if seen.action is not None or seen.ended_at is not None:
            continue
        waiver = there.get(seen.uid)
        why = case.against[seen.uid] if waiver is not None else Refused(reasons.EXCEPTION_DELETED, "it was deleted")
        if why is None:
            continue
        revision = draft.latest(case.revision)
        ended = seen.model_copy(update={"ended_at": draft.now})
        decisions = [ended if one.uid == seen.uid else one for one in revision.status.decisions]
        revision = draft.update(revision, decisions=decisions)
        what = (
            f"{waiver.spec.control} is waived no longer by {seen.name}" if waiver else f"{seen.name} waives no longer"
        )
        draft.note(revision, RecordKind.WAIVED, why.reason, f"{what}: {why.message}")
