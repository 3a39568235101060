"""What people ask of a release, told as scenarios against the simulated cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.api.modeldecision import Action
from sluice.api.modeldeployment import OnDeadline
from sluice.api.record import RecordKind
from sluice.api.verdict import Verdict
from sluice.core import reasons
from tests.unit.core.crashes import crashes
from tests.unit.core.people import answer, decide, govern
from tests.unit.core.simulation import STARTING, Cluster, passing, released, spec, steps
from tests.unit.core.test_records import bound, kinds, sound

VALIDATOR = {"role": "model-validator"}
OWNER = {"role": "model-owner"}


def midway(**rollout: object) -> Cluster:
    """Version 2 at 10 % of the traffic."""
    cluster = released("1", **rollout)
    cluster.ask(spec("2", **rollout))
    while round(cluster.share("scorer-r2")) != 10:
        cluster.tick()
    cluster.tick()
    return cluster


def test_a_governed_release_runs_nothing_before_it_is_approved_and_goes_on_by_itself_after() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR)
    cluster.settle()
    cluster.run(3600, every=60)
    assert cluster.created == {}
    assert cluster.status.phase == "AwaitingApproval"
    assert cluster.condition("GovernanceSatisfied") == ("False", reasons.AWAITING_APPROVAL)
    assert "kubectl sluice approve scorer --role model-validator" in (cluster.status.message or "")
    name = decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.run(120)
    assert cluster.status.phase == "Healthy"
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)
    assert kinds(cluster, "scorer-r1")[:2] == [RecordKind.CREATED, RecordKind.POLICY_EVALUATED]
    sound(cluster)


def told_of_governance(cluster: Cluster) -> list[tuple[str, str]]:
    """Type and reason of the events in which governance holds a release, or lets it go."""
    about = (reasons.GOVERNANCE_BLOCKED, reasons.GOVERNANCE_SATISFIED, reasons.FROZEN)
    return [(str(event.type), event.reason) for event in cluster.events if event.reason in about]


def test_it_is_told_once_that_governance_holds_a_release_and_once_that_it_does_no_more() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR)
    cluster.settle()
    cluster.run(3600, every=60)
    assert told_of_governance(cluster) == [("Normal", reasons.GOVERNANCE_BLOCKED)]
    held = next(event for event in cluster.events if event.reason == reasons.GOVERNANCE_BLOCKED)
    assert "scorer-r1 is held by approval:model-validator: waiting for the approval of 1 person" in held.message
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.run(3600, every=60)
    assert told_of_governance(cluster)[1:] == [("Normal", reasons.GOVERNANCE_SATISFIED)]


def test_a_freeze_is_told_once_as_a_warning() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR, controls=[{"id": "GOV-APP-03"}])
    cluster.settle()
    given = {"role": "model-validator", "expiresAt": cluster.now + timedelta(hours=1)}
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", **given)
    cluster.run(120)
    cluster.run(7200, every=60)
    cluster.ask(spec("2"))
    cluster.run(600, every=60)
    assert [told for told in told_of_governance(cluster) if told[0] == "Warning"] == [("Warning", reasons.FROZEN)]
    told = next(event.message for event in cluster.events if event.reason == reasons.FROZEN)
    assert "scorer-r1, which serves on, has lost an approval; nothing new is released: GOV-APP-03" in told


def test_what_governance_never_held_is_nothing_to_tell() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster)
    cluster.settle()
    cluster.run(120)
    assert cluster.status.phase == "Healthy"
    assert told_of_governance(cluster) == []


def test_waiting_for_people_does_not_use_up_the_deadline() -> None:
    plan = {"steps": steps("10 60s", "100"), "progress_deadline": timedelta(minutes=5)}
    cluster = Cluster(spec("1", **plan))
    govern(cluster, VALIDATOR)
    cluster.settle()
    cluster.run(7200, every=60)
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.run(120)
    assert cluster.phase("scorer-r1") == "Promoted"


def test_a_release_that_nobody_approves_ends() -> None:
    cluster = Cluster(spec("1", approval_deadline=timedelta(hours=2)))
    govern(cluster, VALIDATOR)
    cluster.settle()
    cluster.run(7300, every=60)
    assert cluster.phase("scorer-r1") == "RolledBack"
    assert cluster.revisions["scorer-r1"].status.reason == reasons.APPROVAL_TIMED_OUT


@pytest.mark.parametrize(
    ("who", "given", "reason"),
    [
        pytest.param("dana@bank.example", {}, "SelfApproval", id="by-the-requester"),
        pytest.param("system:serviceaccount:ci:bot", {}, reasons.NOT_A_PERSON, id="by-a-robot"),
        pytest.param("vera@bank.example", {"policyDigest": "sha256:" + "0" * 64}, "OtherPolicies", id="other-policies"),
        pytest.param(
            "vera@bank.example",
            {"subject": {"model": "scorer", "version": "1", "digest": "sha256:" + "9" * 64}},
            reasons.OTHER_MODEL,
            id="other-files",
        ),
        pytest.param(
            "vera@bank.example",
            {"target": {"deployment": "scorer", "uid": "another", "revision": "scorer-r1"}},
            reasons.OTHER_TARGET,
            id="an-earlier-deployment-of-this-name",
        ),
        pytest.param(
            "vera@bank.example", {"expiresAt": "2026-11-24T12:00:01Z"}, reasons.DECISION_EXPIRED, id="expired"
        ),
        pytest.param("vera@bank.example", {"role": "model-reader"}, "RoleMismatch", id="a-role-nobody-asks-for"),
    ],
)
def test_an_approval_that_does_not_count_is_answered_with_why(who: str, given: dict[str, object], reason: str) -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR)
    cluster.settle()
    cluster.tick()
    name = decide(cluster, who, Action.APPROVE, "scorer-r1", **({"role": "model-validator"} | given))
    cluster.run(60)
    assert answer(cluster, name) == ("False", reason)
    assert cluster.answers[name].message
    assert cluster.created == {}
    assert cluster.status.phase == "AwaitingApproval"
    bound(cluster)


def test_two_roles_need_two_people() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR, OWNER)
    cluster.settle()
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-owner")
    cluster.run(60)
    assert cluster.status.phase == "AwaitingApproval"
    decide(cluster, "otto@bank.example", Action.APPROVE, "scorer-r1", role="model-owner")
    cluster.run(120)
    assert cluster.status.phase == "Healthy"


def test_a_revoked_approval_holds_a_release_that_has_begun_where_it_is() -> None:
    cluster = released()
    govern(cluster, VALIDATOR)
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.ask(spec("2"))
    approval = decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r2", role="model-validator")
    while round(cluster.share("scorer-r2")) != 10:
        cluster.tick()
    decide(cluster, "olga@bank.example", Action.REVOKE, "scorer-r2", role="model-validator", revokes=approval)
    cluster.run(600)
    assert cluster.share("scorer-r2") == pytest.approx(10, abs=0.001)
    assert answer(cluster, approval)[0] == "False"
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r2", role="model-validator")
    cluster.run(600)
    assert cluster.phase("scorer-r2") == "Promoted"
    sound(cluster)


def test_a_rejected_release_ends_and_the_traffic_stays_where_it_was() -> None:
    cluster = midway(steps=steps("10 60s", "100"))
    govern(cluster, VALIDATOR)
    decide(cluster, "vera@bank.example", Action.REJECT, "scorer-r2", role="model-validator")
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert cluster.revisions["scorer-r2"].status.reason == reasons.REJECTED
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)


def test_an_approval_step_waits_for_its_role_while_the_gates_go_on() -> None:
    plan = [*steps("10 60s"), *approval_steps(), *steps("50 60s", "100")]
    cluster = released()
    govern_nothing(cluster)
    cluster.ask(spec("2", steps=plan))
    cluster.run(900)
    assert cluster.share("scorer-r2") == pytest.approx(10, abs=0.001)
    assert cluster.status.phase == "AwaitingApproval"
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r2", role="model-validator")
    cluster.run(300)
    assert cluster.phase("scorer-r2") == "Promoted"
    assert [record.weight for record in cluster.revisions["scorer-r2"].status.steps] == [10, 10, 50, 100]


def test_a_gate_that_fails_while_people_think_takes_the_traffic_back() -> None:
    plan = [*steps("10 60s"), *approval_steps(), *steps("100")]
    cluster = released()
    govern_nothing(cluster)
    cluster.ask(spec("2", steps=plan))
    cluster.run(300)
    cluster.oracle = lambda _e, _n: Verdict.FAIL
    cluster.run(30)
    assert cluster.phase("scorer-r2") == "RolledBack"


def approval_steps() -> list[object]:
    return [type(steps("100")[0]).model_validate({"approval": {"role": "model-validator"}})]


def govern_nothing(cluster: Cluster) -> None:
    """No policy, but admission is guarded: what an approval step needs."""
    govern(cluster, {"role": "nobody"})
    cluster.oversight = replace(cluster.oversight, policies=())


def test_a_paused_release_stands_still_past_its_deadline_and_goes_on_when_resumed() -> None:
    cluster = midway()
    decide(cluster, "olga@bank.example", Action.PAUSE, "scorer-r2")
    cluster.run(7200, every=30)
    assert cluster.phase("scorer-r2") == "Paused"
    assert cluster.share("scorer-r2") == pytest.approx(10, abs=0.001)
    assert cluster.status.phase == "Paused"
    decide(cluster, "olga@bank.example", Action.RESUME, "scorer-r2")
    cluster.run(600)
    assert cluster.phase("scorer-r2") == "Promoted"
    told = kinds(cluster, "scorer-r2")
    assert told.count(RecordKind.PAUSED) == told.count(RecordKind.RESUMED) == 1
    sound(cluster)


def test_a_paused_release_that_fails_a_gate_is_rolled_back() -> None:
    cluster = midway()
    decide(cluster, "olga@bank.example", Action.PAUSE, "scorer-r2")
    cluster.tick()
    cluster.oracle = lambda _e, _n: Verdict.FAIL
    cluster.run(30)
    assert cluster.phase("scorer-r2") == "RolledBack"


def test_a_release_paused_by_its_deadline_gets_as_long_again_when_a_person_resumes_it() -> None:
    plan = {"on_deadline": OnDeadline.PAUSE, "progress_deadline": timedelta(minutes=10)}
    cluster = midway(**plan)
    cluster.oracle = lambda _e, _n: Verdict.INCONCLUSIVE
    cluster.run(900)
    assert cluster.revisions["scorer-r2"].status.reason == reasons.DEADLINE_PAUSED
    decide(cluster, "olga@bank.example", Action.RESUME, "scorer-r2")
    cluster.oracle = passing
    cluster.run(400)
    assert cluster.phase("scorer-r2") == "Promoted"


def test_an_abort_takes_the_traffic_back_and_names_who() -> None:
    cluster = midway()
    name = decide(cluster, "olga@bank.example", Action.ABORT, "scorer-r2")
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)
    assert "olga@bank.example" in (cluster.revisions["scorer-r2"].status.message or "")
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)
    sound(cluster)


def test_what_was_aborted_is_released_again_on_retry_and_only_once() -> None:
    cluster = midway()
    decide(cluster, "olga@bank.example", Action.ABORT, "scorer-r2")
    cluster.run(60)
    name = decide(cluster, "olga@bank.example", Action.RETRY, "scorer-r2")
    cluster.run(900)
    assert answer(cluster, name)[0] == "True"
    assert sorted(cluster.revisions) == ["scorer-r1", "scorer-r2", "scorer-r3"]
    assert cluster.phase("scorer-r3") == "Promoted"
    assert cluster.revisions["scorer-r3"].spec.identity == cluster.revisions["scorer-r2"].spec.identity
    sound(cluster)


def test_a_promotion_by_a_person_passes_gates_that_cannot_tell() -> None:
    cluster = midway()
    cluster.oracle = lambda _e, _n: Verdict.INCONCLUSIVE
    cluster.run(60)
    decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "Promoted"
    assert cluster.share("scorer-r2") == pytest.approx(100, abs=0.001)
    ended = next(r for r in cluster.revisions["scorer-r2"].status.records if r.kind is RecordKind.PROMOTED)
    assert "past its gates" in ended.message  # not that every gate passed


def test_a_promotion_by_a_person_does_not_pass_a_gate_that_fails() -> None:
    cluster = midway()
    cluster.oracle = lambda _e, _n: Verdict.FAIL
    cluster.now += timedelta(seconds=5)
    cluster.evaluate()
    name = decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.settle()
    assert answer(cluster, name) == ("False", reasons.NOT_POSSIBLE)
    assert cluster.phase("scorer-r2") == "RolledBack"


def test_a_promotion_by_a_person_does_not_pass_a_missing_approval() -> None:
    cluster = released()
    govern(cluster, VALIDATOR, {"role": "model-owner", "before": "Promotion"})
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.ask(spec("2"))
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r2", role="model-validator")
    while round(cluster.share("scorer-r2")) != 10:
        cluster.tick()
    cluster.tick()
    name = decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.run(30)
    assert answer(cluster, name) == ("False", reasons.APPROVALS_MISSING)
    assert cluster.share("scorer-r2") == pytest.approx(10, abs=0.001)


def test_a_person_returns_to_an_earlier_revision_that_still_runs_without_any_approval() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(600)
    assert cluster.status.stable_revision == "scorer-r2"
    govern(cluster, VALIDATOR)
    name = decide(cluster, "olga@bank.example", Action.ROLLBACK, "scorer-r1")
    cluster.run(30)
    assert answer(cluster, name)[0] == "True"
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)
    assert cluster.status.stable_revision == "scorer-r1"
    assert cluster.status.phase == "Degraded"
    assert "the spec asks for version 2" in (cluster.status.message or "")
    cluster.run(300)
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)
    sound(cluster)


def test_a_reason_as_long_as_it_may_be_is_cut_and_holds_nothing_up() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(300)
    cluster.broken["scorer-r1"] = STARTING
    decide(cluster, "olga@bank.example", Action.ROLLBACK, "scorer-r1", reason="x" * 1024)
    cluster.run(30)
    assert len(cluster.revisions["scorer-r1"].status.message or "") == 1024
    del cluster.broken["scorer-r1"]
    cluster.run(30)
    assert cluster.status.stable_revision == "scorer-r1"


@pytest.mark.parametrize(
    ("action", "revision", "given"),
    [
        pytest.param(Action.PAUSE, "scorer-r1", {}, id="pause-what-is-promoted"),
        pytest.param(Action.RESUME, "scorer-r1", {}, id="resume-what-is-not-paused"),
        pytest.param(Action.PROMOTE, "scorer-r1", {}, id="promote-what-is-promoted"),
        pytest.param(Action.ABORT, "scorer-r1", {}, id="abort-what-has-ended"),
        pytest.param(Action.RETRY, "scorer-r1", {}, id="retry-what-did-not-fail"),
        pytest.param(Action.ROLLBACK, "scorer-r1", {}, id="return-to-what-serves"),
    ],
)
def test_what_cannot_be_done_is_answered_and_changes_nothing(action: Action, revision: str, given: object) -> None:
    cluster = released()
    before = cluster.route
    name = decide(cluster, "olga@bank.example", action, revision)
    cluster.run(60)
    assert answer(cluster, name) == ("False", reasons.NOT_POSSIBLE)
    assert cluster.answers[name].message
    assert cluster.route == before
    assert cluster.status.phase == "Healthy"


def test_a_change_of_policy_asks_for_the_approval_again() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, VALIDATOR, {"role": "model-owner"})
    cluster.settle()
    name = decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.run(30)
    assert answer(cluster, name)[0] == "True"
    govern(cluster, VALIDATOR)
    cluster.run(30)
    assert answer(cluster, name) == ("False", "OtherPolicies")
    assert cluster.created == {}
    sound(cluster)


def people_story(cluster: Cluster) -> None:
    govern(cluster, VALIDATOR)
    cluster.settle()
    cluster.run(20)
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.run(120)
    cluster.ask(spec("2", steps=steps("10 20s", "50 20s", "100")))
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r2", role="model-validator")
    cluster.run(40)
    decide(cluster, "olga@bank.example", Action.PAUSE, "scorer-r2")
    cluster.run(20)
    decide(cluster, "olga@bank.example", Action.RESUME, "scorer-r2")
    cluster.run(20)
    decide(cluster, "olga@bank.example", Action.ABORT, "scorer-r2")
    cluster.run(60)
    decide(cluster, "olga@bank.example", Action.RETRY, "scorer-r2")
    cluster.run(10)
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r3", role="model-validator")
    cluster.run(200)
    decide(cluster, "olga@bank.example", Action.ROLLBACK, "scorer-r1")
    cluster.run(60)


@pytest.mark.no_cover
def test_a_crash_after_any_single_write_loses_and_repeats_no_decision() -> None:
    undisturbed, ends = crashes(lambda: Cluster(spec("1", steps=steps("10 20s", "50 20s", "100"))), people_story)
    assert undisturbed.status.stable_revision == "scorer-r1"
    assert undisturbed.phase("scorer-r3") == "Promoted"
    bound(undisturbed)
    for end in ends:
        phases = {name: revision.phase for name, revision in end.cluster.revisions.items()}
        assert phases == {name: revision.phase for name, revision in undisturbed.revisions.items()}
        answers = {name: condition.status for name, condition in end.cluster.answers.items()}
        assert answers == {name: condition.status for name, condition in undisturbed.answers.items()}
        for name in undisturbed.revisions:
            crashed = f"after a crash behind write {end.after}"
            assert kinds(end.cluster, name) == kinds(undisturbed, name), crashed
        bound(end.cluster)
