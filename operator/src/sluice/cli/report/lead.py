"""Lead: what became of a release, in the sentences that a reader in a hurry reads and no others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sluice.api.governance import ControlSummary, ControlVerdict
from sluice.api.governancepolicy import Mode
from sluice.api.modelrevision import RevisionPhase
from sluice.cli.report import assessment
from sluice.cli.report.assessment import Assessment, Governance
from sluice.cli.report.people import Act
from sluice.cli.report.prose import Prose, Said, joined
from sluice.cli.report.soundness import Answer, Soundness
from sluice.cli.report.story import Story
from sluice.cli.report.wording import NBSP, counted, length, listed, minute, words

_WORDS = {
    RevisionPhase.PENDING: "has not started yet",
    RevisionPhase.PROGRESSING: "is being released",
    RevisionPhase.PAUSED: "is paused",
    RevisionPhase.PROMOTED: "was promoted",
    RevisionPhase.ROLLED_BACK: "was rolled back",
    RevisionPhase.SUPERSEDED: "was superseded",
}


@dataclass(frozen=True)
class Point:
    """One of the four things that a reader wants to know first."""

    kind: str
    """Which symbol stands for it."""
    title: str
    figure: str
    """The answer in a word or two."""
    detail: Prose


def headline(story: Story) -> Prose:
    """``fraud-r7 was promoted on 25 Nov 2026, 14:02 UTC, after 5 steps over 42 min.``"""
    name, ended = Said(story.revision.name), not story.revision.in_progress
    when = f" on {minute(story.until)}" if ended else f", as of {minute(story.dossier.taken_at)}"
    return (name, f" {_WORDS[story.phase]}{when}{_over(story)}.")


def _over(story: Story) -> str:
    taken = story.taken
    if not taken or taken[0].started_at is None:
        return ", before it took any traffic" if not story.revision.in_progress else ""
    spent = max(timedelta(0), story.until - taken[0].started_at)
    word = "after" if not story.revision.in_progress else "at step"
    if word == "at step":
        return f", at step {taken[-1].number} of {len(story.steps)}, {length(spent)} after the first began"
    steps = counted(len(taken), "step").replace(" ", NBSP)
    return f", after{NBSP}{steps} over{NBSP}{length(spent)}"


def sentences(story: Story, acts: tuple[Act, ...], found: Governance, sound: Soundness) -> tuple[Prose, ...]:
    """The rest of the lead."""
    said = [_why(story, acts), _asked(story, acts, found), _controls(found), _record(story, sound)]
    return tuple(sentence for sentence in said if sentence)


def _why(story: Story, acts: tuple[Act, ...]) -> Prose:
    if story.phase in (RevisionPhase.ROLLED_BACK, RevisionPhase.SUPERSEDED):
        why = story.end.message if story.end is not None else story.revision.status.message or ""
        return ("The reason on record: ", Said(why.rstrip(".")), ".") if why else ()
    hurried = [act for act in acts if act.what == "Promote" and act.counts]
    if story.phase is RevisionPhase.PROMOTED and hurried:
        return ("It was promoted past its gates by ", Said(hurried[-1].who), ".")
    return ()


def _asked(story: Story, acts: tuple[Act, ...], found: Governance) -> Prose:
    requester = story.revision.spec.requester
    asked: Prose = ("It was asked for by ", Said(requester)) if requester else ("Who asked for it was not stamped",)
    given = [act for act in acts if act.what == "Approve" and act.counts]
    people = [(Said(act.who), " as ", Said(act.role)) for act in given]
    lacking = [state for state in (found.then.approvals if found.then else ()) if state.given < state.required]
    if people:
        asked += (" and approved by ", *joined(people))
    elif not found.governed:
        return (*asked, "; no policy asked for anybody's approval.")
    elif not lacking:
        return (*asked, "; no approval was asked for.")
    if lacking:
        roles = joined([(Said(state.role), f" ({state.given} of {state.required})") for state in lacking])
        return (*asked, "; approvals were missing as ", *roles, ".")
    return (*asked, ".")


def _controls(found: Governance) -> Prose:
    """What the controls said; what does not pass and only warns is told apart from what blocks."""
    if found.then is None:
        return (f"What the controls said is not known: {found.problem}.",) if found.governed else ()
    if not found.then.controls:
        return ()
    total = assessment.summary(found.then)
    asked = len(found.then.controls) - total.skipped
    if asked == total.passed:
        return (f"All {asked} controls that apply passed." if asked > 1 else "The control that applies passed.",)
    return (f"Of {counted(asked, 'control')} that apply, {listed(_counts(found.then, total))}.",)


def _counts(found: Assessment, total: ControlSummary) -> list[str]:
    bad = [c for c in found.controls if c.verdict in (ControlVerdict.FAIL, ControlVerdict.ERROR)]
    blocking = sum(control.mode is Mode.ENFORCE for control in bad)
    said = [f"{total.passed} passed"]
    said += [f"{total.waived} {'was' if total.waived == 1 else 'were'} waived"] if total.waived else []
    said += [f"{blocking} blocked"] if blocking else []
    said += [f"{len(bad) - blocking} did not pass but only warned"] if len(bad) > blocking else []
    return said


def _record(story: Story, sound: Soundness) -> Prose:
    many = counted(len(story.records), "entry", "entries")
    if sound.broken:
        return ("The record does not hold together: ", Said(sound.broken[0].message), ".")
    if not story.records:
        return ("Nothing of it is on record.",)
    if sound.missing:
        return (f"The record of {many} cannot be checked to the end: ", Said(sound.missing[0].message), ".")
    sealed = f", and {sound.sealed}" if sound.sealed else ""
    return (f"The record of {many} holds together{sealed}.",)


def points(story: Story, acts: tuple[Act, ...], found: Governance, sound: Soundness) -> tuple[Point, ...]:
    """Outcome, people, controls, record: each with its answer."""
    return (_outcome(story), _people(acts, found), _governed(found), _whole(story, sound))


def _outcome(story: Story) -> Point:
    kinds = {
        RevisionPhase.PROMOTED: ("promoted", "Promoted"),
        RevisionPhase.ROLLED_BACK: ("rolledback", "Rolled back"),
        RevisionPhase.SUPERSEDED: ("superseded", "Superseded"),
        RevisionPhase.PAUSED: ("open", "Paused"),
    }
    kind, word = kinds.get(story.phase, ("open", "In progress"))
    if story.phase is RevisionPhase.PROMOTED and story.end is not None:
        return Point(kind, "Outcome", word, (Said(story.end.message[:120]),))
    if story.revision.in_progress:
        candidate = story.revision.name == story.status.candidate_revision
        now = (story.status.message if candidate else None) or story.revision.status.message or ""
        return Point(kind, "Outcome", word, (Said(now[:120]),))
    why = story.end.reason if story.end is not None else story.revision.status.reason or ""
    return Point(kind, "Outcome", word, (Said(words(why)),) if why else ())


def _people(acts: tuple[Act, ...], found: Governance) -> Point:
    states = found.then.approvals if found.then else ()
    against = [act for act in acts if act.what in ("Reject", "Abort") and act.counts]
    if against:
        return Point("fail", "People", f"{against[-1].what}ed", (Said(against[-1].who),))
    if not states:
        return Point("skipped", "People", "Not asked", ("no approval was required",))
    given, asked = sum(min(s.given, s.required) for s in states), sum(s.required for s in states)
    roles = joined([(Said(state.role),) for state in states])
    return Point("pass" if given >= asked else "fail", "People", f"{given} of {asked} approvals", roles)


def _governed(found: Governance) -> Point:
    if found.then is None or not found.then.controls:
        unknown = found.governed and found.then is None
        return Point("inconclusive" if unknown else "skipped", "Controls", "Not known" if unknown else "None apply", ())
    total = assessment.summary(found.then)
    asked = len(found.then.controls) - total.skipped
    detail = _counts(found.then, total)[1:] or ["all that apply"]
    blocked = any("blocked" in phrase for phrase in detail)
    kind = "fail" if blocked else "warn" if total.failed or total.errors else "waived" if total.waived else "pass"
    return Point(kind, "Controls", f"{total.passed} of {asked} passed", (", ".join(detail),))


def _whole(story: Story, sound: Soundness) -> Point:
    if sound.broken:
        return Point("fail", "Record", "Broken", (Said(sound.broken[0].what),))
    if not story.records:
        return Point("inconclusive", "Record", "Empty", ())
    if sound.missing:
        return Point("inconclusive", "Record", "Incomplete", (Said(sound.missing[0].what),))
    unknown = any(check.answer is Answer.UNKNOWN for check in sound.checks)
    detail = sound.sealed.removeprefix("is ") if sound.sealed else ""
    return (
        Point("pass", "Record", "Holds together", (detail,) if detail else ())
        if not unknown
        else Point("pass", "Record", "Holds together", (detail or "not all of it could be checked",))
    )
