"""Custom: a policy's own rules in CEL. What to ask is decided here; a worker process answers (``engine/rules.py``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluice.api.governance import Assurance, ControlResult, ControlVerdict
from sluice.api.governancepolicy import CustomRule
from sluice.core import document, identity
from sluice.core.governance.facts import Facts, Policy

if TYPE_CHECKING:
    from sluice.core.world import RuleOutcome

_NOT_FOR_RULES = ("records", "decisions", "waivers")
"""Facts that custom rules do not see: the controls on approvals and on the record are not theirs to replace."""


@dataclass(frozen=True)
class Question:
    """One rule to be evaluated on one facts document."""

    key: str
    """Names expression and facts; the same question has the same answer."""
    expression: str
    facts: str
    """The document, canonical JSON: `facts` in the expression."""


def facts_document(facts: Facts) -> str:
    """What a rule sees. Without the time of day, which would make every look a new question."""
    seen = replace(facts, now=facts.now.replace(hour=0, minute=0, second=0, microsecond=0))
    return document.text({name: value for name, value in vars(seen).items() if name not in _NOT_FOR_RULES})


def results(
    facts: Facts, policies: Iterable[Policy], outcomes: Mapping[str, RuleOutcome]
) -> tuple[tuple[ControlResult, ...], tuple[Question, ...]]:
    """Every custom rule's result, and the questions whose outcome is not known yet."""
    rules = [rule for policy in policies for rule in policy.spec.custom_rules]
    if not rules:
        return (), ()
    shown = facts_document(facts)
    answers: list[ControlResult] = []
    open_questions: list[Question] = []
    for rule in rules:
        key = identity.digest({"expression": rule.expression, "facts": shown})
        outcome = outcomes.get(key)
        if outcome is None:
            open_questions.append(Question(key, rule.expression, shown))
        answers.append(_result(rule, outcome))
    return tuple(answers), tuple(open_questions)


def _result(rule: CustomRule, outcome: RuleOutcome | None) -> ControlResult:
    if outcome is None:
        verdict, message = ControlVerdict.ERROR, "is being evaluated"
    elif outcome.error:
        verdict, message = ControlVerdict.ERROR, f"could not be evaluated: {outcome.error}; mend the policy's rule"
    elif outcome.passed:
        verdict, message = ControlVerdict.PASS, rule.title
    else:
        verdict, message = ControlVerdict.FAIL, rule.message
    return ControlResult(
        id=f"CUSTOM-{rule.name}",
        verdict=verdict,
        mode=rule.mode,
        severity=rule.severity,
        assurance=Assurance.DERIVED,
        message=message[:1024],
    )
