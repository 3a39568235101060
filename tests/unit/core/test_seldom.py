"""What people ask seldom, or too late, or too often; and what waits for a reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.api.base import Condition
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.modeldecision import Action
from sluice.api.record import RecordKind, Seal, SeenDecision
from sluice.api.verdict import Verdict
from sluice.core import decisions, reasons, succession
from sluice.core.governance.facts import Waiver
from sluice.core.world import HandEdit
from tests.unit.core.people import answer, decide, govern
from tests.unit.core.simulation import Cluster, released, spec, steps
from tests.unit.core.test_people import VALIDATOR, midway
from tests.unit.core.test_records import bound, kinds

EDITED = (RecordKind.HAND_EDITED, RecordKind.CORRECTED)
UNOWNED = "GOV-ROL-03"
"""A control that the simulated release does not meet: nobody is named who could stop it."""


def test_the_approval_of_a_release_that_nothing_governs_is_answered_as_not_asked_for() -> None:
    cluster = midway()
    name = decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r2", role="model-validator")
    cluster.run(10)
    assert answer(cluster, name) == ("False", reasons.NOT_REQUIRED)
    assert "nothing asks for the approval of a model-validator" in cluster.answers[name].message


def test_a_rejection_that_comes_after_the_end_is_answered_and_changes_nothing() -> None:
    cluster = midway()
    decide(cluster, "olga@bank.example", Action.ABORT, "scorer-r2")
    cluster.run(30)
    name = decide(cluster, "vera@bank.example", Action.REJECT, "scorer-r2", role="model-validator")
    cluster.run(10)
    assert answer(cluster, name) == ("False", reasons.NOT_POSSIBLE)
    assert cluster.answers[name].message == "the release of scorer-r2 has ended (RolledBack)"


def test_a_release_that_is_rejected_before_it_was_approved_never_runs() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR)
    cluster.settle()
    name = decide(cluster, "vera@bank.example", Action.REJECT, "scorer-r1", role="model-validator")
    cluster.run(60)
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)
    assert (cluster.phase("scorer-r1"), cluster.created) == ("RolledBack", {})
    assert "rejected by vera@bank.example as model-validator: because" in (cluster.status.message or "")


def test_a_release_takes_only_so_many_decisions() -> None:
    cluster = midway()
    revision = cluster.revisions["scorer-r2"]
    taken = [SeenDecision(name=f"d-{n}", uid=f"before-{n}", action=Action.PAUSE) for n in range(decisions.MOST)]
    full = revision.status.model_copy(update={"decisions": taken})
    cluster.revisions["scorer-r2"] = replace(revision, status=full)
    name = decide(cluster, "olga@bank.example", Action.PAUSE, "scorer-r2")
    cluster.run(10)
    assert answer(cluster, name) == ("False", reasons.TOO_MANY_DECISIONS)
    assert cluster.phase("scorer-r2") == "Progressing"


def test_a_person_may_promote_at_the_last_step_which_then_is_not_begun_again() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 60s", "100 600s")))
    while round(cluster.share("scorer-r2")) != 100:
        cluster.tick()
    cluster.oracle = lambda _e, _n: Verdict.INCONCLUSIVE
    cluster.run(30)
    name = decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.run(30)
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)
    assert cluster.phase("scorer-r2") == "Progressing", "the hold is not over"
    assert [record.weight for record in cluster.revisions["scorer-r2"].status.steps] == [10, 100]


def test_what_was_removed_cannot_be_returned_to_and_it_is_said_how_to_get_it_back() -> None:
    cluster = released("1", rollback_window=timedelta(seconds=30))
    cluster.ask(spec("2", rollback_window=timedelta(seconds=30)))
    cluster.run(900)
    assert "scorer-r1" not in cluster.created
    name = decide(cluster, "olga@bank.example", Action.ROLLBACK, "scorer-r1")
    cluster.run(10)
    assert answer(cluster, name) == ("False", reasons.NOT_POSSIBLE)
    assert cluster.answers[name].message.endswith("release its version again: spec.model.version: '1'")
    assert cluster.status.stable_revision == "scorer-r2"


def waived(cluster: Cluster, control: str, name: str) -> None:
    """Somebody made an exception for the first release."""
    model = cluster.revisions["scorer-r1"].spec.model
    made = GovernanceExceptionSpec.model_validate(
        {
            "control": control,
            "approver": {"username": "rita@bank.example"},
            "target": {"deployment": "scorer", "uid": "uid", "revision": "scorer-r1"},
            "subject": {"model": model.name, "version": model.version, "digest": model.digest},
            "reason": "named next week",
            "ticket": "EXC-17",
            "expiresAt": cluster.now + timedelta(days=30),
        }
    )
    waiver = Waiver(name, f"uid-{name}", cluster.now, made)
    cluster.oversight = replace(cluster.oversight, waivers=(*cluster.oversight.waivers, waiver))


def test_an_exception_that_lets_a_release_go_on_is_on_record_once_with_who_made_it() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, controls=[{"id": UNOWNED, "mode": "Enforce"}])
    cluster.settle()
    cluster.run(60)
    assert (cluster.created, cluster.condition("GovernanceSatisfied")[0]) == ({}, "False")
    assert UNOWNED in (cluster.status.message or "")
    waived(cluster, UNOWNED, "w-1")
    waived(cluster, "GOV-DOC-01", "of-a-control-that-nobody-asks")
    cluster.run(240)
    assert cluster.phase("scorer-r1") == "Promoted"
    told = [r for r in cluster.revisions["scorer-r1"].status.records if r.kind is RecordKind.WAIVED]
    assert [(r.actor, r.reason) for r in told] == [("rita@bank.example", UNOWNED)]
    assert told[0].message.endswith("named next week (EXC-17)")
    assert told[0].evidence[0].name == "exception/w-1"
    bound(cluster)


def test_a_release_does_not_begin_to_wait_for_people_while_a_rule_is_being_evaluated() -> None:
    rule = {"name": "no-friday", "title": "t", "rationale": "r", "message": "m", "expression": "true"}
    cluster = Cluster(spec("1", approval_deadline=timedelta(minutes=10)))
    govern(cluster, customRules=[rule])
    cluster.settle()
    cluster.run(1800, every=60)
    status = cluster.revisions["scorer-r1"].status
    assert (status.started_at, status.waiting_since, cluster.created) == (None, None, {})
    assert RecordKind.POLICY_EVALUATED not in kinds(cluster, "scorer-r1")


def test_an_answer_that_was_given_is_not_given_again() -> None:
    cluster = midway()
    name = decide(cluster, "olga@bank.example", Action.PAUSE, "scorer-r2")
    cluster.tick()
    before: Condition = cluster.answers[name]
    cluster.run(30)
    assert cluster.answers[name] is before


@pytest.mark.parametrize(("asked", "expected"), [("1", True), ("2", False)], ids=["what is released", "something else"])
def test_the_registry_is_asked_only_for_what_is_not_released(asked: str, expected: bool) -> None:
    cluster = released()
    cluster.spec = spec(asked)
    assert succession.settled(cluster.world()) is expected


def test_the_registry_is_asked_for_a_first_release() -> None:
    assert not succession.settled(Cluster(spec("1")).world())


def test_how_far_records_are_sealed_is_noted_and_never_taken_back() -> None:
    cluster = released()
    chain = cluster.revisions["scorer-r1"].status.records
    later, earlier = (Seal(sequence=r.sequence, hash=r.hash, sealed_at=cluster.now) for r in (chain[-1], chain[0]))
    for seal in (later, earlier):
        cluster.oversight = replace(cluster.oversight, seals={"scorer-r1": seal})
        cluster.run(10)
        assert cluster.revisions["scorer-r1"].status.seal == later


def test_an_approval_is_answered_once_it_is_known_who_developed_the_model() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR)
    cluster.registry_read = False
    cluster.settle()
    name = decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.run(30)
    assert (name in cluster.answers, cluster.created) == (False, {})
    cluster.registry_read = True
    cluster.run(30)
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)
    assert cluster.created


def test_a_promotion_is_answered_once_the_controls_are_decided() -> None:
    cluster = midway()
    govern(cluster, controls=[{"id": "GOV-DOC-02", "mode": "Warn"}])
    cluster.registry_read = False
    name = decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.run(10)
    assert name not in cluster.answers
    cluster.registry_read = True
    cluster.run(10)
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)


def test_while_the_registry_is_read_again_a_waiting_release_says_what_it_said_before() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR, controls=[{"id": "GOV-DOC-02", "mode": "Warn"}])
    cluster.settle()
    cluster.run(10)
    before = cluster.status.phase, cluster.status.message
    assert before[0] == "AwaitingApproval"
    cluster.registry_read = False
    cluster.run(10)
    assert (cluster.status.phase, cluster.status.message) == before


def test_an_edit_that_stays_is_put_on_record_once_and_each_that_goes_once() -> None:
    cluster = released()
    by_hand = "was changed by hand"
    route = HandEdit("HTTPRoute", "scorer", by_hand)
    model = HandEdit("InferenceService", "scorer-r1", by_hand, revision="scorer-r1")
    for found in ((route, model), (model,), ()):
        cluster.oversight = replace(cluster.oversight, hand_edits=found)
        cluster.run(10)
        assert cluster.revisions["scorer-r1"].status.hand_edits == [edit.text for edit in found]
    told = [r for r in cluster.revisions["scorer-r1"].status.records if r.kind in EDITED]
    assert [(r.kind, r.reason) for r in told] == [
        (RecordKind.HAND_EDITED, reasons.ROUTE_CORRECTED),
        (RecordKind.HAND_EDITED, reasons.WORKLOAD_CORRECTED),
        (RecordKind.CORRECTED, "SetRight"),
        (RecordKind.CORRECTED, "SetRight"),
    ]
