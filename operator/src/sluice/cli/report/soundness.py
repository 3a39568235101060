"""Soundness: whether the record of a release holds together, as far as it was checked, and who says so.

What is checked here needs nothing but the dossier. Whoever can check more, such as signatures and anchors, passes
another :data:`Verify` to ``page.of``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sluice.cli.report.library import basis
from sluice.cli.report.people import acts
from sluice.cli.report.story import Story
from sluice.cli.report.wording import counted, listed, minute
from sluice.core import records


class Answer(StrEnum):
    """What came of a check."""

    HOLDS = "Holds"
    BROKEN = "Broken"
    UNKNOWN = "Unknown"
    """It was not checked, or could not be."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked about the record."""

    what: str
    """A statement that is true if it holds."""
    answer: Answer
    message: str


@dataclass(frozen=True)
class Soundness:
    """What is known about the record of a release."""

    checks: tuple[Check, ...]
    sealed: str = ""
    """How far it is signed and anchored, to go on a sentence with: ``is signed and anchored up to record 31``."""

    @property
    def broken(self) -> tuple[Check, ...]:
        """What does not hold."""
        return tuple(check for check in self.checks if check.answer is Answer.BROKEN)


Verify = Callable[[Story], Soundness]
"""Checks the record of a release."""


def of(story: Story) -> Soundness:
    """What the dossier alone shows: chain, links, documents, acts. Seals are quoted, and said to be unchecked."""
    seal = story.revision.status.seal
    checks = [_chain(story), _link(story), *_later(story), _others(story), _documents(story), _acts(story)]
    if seal is None:
        sealed = Check("Signed, and anchored outside the cluster", Answer.UNKNOWN, "the status names no seal")
        return Soundness((*checks, sealed), "is neither signed nor anchored")
    said = [f"signed with key {seal.key_id}"] if seal.key_id else []
    said += [f"anchored at {seal.anchor}"] if seal.anchor else []
    message = f"{listed(said) or 'sealed'} on {minute(seal.sealed_at)}, says the status; not checked by this page"
    checks.append(_sealed(story))
    checks.append(Check(f"Sealed up to record {seal.sequence}", Answer.UNKNOWN, message))
    words = listed(["signed"] * bool(seal.key_id) + ["anchored"] * bool(seal.anchor)) or "sealed"
    return Soundness(tuple(checks), f"is {words} up to record {seal.sequence}, as its status says")


def _chain(story: Story) -> Check:
    what = "Each record is bound to the one before by its hash"
    if not story.records:
        return Check(what, Answer.UNKNOWN, "there are no records")
    status = story.revision.status
    if story.records[0].sequence == 0:  # with what was moved out of the status
        status = status.model_copy(update={"records": list(story.records), "archived": None})
    if problem := records.chain_problem(story.revision.spec, status):
        return Check(what, Answer.BROKEN, problem)
    first, last = story.records[0].sequence, story.records[-1].sequence
    return Check(what, Answer.HOLDS, f"records {first} to {last} were hashed again, and none is missing")


def _link(story: Story) -> Check:
    link, before = story.revision.spec.previous, story.previous
    if link is None:
        number = story.revision.number
        what = "It goes on from the revision before"
        if number == 1:
            return Check(what, Answer.HOLDS, "it is the deployment's first revision")
        return Check(what, Answer.UNKNOWN, f"revision {number} names no earlier one")
    what = f"It goes on from record {link.sequence} of {link.revision}"
    if before is None:
        return Check(what, Answer.UNKNOWN, f"{link.revision} is not in this export")
    kept = next((record for record in before.status.records if record.sequence == link.sequence), None)
    if kept is None:
        return Check(what, Answer.UNKNOWN, f"that record of {link.revision} is not in its status any more")
    if kept.hash != link.hash:
        return Check(what, Answer.BROKEN, f"record {link.sequence} of {link.revision} is not the one that was there")
    return Check(what, Answer.HOLDS, "that record is the one that was there")


def _later(story: Story) -> list[Check]:
    """What a later revision remembers of this one's record: it would notice that the end was cut off."""
    found = []
    for later in story.revisions:
        link = later.spec.previous
        if link is None or link.revision != story.revision.name:
            continue
        what = f"{later.name}, which goes on from it, remembers the same record"
        kept = next((record for record in story.records if record.sequence == link.sequence), None)
        if kept is None and story.records and link.sequence < story.records[0].sequence:
            found.append(Check(what, Answer.UNKNOWN, f"record {link.sequence} was moved to a document"))
        elif kept is None:
            found.append(Check(what, Answer.BROKEN, f"it remembers record {link.sequence}, which is gone"))
        elif kept.hash != link.hash:
            found.append(Check(what, Answer.BROKEN, f"record {link.sequence} is not the one that it remembers"))
        else:
            found.append(Check(what, Answer.HOLDS, f"up to record {link.sequence}"))
    return found


def _others(story: Story) -> Check:
    what = "The records of the other revisions hold together"
    others = [r for r in story.revisions if r.name != story.revision.name]
    problems = {r.name: records.chain_problem(r.spec, r.status) for r in others}
    broken = [f"{name}: {problem}" for name, problem in problems.items() if problem]
    if broken:
        return Check(what, Answer.BROKEN, "; ".join(broken))
    return Check(what, Answer.HOLDS, f"{counted(len(others), 'other revision')} in this export")


def _documents(story: Story) -> Check:
    what = "Every document that a record rests on is there, and unchanged"
    named = {digest for record in story.records if (digest := basis(record)) is not None}
    problems = [problem for digest in sorted(named) if (problem := story.library.problem(digest))]
    changed = [problem for problem in problems if "not in this export" not in problem]
    if changed:
        return Check(what, Answer.BROKEN, f"{len(changed)} of {len(named)}: {changed[0]}")
    if problems:
        return Check(what, Answer.UNKNOWN, f"{len(problems)} of {len(named)} are not in this export")
    return Check(what, Answer.HOLDS, counted(len(named), "document"))


def _acts(story: Story) -> Check:
    what = "What people decided says what the record says"
    made = [act for act in acts(story, None) if act.sequence is not None]
    changed = [f"{act.name} (record {act.sequence})" for act in made if act.changed]
    if changed:
        return Check(what, Answer.BROKEN, f"{listed(changed)} says something else than what was put on record")
    lost = [act.name for act in made if act.standing == "ObjectMissing"]
    if lost:
        return Check(what, Answer.UNKNOWN, f"{listed(lost)}: not in this export")
    return Check(what, Answer.HOLDS, f"{counted(len(made), 'act')} on record")


def _sealed(story: Story) -> Check:
    """Whether the record still has the head that was sealed: a shortened one would not."""
    seal = story.revision.status.seal
    what = "The record still has what was sealed"
    if seal is None or not story.records:
        return Check(what, Answer.UNKNOWN, "nothing was sealed")
    kept = next((record for record in story.records if record.sequence == seal.sequence), None)
    if kept is None and seal.sequence < story.records[0].sequence:
        return Check(what, Answer.UNKNOWN, "what was sealed was moved to documents that are not readable here")
    if kept is None:
        message = (
            f"it was sealed up to record {seal.sequence} and ends at {story.records[-1].sequence}: its end is gone"
        )
        return Check(what, Answer.BROKEN, message)
    if kept.hash != seal.hash:
        return Check(what, Answer.BROKEN, f"record {seal.sequence} is not the one that was sealed")
    return Check(what, Answer.HOLDS, f"record {seal.sequence} is the one that was sealed")
