"""Controls and policies at their fringes: what is not stated, stated twice, or no number."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sluice.api.governance import ControlVerdict
from sluice.api.governancepolicy import GovernancePolicySpec
from sluice.core.governance import review
from sluice.core.governance.evaluate import evaluate, refused
from sluice.core.governance.facts import Policy
from sluice.core.governance.people import dependent, developers
from sluice.core.governance.policy import merged_controls
from tests.unit.core.governance.examples import facts, tags, waiver


def policy(name: str, *controls: Mapping[str, object]) -> Policy:
    return Policy(name, GovernancePolicySpec.model_validate({"controls": list(controls)}))


def test_a_tier_that_the_registry_does_not_rate_is_taken_as_stated() -> None:
    unrated = facts(evidence=tags(sluice__risk__tier=None))
    (result,) = evaluate(unrated, [policy("p", {"id": "GOV-INV-02"})])
    assert (result.verdict, result.message) == (ControlVerdict.PASS, "risk tier High")


def test_a_limit_that_is_no_number_is_an_error_that_names_it_not_a_pass() -> None:
    broken = policy("p", {"id": "GOV-MON-01", "parameters": {"maxAlpha": "a little"}})
    (result,) = evaluate(facts(), [broken])
    assert result.verdict is ControlVerdict.ERROR
    assert "maxAlpha: 'a little' is no number; write it like 0.05" in result.message


def test_the_same_control_in_two_policies_is_asked_once_and_in_the_stricter_mode() -> None:
    one, two = policy("a", {"id": "GOV-INV-02", "mode": "Warn"}), policy("b", {"id": "GOV-INV-02", "mode": "Enforce"})
    (merged,) = merged_controls([two, one])
    assert (merged.id, merged.mode, merged.variants) == ("GOV-INV-02", "Enforce", ({},))


@pytest.mark.parametrize("control", ["GOV-APP-01", "GOV-AUD-01"])
def test_an_exception_for_an_approval_or_the_record_is_answered_with_what_to_do(control: str) -> None:
    said = refused(facts(), waiver(control=control))
    assert said is not None
    assert said.message == f"{control} cannot be waived; get the approval, or mend the record"


@pytest.mark.parametrize("requester", [None, "", "  "])
def test_whoever_asked_for_a_release_that_names_nobody_may_be_the_one_who_decides(requester: str | None) -> None:
    unknown = facts(requester=requester)
    said = dependent(unknown, "rita@bank.example", developers(unknown))
    assert said == (
        "it cannot be told whether rita@bank.example asked for this release: nobody was stamped at admission"
    )


def test_a_review_counts_what_its_controls_said_and_tells_it_in_a_sentence() -> None:
    seen = facts(waivers=(waiver(control="GOV-ROL-03"),), stated=replace_runbook())
    names = ("GOV-INV-02", "GOV-ROL-03", "GOV-FAIR-01")
    results = evaluate(seen, [policy("p", *[{"id": name} for name in names])])
    summary = review.Review(seen, results, (), ()).summary()
    counts = (summary.passed, summary.failed, summary.errors, summary.skipped, summary.waived)
    assert sum(counts) == len(results) == len(names)
    assert summary.waived == 1
    told = review.Review(seen, results, (), ()).told()
    assert told.startswith("of 3 controls ")
    assert "1 are waived" in told
    assert told.endswith("waived: GOV-ROL-03 by w-1")


def replace_runbook() -> object:
    """What the team states, without anybody who could stop the model."""
    return facts().stated.model_copy(update={"runbook": None, "escalation": None})
