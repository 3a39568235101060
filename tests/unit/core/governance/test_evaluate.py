"""What policies come to together, what they say of a release, and what an exception changes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.governance import Assurance, ControlResult, ControlVerdict
from sluice.api.governancepolicy import (
    AppliesTo,
    Before,
    Distinct,
    GovernancePolicySpec,
    Mode,
    PolicyControl,
    RiskTier,
    Severity,
)
from sluice.api.modeldecision import Actor
from sluice.api.modeldeployment import Governance
from sluice.core.governance.approval import rejections, states
from sluice.core.governance.catalogue import CATALOGUE, control
from sluice.core.governance.evaluate import blocking, evaluate, refused, severity_for
from sluice.core.governance.facts import Facts, Policy, Stage
from sluice.core.governance.policy import (
    applicable,
    applies,
    digest_of_all,
    merged_approvals,
    merged_controls,
    pinned,
    unknown,
)
from tests.unit.core.governance.examples import (
    DAY,
    GUARDS,
    NOW,
    OTHER,
    SUBJECT,
    TARGET,
    empty,
    evidence,
    facts,
    role,
    stated,
    waiver,
)


def policy(name: str = "p", **spec: Any) -> Policy:
    return Policy(name, GovernancePolicySpec(**spec))


def asks(*controls: str, mode: Mode = Mode.ENFORCE, name: str = "p", **parameters: str) -> Policy:
    return policy(name, controls=[PolicyControl(id=one, mode=mode, parameters=parameters) for one in controls])


EVERYTHING = asks(*CATALOGUE)
CARDLESS = facts(evidence=evidence(card=None))


@pytest.mark.parametrize(
    ("to", "given", "expected"),
    [
        pytest.param(AppliesTo(), None, True, id="to all"),
        pytest.param(AppliesTo(namespaces=["lab"]), None, False, id="other namespace"),
        pytest.param(AppliesTo(namespaces=["lab", "risk"]), None, True, id="this namespace"),
        pytest.param(AppliesTo(risk_tiers=[RiskTier.LOW]), Governance(risk_tier=RiskTier.HIGH), False, id="other tier"),
        pytest.param(AppliesTo(risk_tiers=[RiskTier.LOW]), Governance(), True, id="no tier is every tier"),
        pytest.param(AppliesTo(risk_tiers=[RiskTier.LOW]), None, True, id="nothing stated is every tier"),
        pytest.param(AppliesTo(use_cases=["credit"]), Governance(use_case="fraud"), False, id="other use case"),
        pytest.param(AppliesTo(use_cases=["credit"]), Governance(use_case=" Credit "), True, id="spelt otherwise"),
        pytest.param(AppliesTo(use_cases=["credit"]), Governance(use_case=" "), True, id="no use case is every one"),
        pytest.param(
            AppliesTo(namespaces=["lab"]), Governance(), False, id="leaving out does not change the namespace"
        ),
    ],
)
def test_a_policy_applies(to: AppliesTo, given: Governance | None, expected: bool) -> None:
    assert applies(to, "risk", given) is expected


def test_policies_are_pinned_by_content_whatever_their_order() -> None:
    one, two = asks("GOV-INV-01", name="b"), asks("GOV-INV-02", name="a")
    assert [found.name for found in applicable([one, two], "risk", None)] == ["a", "b"]
    assert pinned([one, two]) == pinned([two, one])
    assert digest_of_all(pinned([one, two])) == digest_of_all(reversed(pinned([one, two])))
    changed = asks("GOV-INV-01", mode=Mode.WARN, name="b")
    assert digest_of_all(pinned([changed, two])) != digest_of_all(pinned([one, two]))


def test_the_strictest_mode_holds_and_every_parameter_is_asked_with() -> None:
    loose = asks("GOV-VAL-02", mode=Mode.AUDIT, name="a")
    strict = asks("GOV-VAL-02", mode=Mode.ENFORCE, name="b", maxAge="24h")
    (merged,) = merged_controls([loose, strict])
    assert (merged.mode, merged.variants) == (Mode.ENFORCE, ({}, {"maxAge": "24h"}))
    assert merged_controls([strict, loose]) == merged_controls([loose, strict])
    (result,) = evaluate(facts(), [loose, strict])
    assert result.verdict is ControlVerdict.FAIL
    assert evaluate(facts(), [loose])[0].verdict is ControlVerdict.PASS


def test_approvals_are_merged_by_role() -> None:
    merged = merged_approvals(
        [
            role("owner", 1, Distinct.DEVELOPER, before=Before.PROMOTION),
            role("owner", 2, Distinct.REQUESTER, valid_for=DAY),
            role("risk"),
        ]
    )
    assert [one.role for one in merged] == ["owner", "risk"]
    assert (merged[0].count, merged[0].before, merged[0].valid_for) == (2, Before.START, DAY)
    assert merged[0].distinct_from == [Distinct.DEVELOPER, Distinct.REQUESTER]


def test_a_control_that_is_not_in_the_catalogue_is_an_error_and_blocks() -> None:
    strange = asks("GOV-XYZ-01")
    assert unknown([strange, EVERYTHING], CATALOGUE) == ("GOV-XYZ-01",)
    assert control("GOV-XYZ-01") is None
    (result,) = blocking(evaluate(facts(), [strange]))
    assert result.verdict is ControlVerdict.ERROR


@pytest.mark.parametrize("stage", list(Stage))
def test_a_control_is_asked_at_its_stages_only(stage: Stage) -> None:
    asked = {result.id for result in evaluate(facts(stage=stage), [EVERYTHING])}
    assert asked == {name for name, one in CATALOGUE.items() if stage in one.stages}


@pytest.mark.parametrize(
    ("tier", "severity", "expected"),
    [
        pytest.param(RiskTier.HIGH, Severity.CRITICAL, Severity.CRITICAL, id="high"),
        pytest.param(None, Severity.HIGH, Severity.HIGH, id="unstated is high"),
        pytest.param(RiskTier.MEDIUM, Severity.CRITICAL, Severity.HIGH, id="medium is a step less"),
        pytest.param(RiskTier.LOW, Severity.CRITICAL, Severity.MEDIUM, id="low is two steps less"),
        pytest.param(RiskTier.LOW, Severity.MEDIUM, Severity.LOW, id="there is nothing below low"),
    ],
)
def test_severity_is_that_of_the_tier(tier: RiskTier | None, severity: Severity, expected: Severity) -> None:
    assert severity_for(severity, tier) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(waiver(), "Waived", id="in force"),
        pytest.param(waiver(control="GOV-DOC-03"), "Fail", id="of another control"),
        pytest.param(waiver(expires_at=NOW), "Fail", id="expired"),
        pytest.param(waiver(expires_at=NOW + 91 * DAY), "Fail", id="for too long"),
        pytest.param(waiver(target=TARGET.model_copy(update={"uid": "u-0"})), "Fail", id="for another deployment"),
        pytest.param(waiver(subject=SUBJECT.model_copy(update={"digest": OTHER})), "Fail", id="for other files"),
        pytest.param(waiver(approver=Actor(username="tom@bank.example")), "Fail", id="by the requester"),
        pytest.param(waiver(approver=Actor(username="DEV@bank.example")), "Fail", id="by a developer"),
        pytest.param(waiver(approver=Actor(username="system:serviceaccount:a:b")), "Fail", id="by a machine"),
        pytest.param(waiver(at=NOW - 40 * DAY), "Fail", id="older than the guards"),
        pytest.param(waiver(ticket=" "), "Fail", id="without a ticket"),
        pytest.param(
            waiver(target=TARGET.model_copy(update={"revision": "fraud-r7"})), "Waived", id="earlier revision"
        ),
    ],
)
def test_an_exception_waives_what_it_is_for(given: Any, expected: str) -> None:
    (result,) = evaluate(replace(CARDLESS, waivers=(given,)), [asks("GOV-DOC-01")])
    assert result.verdict == expected
    assert result.waiver == (given.name if expected == "Waived" else None)
    assert "model card" in result.message
    assert (refused(CARDLESS, given) is not None) == (expected == "Fail" and given.spec.control == "GOV-DOC-01")


def test_what_passes_stays_a_pass() -> None:
    (result,) = evaluate(facts(waivers=(waiver(),)), [asks("GOV-DOC-01")])
    assert (result.verdict, result.waiver) == (ControlVerdict.PASS, None)


@pytest.mark.parametrize("name", ["GOV-APP-01", "GOV-AUD-03"])
def test_approvals_and_the_record_are_not_waived(name: str) -> None:
    broken = facts(waivers=(waiver(control=name),), decisions=(), guards=(replace(GUARDS[0], intact=False),))
    (result,) = evaluate(broken, [asks(name)])
    assert result.verdict is ControlVerdict.FAIL


def test_custom_rules_are_waived_and_block_like_controls() -> None:
    rule = ControlResult(
        id="CUSTOM-no-friday",
        verdict=ControlVerdict.FAIL,
        mode=Mode.ENFORCE,
        severity=Severity.LOW,
        assurance=Assurance.DERIVED,
    )
    assert blocking(evaluate(facts(), [], [rule])) == (rule,)
    (result,) = evaluate(facts(waivers=(waiver(control="CUSTOM-no-friday"),)), [], [rule])
    assert (result.verdict, result.waiver) == (ControlVerdict.WAIVED, "w-1")


def test_what_blocks_is_enforced_and_the_worst_comes_first() -> None:
    results = evaluate(empty(), [EVERYTHING])
    held = blocking(results)
    ranks = [list(Severity).index(result.severity) for result in held]
    assert ranks == sorted(ranks)
    assert held
    assert not blocking(evaluate(empty(), [asks(*CATALOGUE, mode=Mode.WARN)]))
    assert len({result.verdict for result in held}) == 2


NOT_MISSING = {
    "GOV-INV-04": "the list of those found is empty",
    "GOV-ROL-01": "a plan is always there, by default",
    "GOV-ROL-02": "at admission it asks of the plan alone",
    "GOV-CHG-02": "the list of differences is empty",
}
"""Controls that pass where nothing is known about the release, and why that is right."""


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_nothing_known_is_no_pass(name: str) -> None:
    verdicts = {CATALOGUE[name].find(empty(stage=stage), {}).verdict for stage in CATALOGUE[name].stages}
    assert (ControlVerdict.PASS in verdicts) == (name in NOT_MISSING)


REMOVABLE: dict[str, Any] = {
    "requester": None,
    "model": None,
    "gauges": (),
    "evidence": None,
    "policies": (),
    "policy_digest": "",
    "policies_since": None,
    "required": (),
    "decisions": (),
    "guards": (),
    "records": (),
    "seal": None,
    "image": "",
    "loaded_digest": "",
    "logging": False,
    "anchoring": False,
    "stated": Governance(),
    "identities": {},
    "stable_evidence": None,
    "revision": None,
}
PARAMETERS: dict[str, dict[str, str]] = {
    "GOV-VAL-03": {"metrics": "auc >= 0.9"},
    "GOV-VAL-05": {"higherIsBetter": "auc"},
    "GOV-FAIR-01": {"metrics": "fairness_ratio_sex >= 0.8", "samplesMetric": "fairness_samples"},
}


def reduced(given: Facts, removed: set[str]) -> Facts:
    return replace(given, **{name: REMOVABLE[name] for name in removed})


anything = st.builds(
    lambda stage, removed, weight, changes: replace(reduced(facts(stage=stage, weight=weight), removed), **changes),
    st.sampled_from(Stage),
    st.sets(st.sampled_from(sorted(REMOVABLE))),
    st.integers(0, 100),
    st.fixed_dictionaries(
        {},
        optional={
            "stable": st.none(),
            "chain_problem": st.just("broken"),
            "evidence_problem": st.text(max_size=20),
            "stated": st.builds(
                stated,
                use_case=st.text(max_size=20),
                owner=st.text(max_size=5),
                developers=st.lists(st.text(max_size=8), max_size=3),
                change_reason=st.text(max_size=30),
            ),
            "evidence": st.builds(
                evidence,
                registered_by=st.text(max_size=8),
                metrics=st.dictionaries(st.sampled_from(["auc", "x"]), st.text(max_size=8)),
                formats=st.lists(st.text(max_size=8), max_size=3),
                stage=st.text(max_size=10),
                card=st.none(),
            ),
            "waivers": st.just((waiver(),)),
            "unmanaged": st.lists(st.text(max_size=8), max_size=9).map(tuple),
        },
    ),
)


@given(anything)
def test_whatever_the_facts_are_there_is_an_answer(given: Facts) -> None:
    results = evaluate(given, [EVERYTHING])
    assert all(result.message for result in results)
    blocking(results)
    states(given)
    rejections(given)


@given(st.sampled_from(Stage), st.sets(st.sampled_from(sorted(REMOVABLE))), st.sampled_from(sorted(REMOVABLE)))
def test_taking_data_away_makes_no_pass(stage: Stage, before: set[str], taken: str) -> None:
    more = reduced(facts(stage=stage), before)
    less = reduced(more, {taken})
    for name, one in CATALOGUE.items():
        if stage not in one.stages:
            continue
        parameters = PARAMETERS.get(name, {})
        was, now = one.find(more, parameters), one.find(less, parameters)
        # What is left unsaid keeps a release in no control's way: one that was skipped may be asked, and pass.
        good = (ControlVerdict.PASS, ControlVerdict.SKIPPED)
        assert now.verdict is not ControlVerdict.PASS or was.verdict in good, (name, taken)


def test_every_field_of_the_facts_is_removed_or_has_a_reason_to_stay() -> None:
    always_there = {"now", "stage", "namespace", "deployment", "uid", "serving", "rollout"}
    # Before a release starts, what only a running one has is rightly not asked for.
    no_absence = {"weight", "evidence_problem", "chain_problem", "predates", "started", "stepped"}
    # Removing these can rightly make a pass: nothing is in service to be compared with, or nothing wrong was found.
    findings = {"stable", "waivers", "unmanaged", "hand_edits", "inventory_elsewhere"}
    assert {field.name for field in fields(Facts)} == always_there | no_absence | findings | set(REMOVABLE)
