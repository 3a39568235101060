"""Rules of one's own: what they see, and what comes of their outcomes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sluice.api.base import ConditionStatus
from sluice.api.governance import ControlVerdict
from sluice.api.governancepolicy import CustomRule, GovernancePolicySpec, Mode, PolicyControl, Severity
from sluice.core import reasons
from sluice.core.governance import custom, soundness
from sluice.core.governance.facts import Facts, Policy
from sluice.core.world import RuleOutcome
from tests.unit.core.governance.examples import empty, facts

PASSED, FAILED = RuleOutcome(passed=True), RuleOutcome(passed=False)


def rule(name: str = "small-steps", expression: str = "facts.weight <= 50", **given: Any) -> CustomRule:
    return CustomRule(name=name, title="Steps are small", expression=expression, message="make them smaller", **given)


def policy(*rules: CustomRule, name: str = "ours") -> Policy:
    return Policy(name, GovernancePolicySpec(custom_rules=list(rules)))


def key(given: Facts, expression: str = "facts.weight <= 50") -> str:
    (question,) = custom.ask(given, [policy(rule(expression=expression))], {}).questions
    return question.key


def test_a_rule_sees_names_in_camel_case_and_nothing_where_nothing_was_stated() -> None:
    shown = json.loads(custom.facts_document(facts()))
    assert {"policyDigest", "evidence", "stableEvidence", "weight", "gauges"} <= shown.keys()
    assert shown["evidence"]["registeredBy"]
    assert shown["gauges"][0]["use"]["name"]
    assert "is" not in shown["gauges"][0]
    bare = json.loads(custom.facts_document(empty()))
    assert not {"evidence", "model", "requester", "revision"} & bare.keys()
    assert "riskTier" not in bare["stated"]
    assert None not in bare.values()


def test_a_rule_sees_neither_decisions_nor_exceptions_nor_records() -> None:
    assert not {"decisions", "waivers", "records"} & json.loads(custom.facts_document(facts())).keys()


def test_time_and_figures_alone_make_no_new_question() -> None:
    given = facts()
    figures = [
        replace(g, result=g.result.model_copy(update={"value": "0.1", "samples": 7})) for g in given.gauges if g.result
    ]
    assert figures
    later = replace(given, now=given.now + timedelta(minutes=1), gauges=tuple(figures))
    assert key(later) == key(replace(given, gauges=tuple(g for g in given.gauges if g.result)))
    assert key(replace(given, now=given.now + timedelta(days=1))) != key(given)
    assert key(replace(given, weight=given.weight + 1)) != key(given)


@pytest.mark.parametrize(
    ("outcome", "verdict", "message"),
    [
        pytest.param(None, ControlVerdict.ERROR, "is being evaluated", id="not known yet"),
        pytest.param(PASSED, ControlVerdict.PASS, "Steps are small", id="passed"),
        pytest.param(FAILED, ControlVerdict.FAIL, "make them smaller", id="failed"),
        pytest.param(
            RuleOutcome(passed=False, error="divide by zero"),
            ControlVerdict.ERROR,
            "could not be evaluated: divide by zero",
            id="error",
        ),
        pytest.param(
            RuleOutcome(passed=True, error="both"), ControlVerdict.ERROR, "could not be evaluated: both", id="both"
        ),
    ],
)
def test_only_a_pass_is_a_pass(outcome: RuleOutcome | None, verdict: ControlVerdict, message: str) -> None:
    given = facts()
    outcomes = {key(given): outcome} if outcome is not None else {}
    asked = custom.ask(given, [policy(rule())], outcomes)
    assert [(r.id, r.verdict, r.message) for r in asked.results] == [("CUSTOM-small-steps", verdict, message)]
    assert asked.pending == (outcome is None)
    assert [q.key for q in asked.questions] == [key(given)]  # answered or not: its outcome is needed next time too


def test_another_releases_outcome_is_not_this_ones() -> None:
    outcomes = {key(facts()): PASSED}
    (result,) = custom.ask(facts(revision="fraud-r9"), [policy(rule())], outcomes).results
    assert result.verdict is ControlVerdict.ERROR


def test_rules_of_one_name_are_one_result_the_worst_in_the_strictest_mode() -> None:
    given = facts()
    lax = policy(rule(mode=Mode.WARN, severity=Severity.LOW), name="lax")
    strict = policy(rule(expression="false", severity=Severity.HIGH), name="strict")
    outcomes = {key(given): PASSED, key(given, "false"): FAILED}
    (result,) = custom.ask(given, [lax, strict], outcomes).results
    assert (result.verdict, result.mode, result.severity) == (ControlVerdict.FAIL, Mode.ENFORCE, Severity.HIGH)
    assert result.message == "policy strict: make them smaller"


def spec(*controls: PolicyControl) -> GovernancePolicySpec:
    return GovernancePolicySpec(controls=list(controls), custom_rules=[rule()])


def test_a_policy_says_what_is_wrong_with_it() -> None:
    good = PolicyControl(id="GOV-DOC-01")
    assert soundness.ready(spec(good), {})[:2] == (ConditionStatus.TRUE, reasons.POLICY_READY)
    status, reason, message = soundness.ready(spec(PolicyControl(id="GOV-NEW-99")), {"small-steps": "line 1: no"})
    assert (status, reason) == (ConditionStatus.FALSE, reasons.POLICY_INVALID)
    assert "GOV-NEW-99 is not in the catalogue" in message
    assert "custom rule small-steps: line 1: no" in message
    typo = PolicyControl(id="GOV-DOC-01", parameters={"section": "x"})
    assert "GOV-DOC-01 has no parameter section (it has sections)" in soundness.ready(spec(typo), {})[2]
    assert soundness.ready(spec(good), {}, "it took too long")[0] is ConditionStatus.UNKNOWN
