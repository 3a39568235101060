"""Custom: a policy's own rules in CEL. What to ask is decided here; a worker process answers (``engine/rules.py``)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from sluice.api.base import Resource, format_time
from sluice.api.governance import Assurance, ControlResult, ControlVerdict
from sluice.api.governancepolicy import CustomRule, Severity
from sluice.api.verdict import MonitorResult
from sluice.core import document, identity
from sluice.core.governance.facts import Facts, Gauge, Policy
from sluice.core.governance.policy import stricter

if TYPE_CHECKING:
    from sluice.core.world import RuleOutcome

NOT_FOR_RULES = ("records", "decisions", "waivers")
"""Facts that custom rules do not see: the controls on approvals and on the record are not theirs to replace."""
_WORST_FIRST = (ControlVerdict.FAIL, ControlVerdict.ERROR, ControlVerdict.PASS)
_SEVEREST_FIRST = tuple(Severity)


@dataclass(frozen=True)
class Question:
    """One rule to be evaluated on one facts document."""

    key: str
    """Names expression and facts; the same question has the same answer."""
    expression: str
    facts: str
    """The document, canonical JSON: `facts` in the expression."""


@dataclass(frozen=True)
class Asked:
    """What custom rules say of a release, and what must be known for it."""

    results: tuple[ControlResult, ...] = ()
    questions: tuple[Question, ...] = ()
    """Every rule's question, answered or not."""
    pending: bool = False
    """Whether the outcome of one is not known yet."""


def facts_document(facts: Facts) -> str:
    """What a rule sees: names in camelCase, and what nobody stated is absent.

    Without what changes by the clock alone, the time of day and a gauge's latest figures, which would make every look
    a new question.
    """
    seen = replace(
        facts,
        now=facts.now.replace(hour=0, minute=0, second=0, microsecond=0),
        gauges=tuple(_steady(gauge) for gauge in facts.gauges),
    )
    shown = {name: value for name, value in vars(seen).items() if name not in NOT_FOR_RULES}
    return json.dumps(_shown_fields(shown), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def ask(facts: Facts, policies: Iterable[Policy], outcomes: Mapping[str, RuleOutcome]) -> Asked:
    """Every custom rule's result, by what is known of the outcomes, and the questions.

    Rules of the same name, in several policies, come to one result: the worst, in the strictest mode.
    """
    rules = [(policy.name, rule) for policy in policies for rule in policy.spec.custom_rules]
    if not rules:
        return Asked()
    shown = facts_document(facts)
    about = document.digest(shown)
    questions: dict[str, Question] = {}
    results: dict[str, list[tuple[str, ControlResult]]] = {}
    for policy, rule in rules:
        key = identity.digest({"expression": rule.expression, "facts": about})
        questions[key] = Question(key, rule.expression, shown)
        results.setdefault(rule.name, []).append((policy, _result(rule, outcomes.get(key))))
    return Asked(
        tuple(_merged(said) for said in results.values()),
        tuple(questions.values()),
        pending=not questions.keys() <= outcomes.keys(),
    )


def _result(rule: CustomRule, outcome: RuleOutcome | None) -> ControlResult:
    if outcome is None:
        verdict, message = ControlVerdict.ERROR, "is being evaluated"
    elif outcome.error:
        verdict, message = ControlVerdict.ERROR, f"could not be evaluated: {outcome.error}"
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


def _merged(said: Sequence[tuple[str, ControlResult]]) -> ControlResult:
    (policy, worst), *_ = sorted(said, key=lambda one: _WORST_FIRST.index(one[1].verdict))
    if len(said) == 1:
        return worst
    mode = worst.mode
    for _, result in said:
        mode = stricter(mode, result.mode)
    severity = min((result.severity for _, result in said), key=_SEVEREST_FIRST.index)
    message = f"policy {policy}: {worst.message}"[:1024]
    return worst.model_copy(update={"mode": mode, "severity": severity, "message": message})


def _steady(gauge: Gauge) -> Gauge:
    said = gauge.result
    if said is None:
        return gauge
    return replace(
        gauge, result=MonitorResult(name=said.name, verdict=said.verdict, reason=said.reason, mode=said.mode)
    )


def _shown_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel(name): _shown(value) for name, value in fields.items() if value is not None}


def _shown(value: Any) -> Any:
    match value:
        case Resource():
            return value.dump()
        case StrEnum():
            return value.value
        case datetime():
            return format_time(value)
        case Mapping():
            return {str(key): _shown(item) for key, item in value.items()}
        case tuple() | list():
            return [_shown(item) for item in value]
    if dataclasses.is_dataclass(value):
        return _shown_fields({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    return value
