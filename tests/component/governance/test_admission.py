"""What the schemas of policies, decisions, exceptions and evidence refuse, on a real API server, and in what words."""

from __future__ import annotations

import pytest

from sluice.api import API_VERSION
from sluice.api.crds import KINDS
from sluice.api.markers import VALIDATIONS
from tests.component.examples import merged
from tests.component.governance import acts
from tests.component.kube import Api, Manifest, Refused
from tests.component.test_admission import DURATION, OF_PEOPLE, ROLE, refusal
from tests.unit.api.structural import walk

pytestmark = pytest.mark.component

CONTROL = "must be the id of a control in the catalogue, such as GOV-INV-01"
EMPTY = "a policy needs at least one control, approval or custom rule"
RULE = "must be lower-case letters, digits and dashes, such as no-friday"
ROLE_GOES = "role goes with Approve, Reject and Revoke, which need it, and with nothing else"
POLICIES = (
    "an approval must name the policies it was given under: copy status.governance.policyDigest of the "
    "ModelDeployment to policyDigest"
)
EXPIRES = "an approval must expire: set expiresAt, such as 2027-03-31T00:00:00Z"
REVOKES = "revokes names the approval that a Revoke takes back, and goes with nothing else"
WHY = "say why, in reason: this act ends a release or goes around its gates"
TICKET = "a promotion past the gates needs a ticket"
CONDITIONS = "conditions go with Approve"
WAIVABLE = "must not be an approval or the record itself; get the approval, or mend the record"
CONTROL_OR_RULE = "must be the id of a control, such as GOV-DOC-01, or CUSTOM-<name> of a custom rule"
DECIDED = "a decision never changes; make another one, such as a Revoke"
EXCEPTED = "an exception never changes; make another one"
KEPT = "evidence never changes"


def policy(change: Manifest) -> Manifest:
    """A policy of one control, with a change merged in."""
    spec = {"controls": [{"id": "GOV-INV-01", "mode": "Enforce"}]}
    return {"apiVersion": API_VERSION, "kind": "GovernancePolicy", "metadata": {"name": "strict"}} | {
        "spec": merged(spec, change)
    }


def decision(action: str, change: Manifest) -> Manifest:
    """A person's act, with a change to its spec merged in."""
    made: Manifest = merged(acts.decision("default", action, "vera"), {"spec": change})
    return made


def waiver(change: Manifest) -> Manifest:
    """An exception, with a change to its spec merged in."""
    made: Manifest = merged(acts.waiver("default", "rita"), {"spec": change})
    return made


REFUSED = [
    pytest.param(policy({"controls": []}), "spec", EMPTY, id="a-policy-of-nothing"),
    pytest.param(policy({"controls": [{"id": "GOV-1"}]}), "spec.controls[0].id", CONTROL, id="a-control-of-no-number"),
    pytest.param(
        policy({"approvals": [{"role": "Validator", "count": 1, "before": "Start"}]}),
        "spec.approvals[0].role",
        ROLE,
        id="a-role-in-capitals",
    ),
    pytest.param(
        policy({"approvals": [{"role": "validator", "count": 1, "before": "Start", "validFor": "soon"}]}),
        "spec.approvals[0].validFor",
        DURATION,
        id="an-approval-that-lasts-a-word",
    ),
    pytest.param(
        policy({"customRules": [{"name": "No Friday", "title": "No Friday", "expression": "true", "message": "no"}]}),
        "spec.customRules[0].name",
        RULE,
        id="a-rule-with-a-blank",
    ),
    pytest.param(decision("Approve", {"role": None}), "spec", ROLE_GOES, id="an-approval-as-nobody"),
    pytest.param(decision("Pause", {"role": "owner"}), "spec", ROLE_GOES, id="a-pause-as-somebody"),
    pytest.param(decision("Approve", {"role": "Owner!"}), "spec.role", ROLE, id="a-role-of-other-characters"),
    pytest.param(decision("Approve", {"policyDigest": None}), "spec", POLICIES, id="an-approval-under-no-policies"),
    pytest.param(decision("Approve", {"expiresAt": None}), "spec", EXPIRES, id="an-approval-for-ever"),
    pytest.param(decision("Revoke", {"revokes": None}), "spec", REVOKES, id="a-revocation-of-nothing"),
    pytest.param(decision("Approve", {"revokes": "one"}), "spec", REVOKES, id="an-approval-that-revokes"),
    pytest.param(decision("Abort", {"reason": ""}), "spec", WHY, id="an-abort-without-a-reason"),
    pytest.param(decision("Promote", {"ticket": None}), "spec", TICKET, id="a-promotion-without-a-ticket"),
    pytest.param(decision("Reject", {"conditions": {"maxWeight": 5}}), "spec", CONDITIONS, id="a-rejection-up-to-5"),
    pytest.param(waiver({"control": "GOV-APP-01"}), "spec.control", WAIVABLE, id="an-approval-waived"),
    pytest.param(waiver({"control": "GOV-AUD-01"}), "spec.control", WAIVABLE, id="the-record-waived"),
    pytest.param(waiver({"control": "DOC-1"}), "spec.control", CONTROL_OR_RULE, id="a-control-that-is-none"),
]

CHANGES = [
    pytest.param(acts.decision("default", "Pause", "otto", name="kept"), {"reason": "another"}, DECIDED, id="decision"),
    pytest.param(acts.waiver("default", "rita", name="kept"), {"reason": "another"}, EXCEPTED, id="exception"),
    pytest.param(acts.evidence("default", name="kept"), {"content": "e30K"}, KEPT, id="evidence"),
]


@pytest.mark.parametrize(("wrong", "field", "message"), REFUSED)
def test_what_is_wrong_is_refused_and_told_why(api: Api, wrong: Manifest, field: str, message: str) -> None:
    found = refusal(api, wrong).complaints
    assert message in found.get(field, []), found


@pytest.mark.parametrize(("made", "change", "message"), CHANGES)
def test_what_was_said_stays_said(api: Api, made: Manifest, change: Manifest, message: str) -> None:
    api.create(made)
    try:
        with pytest.raises(Refused) as caught:
            api.patch(made, {"spec": change})
        assert message in str(caught.value)
    finally:
        api.delete(made)


@pytest.mark.parametrize("action", ["Approve", "Reject", "Revoke", "Pause", "Resume", "Promote", "Abort", "Retry"])
def test_every_action_is_admitted_as_the_verbs_write_it(api: Api, action: str) -> None:
    api.create(acts.decision("default", action, "vera"), dryRun="All", fieldValidation="Strict")


def test_every_rule_has_been_broken_by_a_test_of_this_module() -> None:
    broken = {param.values[-1] for param in (*REFUSED, *CHANGES)}
    rules = {
        rule["message"]
        for kind in KINDS
        if kind.name in OF_PEOPLE
        for _, schema in walk(kind.schema(), "")
        for rule in schema.get(VALIDATIONS, ())
    }
    assert broken == rules
