"""Control: one thing that is checked, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sluice.api.governance import Assurance, ControlVerdict, EvidenceReference
from sluice.api.governancepolicy import Severity
from sluice.core.governance.facts import Facts, Stage

Parameters = Mapping[str, str]
"""A control's parameters, each present: those of the policy over the defaults."""


class ParameterError(ValueError):
    """A parameter that cannot be read; the message says which, and what it should look like."""


@dataclass(frozen=True)
class Finding:
    """What a check says. The message of anything but a pass says who can mend it, and how."""

    verdict: ControlVerdict
    message: str
    evidence: tuple[EvidenceReference, ...] = ()
    assurance: Assurance | None = None
    """Where it differs from the control's own: a check may rest on more than usual, or on less."""


def passed(message: str, *evidence: EvidenceReference, assurance: Assurance | None = None) -> Finding:
    """What it asks for is so."""
    return Finding(ControlVerdict.PASS, message, evidence, assurance)


def failed(message: str, *evidence: EvidenceReference, assurance: Assurance | None = None) -> Finding:
    """It is not so, or was not stated."""
    return Finding(ControlVerdict.FAIL, message, evidence, assurance)


def error(message: str, *evidence: EvidenceReference) -> Finding:
    """It cannot be told."""
    return Finding(ControlVerdict.ERROR, message, evidence)


def skipped(message: str) -> Finding:
    """It does not concern this release."""
    return Finding(ControlVerdict.SKIPPED, message)


Check = Callable[[Facts, Parameters], Finding]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a control."""

    default: str
    description: str


@dataclass(frozen=True)
class Control:
    """One control of the catalogue. Its id never changes its meaning."""

    id: str
    title: str
    """What it checks, as a statement that is true when it passes."""
    stages: frozenset[Stage]
    severity: Severity
    assurance: Assurance
    """What its verdict rests on, usually."""
    remedy: str
    """Who mends it, and how, in a sentence."""
    check: Check
    parameters: Mapping[str, Parameter]

    def find(self, facts: Facts, given: Parameters) -> Finding:
        """Check; a parameter that is unknown or cannot be read is an Error, never a pass."""
        if unknown := sorted(set(given) - set(self.parameters)):
            known = ", ".join(sorted(self.parameters)) or "none"
            return error(f"the policy gives {self.id} the parameter {unknown[0]}, which it does not have ({known})")
        values = {name: parameter.default for name, parameter in self.parameters.items()} | dict(given)
        try:
            return self.check(facts, values)
        except ParameterError as problem:
            return error(f"the policy's parameters of {self.id}: {problem}")
