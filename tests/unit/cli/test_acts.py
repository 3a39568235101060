"""A wish becomes an object that names the very model, the very policies, and the person."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sluice.api.base import parse_time
from sluice.api.modeldecision import Action, ModelDecisionSpec
from sluice.cli import acts
from sluice.cli.acts import Wish
from sluice.cli.release import Release
from sluice.cli.trouble import Exit, Trouble
from sluice.core.governance.facts import Decision
from tests.unit.cli import examples
from tests.unit.cli.examples import NOW


def approval(name: str, who: str, role: str = "model-validator") -> Decision:
    wish = Wish(Action.APPROVE, role=role, expires_at=NOW + timedelta(days=1))
    spec = acts.decision(examples.governed(), wish, who)["spec"]
    return Decision(name, f"uid-{name}", NOW, ModelDecisionSpec.model_validate(spec))


def test_an_approval_names_model_digest_policies_role_and_expiry() -> None:
    wish = Wish(Action.APPROVE, expires_at=NOW + timedelta(days=90), max_weight=25)
    item = acts.decision(examples.governed(), wish, "vera")
    assert item["spec"] == {
        "action": "Approve",
        "actor": {"username": "vera"},
        "target": {"deployment": "fraud", "uid": "u-1", "revision": "fraud-r2"},
        "subject": {"model": "fraud-scorer", "version": "8", "digest": examples.digest(8)},
        "role": "model-validator",
        "policyDigest": examples.POLICY,
        "expiresAt": "2027-02-22T12:00:00Z",
        "conditions": {"maxWeight": 25, "namespaces": []},
    }
    assert item["metadata"]["generateName"] == "fraud-r2-approve-"
    assert item["metadata"]["namespace"] == "risk"


def kept() -> Release:
    """r3 is stable; r2 and r1 were, and only r2 still runs."""
    promoted = examples.PROMOTED
    return examples.release(
        examples.HEALTHY | {"stableRevision": "fraud-r3"},
        examples.revision(1, promoted | {"promotedAt": examples.before(days=9), "retiredAt": examples.before(days=5)}),
        examples.revision(2, promoted | {"promotedAt": examples.before(days=6)}),
        examples.revision(3, promoted | {"promotedAt": examples.before(hours=2)}),
    )


@pytest.mark.parametrize(
    ("seen", "action", "expected"),
    [
        pytest.param(examples.governed(), Action.APPROVE, "fraud-r2", id="approve-what-policies-speak-of"),
        pytest.param(examples.governed(), Action.PAUSE, "fraud-r2", id="pause-the-candidate"),
        pytest.param(examples.governed(), Action.ABORT, "fraud-r2", id="abort-the-candidate"),
        pytest.param(examples.governed(), Action.PROMOTE, "fraud-r2", id="promote-the-candidate"),
        pytest.param(examples.failed(), Action.RETRY, "fraud-r2", id="retry-what-was-rolled-back"),
        pytest.param(kept(), Action.ROLLBACK, "fraud-r2", id="roll-back-to-what-still-runs"),
    ],
)
def test_the_revision_that_is_meant_is_found(seen: Release, action: Action, expected: str) -> None:
    assert acts.target(seen, Wish(action)).name == expected


@pytest.mark.parametrize(
    ("seen", "action", "says"),
    [
        pytest.param(examples.failed(), Action.ABORT, "no release of fraud is in progress", id="nothing-to-abort"),
        pytest.param(kept(), Action.RETRY, "nothing of fraud was rolled back", id="nothing-to-retry"),
        pytest.param(examples.governed(), Action.ROLLBACK, "no earlier revision of fraud still runs", id="no-way-back"),
    ],
)
def test_what_makes_no_sense_is_said(seen: Release, action: Action, says: str) -> None:
    with pytest.raises(Trouble, match=says) as caught:
        acts.target(seen, Wish(action))
    assert caught.value.code is Exit.FAILED


def test_an_approval_without_policies_is_refused_before_it_is_written() -> None:
    seen = examples.release(examples.PROGRESSING, examples.revision(2, examples.ON_ITS_WAY))
    with pytest.raises(Trouble, match="no policy applies to fraud"):
        acts.decision(seen, Wish(Action.APPROVE, role="model-owner"), "vera")


def test_what_serves_is_approved_again_under_the_policies_that_it_was_released_under() -> None:
    status = examples.PROGRESSING | {"governance": examples.GOVERNANCE}
    served = examples.revision(1, examples.PROMOTED | {"policyDigest": examples.digest(77)})
    seen = examples.release(status, served, examples.revision(2, examples.ON_ITS_WAY))
    item = acts.decision(seen, Wish(Action.APPROVE, revision="r1", role="model-owner"), "vera")
    assert item["spec"]["policyDigest"] == examples.digest(77)
    with pytest.raises(Trouble, match="no policy applies to fraud-r1"):
        acts.decision(examples.governed(), Wish(Action.APPROVE, revision="r1", role="model-owner"), "vera")


def test_a_revoke_takes_back_ones_own_approval() -> None:
    seen = examples.governed()
    given = (approval("one", "vera"), approval("two", "walt"))
    item = acts.decision(
        examples.release(examples.PROGRESSING | {"governance": examples.GOVERNANCE}, *seen.revisions, decisions=given),
        Wish(Action.REVOKE, reason="wrong file"),
        "vera",
    )
    assert (item["spec"]["revokes"], item["spec"]["role"]) == ("one", "model-validator")


def test_a_revoke_that_could_mean_two_asks_which() -> None:
    seen = examples.governed()
    two = (approval("one", "vera"), approval("two", "vera", "model-owner"))
    wanted = examples.release(examples.PROGRESSING, *seen.revisions, decisions=two)
    with pytest.raises(Trouble, match=r"one \(model-validator\), two \(model-owner\)") as caught:
        acts.decision(wanted, Wish(Action.REVOKE), "vera")
    assert caught.value.code is Exit.USAGE


def test_an_exception_names_control_and_model() -> None:
    until = parse_time("2026-12-24T00:00:00Z")
    item = acts.exception(
        examples.governed(), "GOV-DOC-01", "rita", reason="it is being written", ticket="T-1", expires_at=until,
        revision=None,
    )  # fmt: skip
    assert item["kind"] == "GovernanceException"
    assert item["spec"]["control"] == "GOV-DOC-01"
    assert item["spec"]["approver"] == {"username": "rita"}
    assert item["spec"]["expiresAt"] == "2026-12-24T00:00:00Z"
    assert item["metadata"]["generateName"] == "fraud-r2-gov-doc-01-"
