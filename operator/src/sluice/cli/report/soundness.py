"""Soundness: what a verification came to, in the words of a report about one release."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sluice.cli.report.story import Story
from sluice.cli.report.wording import counted, listed, minute
from sluice.core import finding, verification
from sluice.core.finding import WORST_FIRST, Finding, Grade
from sluice.core.verification import Proof, Trust, Verification

_SHOWN = 5
"""How many findings are told one by one."""


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
    found: bool = False
    """Whether the message is what a verification found against it."""


@dataclass(frozen=True)
class Soundness:
    """What is known about the record of a release."""

    checks: tuple[Check, ...]
    sealed: str = ""
    """How far it is signed and anchored, to go on a sentence with: ``is signed and anchored up to record 31``."""

    worst: Grade | None = None
    """Of what was found against it."""

    @property
    def missing(self) -> tuple[Check, ...]:
        """What was found to be missing, or not to be readable."""
        return tuple(check for check in self.checks if check.found and check.answer is Answer.UNKNOWN)

    @property
    def broken(self) -> tuple[Check, ...]:
        """What does not hold."""
        return tuple(check for check in self.checks if check.answer is Answer.BROKEN)


def of(story: Story, trust: Trust) -> Soundness:
    """What a verification of all that is kept says about this release, and about what it builds on."""
    found = verification.verify(story.dossier, trust)
    name = story.revision.name
    proof = next((proof for proof in found.proofs if proof.revision == name), None)
    own = [one for one in found.findings if one.revision == name or one.revision.startswith(f"{name}-")]
    rest = [one for one in found.findings if one not in own]
    checks = (
        *(_findings("The record and what it rests on are as they were written", own) or [_checked(proof)]),
        *(_findings("So is what is kept of the deployment's other releases", rest) or [_others(found, name)]),
        _signed(story, proof, trust),
        _anchored(story, proof, trust),
    )
    return Soundness(checks, _sealed(story, proof, trust), finding.worst(found.findings))


def _findings(what: str, findings: Iterable[Finding]) -> list[Check]:
    """What was found against a statement, the worst first."""
    ordered = sorted(findings, key=lambda one: WORST_FIRST.index(one.grade))
    shown = [Check(what, _ANSWERS[one.grade], _sentence(one), found=True) for one in ordered[:_SHOWN]]
    if more := len(ordered) - len(shown):
        shown.append(Check(what, Answer.UNKNOWN, f"{counted(more, 'more finding')}: `kubectl sluice verify` lists all"))
    return shown


_ANSWERS = {Grade.TAMPERED: Answer.BROKEN, Grade.UNREADABLE: Answer.UNKNOWN, Grade.MISSING: Answer.UNKNOWN}


def _sentence(one: Finding) -> str:
    record = f", record {one.sequence}" if one.sequence is not None else ""
    return f"{one.revision}{record}: {one.message}"


def _checked(proof: Proof | None) -> Check:
    what = "Each record is bound to the one before by its hash, and rests on what it says it rests on"
    if proof is None or not proof.records:
        return Check(what, Answer.UNKNOWN, "there are no records")
    message = f"{counted(proof.records, 'record')}, with the documents behind them and what people decided"
    return Check(what, Answer.HOLDS, message)


def _others(found: Verification, name: str) -> Check:
    others = [proof for proof in found.proofs if proof.revision != name]
    message = f"{counted(len(others), 'other revision')} with {counted(sum(p.records for p in others), 'record')}"
    return Check("So are those of the deployment's other releases, and the links between them", Answer.HOLDS, message)


def _signed(story: Story, proof: Proof | None, trust: Trust) -> Check:
    what = "It is signed with a key that was trusted for this page"
    if trust.keys:
        return _reaches(what, proof, proof.signed if proof else None, "no trusted key has signed any of it")
    seal = story.revision.status.seal
    if seal is None or not seal.key_id:
        return Check(what, Answer.UNKNOWN, "no key was given, and the status names no signature")
    message = f"no key was given (--key); the status says: with key {seal.key_id[:12]} on {minute(seal.sealed_at)}"
    return Check(what, Answer.UNKNOWN, message)


def _anchored(story: Story, proof: Proof | None, trust: Trust) -> Check:
    what = "It is anchored in a store outside of the cluster"
    if trust.anchored is not None:
        return _reaches(what, proof, proof.anchored if proof else None, "the store has no statement about it")
    seal = story.revision.status.seal
    if seal is None or not seal.anchor:
        return Check(what, Answer.UNKNOWN, "no store was asked, and the status names none")
    return Check(what, Answer.UNKNOWN, f"the store was not asked (--anchor); the status says: at {seal.anchor}")


def _reaches(what: str, proof: Proof | None, sequence: int | None, none: str) -> Check:
    if proof is None or sequence is None:
        return Check(what, Answer.UNKNOWN, none)
    last = proof.head.sequence
    if sequence < last:
        return Check(what, Answer.HOLDS, f"up to record {sequence}; records {sequence + 1} to {last} came after")
    return Check(what, Answer.HOLDS, f"all of it, up to record {last}")


def _sealed(story: Story, proof: Proof | None, trust: Trust) -> str:
    """How far it is signed and anchored, as verified; else what the status says of it."""
    asked = {
        "signed": proof.signed if proof and trust.keys else None,
        "anchored": proof.anchored if proof else None,
    }
    proven = {word: sequence for word, sequence in asked.items() if sequence is not None}
    if proven:
        return f"is {listed(list(proven))} up to record {min(proven.values())}, as was verified"
    seal = story.revision.status.seal
    if seal is None:
        return "is neither signed nor anchored"
    words = listed(["signed"] * bool(seal.key_id) + ["anchored"] * bool(seal.anchor)) or "sealed"
    return f"is {words} up to record {seal.sequence}, as its status says"
