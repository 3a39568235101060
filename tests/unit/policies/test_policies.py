"""The policies to start from are ones that the API and the catalogue take, and get stricter from tier to tier."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sluice.api.governance import ControlVerdict
from sluice.api.governancepolicy import Distinct, GovernancePolicySpec, Mode, RiskTier
from sluice.core.governance.catalogue import CATALOGUE
from sluice.core.governance.evaluate import blocking, evaluate
from sluice.core.governance.facts import Policy, Stage
from sluice.core.governance.policy import unknown
from tests.unit.core.governance.examples import empty, facts

DIRECTORY = Path(__file__).parents[3] / "policies"
TIERS = {"tier-low": RiskTier.LOW, "tier-medium": RiskTier.MEDIUM, "tier-high": RiskTier.HIGH}
FILES = {path.stem: yaml.safe_load(path.read_text()) for path in DIRECTORY.glob("*.yaml")}
POLICIES = {name: Policy(name, GovernancePolicySpec.model_validate(file["spec"])) for name, file in FILES.items()}
FIRST_RELEASE = {
    *("INV-01", "INV-02", "INV-03", "DOC-01", "DOC-02", "DAT-01", "VAL-01", "VAL-02", "VAL-04", "SUP-01", "APP-01"),
    *("APP-02", "APP-03", "ROL-01", "ROL-02", "ROL-04", "MON-01", "MON-02", "MON-03", "CHG-01", "CHG-02", "AUD-01"),
    "AUD-04",
}


def enforced(name: str) -> set[str]:
    return {control.id for control in POLICIES[name].spec.controls if control.mode is Mode.ENFORCE}


@pytest.mark.parametrize("name", sorted(TIERS))
def test_a_policy_is_one_that_the_api_and_the_catalogue_take(name: str) -> None:
    file = FILES[name]
    assert (file["apiVersion"], file["kind"], file["metadata"]["name"]) == (
        "sluice.dev/v1alpha1",
        "GovernancePolicy",
        name,
    )
    policy = POLICIES[name]
    assert policy.spec.applies_to.risk_tiers == [TIERS[name]]
    assert unknown([policy], CATALOGUE) == ()
    ids = [control.id for control in policy.spec.controls]
    assert len(ids) == len(set(ids)) <= 64
    dumped = policy.spec.model_dump(mode="json", by_alias=True)
    assert set(file["spec"]) <= set(dumped)
    for given in file["spec"]["controls"]:
        assert set(given) <= {"id", "mode", "parameters"}
        assert set(given.get("parameters", {})) <= set(CATALOGUE[given["id"]].parameters)


@pytest.mark.parametrize("name", sorted(TIERS))
def test_a_release_with_which_all_is_well_is_not_held(name: str) -> None:
    for stage in Stage:
        results = evaluate(facts(stage=stage, weight=100), [POLICIES[name]])
        assert [r.id for r in results if r.verdict not in (ControlVerdict.PASS, ControlVerdict.SKIPPED)] == []
        assert blocking(results) == ()


@pytest.mark.parametrize("name", sorted(TIERS))
def test_a_release_of_which_nothing_is_known_is_held(name: str) -> None:
    assert blocking(evaluate(empty(), [POLICIES[name]]))


def test_what_a_lower_tier_enforces_a_higher_one_does() -> None:
    low, medium, high = (enforced(name) for name in TIERS)
    assert low < medium
    assert medium - {"GOV-FAIR-02", "GOV-APP-05"} < high


def test_tier_high_enforces_the_first_release_and_what_follows_it() -> None:
    assert enforced("tier-high") == {f"GOV-{name}" for name in FIRST_RELEASE | {"SUP-02", "SUP-03", "AUD-02"}}


def test_two_different_people_approve_in_tier_high() -> None:
    approvals = {approval.role: approval for approval in POLICIES["tier-high"].spec.approvals}
    assert set(approvals) == {"model-validator", "model-owner"}
    assert all(Distinct.APPROVER in approval.distinct_from for approval in approvals.values())
