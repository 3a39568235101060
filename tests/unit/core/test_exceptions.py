"""Exceptions and approvals in time: answered, put on record, and ended when they end, not at the next look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.modeldecision import Action
from sluice.api.record import Record, RecordKind
from sluice.core import reasons
from sluice.core.decide import decide as core_decide
from sluice.core.governance.facts import Waiver
from tests.unit.core.people import answer, decide, govern
from tests.unit.core.simulation import Cluster, released, resolved, spec
from tests.unit.core.test_records import sound

VALIDATED = {"controls": [{"id": "GOV-VAL-02"}]}
HOUR = timedelta(hours=1)


def waive(cluster: Cluster, lasts: timedelta = HOUR, who: str = "wendy@bank.example", **given: Any) -> str:
    """Somebody waives the age of version 1's validation."""
    model = resolved("1").model
    values: dict[str, Any] = {
        "control": "GOV-VAL-02",
        "approver": {"username": who},
        "target": {"deployment": "scorer", "uid": "uid", "revision": "scorer-r1"},
        "subject": {"model": model.name, "version": model.version, "digest": model.digest},
        "reason": "it is being validated",
        "ticket": "CHG-9",
        "expiresAt": cluster.now + lasts,
    }
    name = f"waiver-{len(cluster.oversight.waivers)}"
    made = Waiver(name, f"uid-of-{name}", cluster.now, GovernanceExceptionSpec.model_validate(values | given))
    cluster.oversight = replace(cluster.oversight, waivers=(*cluster.oversight.waivers, made))
    return name


def waived(cluster: Cluster, revision: str = "scorer-r1") -> list[Record]:
    return [r for r in cluster.revisions[revision].status.records if r.kind is RecordKind.WAIVED]


def blocked() -> Cluster:
    """Version 1, held because nobody validated it."""
    cluster = Cluster(spec("1"))
    govern(cluster, **VALIDATED)
    cluster.settle()
    cluster.run(60)
    assert cluster.created == {}
    return cluster


def woken_in(cluster: Cluster) -> timedelta | None:
    """When the operator would look again by itself."""
    return core_decide(cluster.world(), cluster.now).requeue_after


def test_an_exception_that_is_in_force_is_told_so_and_lets_the_release_go_on() -> None:
    cluster = blocked()
    name = waive(cluster)
    cluster.run(120)
    assert cluster.status.phase == "Healthy"
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)
    assert cluster.answers[name].message == "it is in force for scorer-r1 until 2026-11-24T13:01:00Z"
    (begun,) = waived(cluster)
    assert (begun.actor, begun.reason) == ("wendy@bank.example", "GOV-VAL-02")
    sound(cluster)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param({"who": "dev@bank.example"}, reasons.NOT_INDEPENDENT, id="by-the-developer"),
        pytest.param({"who": "dana@bank.example"}, reasons.NOT_INDEPENDENT, id="by-the-requester"),
        pytest.param({"control": "GOV-APP-01"}, reasons.NOT_WAIVABLE, id="an-approval"),
        pytest.param({"lasts": timedelta(days=91)}, reasons.LASTS_TOO_LONG, id="too-long"),
        pytest.param({"lasts": timedelta(0)}, reasons.DECISION_EXPIRED, id="expired"),
        pytest.param({"reason": " "}, reasons.NOT_JUSTIFIED, id="no-reason"),
        pytest.param(
            {"target": {"deployment": "scorer", "uid": "another", "revision": "scorer-r1"}},
            reasons.OTHER_TARGET,
            id="an-earlier-deployment",
        ),
        pytest.param(
            {"subject": {"model": "scorer", "version": "1", "digest": "sha256:" + "9" * 64}},
            reasons.OTHER_MODEL,
            id="other-files",
        ),
    ],
)
def test_an_exception_that_waives_nothing_is_told_why(given: dict[str, Any], reason: str) -> None:
    cluster = blocked()
    name = waive(cluster, **given)
    cluster.run(60)
    assert answer(cluster, name) == ("False", reason)
    assert cluster.created == {}
    assert waived(cluster) == []


def test_what_nothing_proves_is_not_in_force() -> None:
    cluster = blocked()
    cluster.oversight = replace(cluster.oversight, guards=())
    name = waive(cluster)
    cluster.run(60)
    assert answer(cluster, name) == ("False", reasons.NOT_GUARDED)


def test_where_nothing_governs_there_is_nothing_to_waive() -> None:
    cluster = released()
    name = waive(cluster)
    cluster.tick()
    assert answer(cluster, name) == ("False", reasons.NOT_REQUIRED)


@pytest.mark.no_cover
def test_an_exception_ends_in_time_on_record_and_for_whoever_made_it() -> None:
    cluster = blocked()
    name = waive(cluster)
    ends = cluster.now + HOUR
    cluster.run(1200)
    assert woken_in(cluster) == ends - cluster.now
    writes = cluster.writes
    cluster.run((ends - cluster.now).total_seconds() - 5)
    assert (cluster.writes, answer(cluster, name)[0]) == (writes, "True")
    cluster.tick(5)
    assert answer(cluster, name) == ("False", reasons.DECISION_EXPIRED)
    assert cluster.answers[name].last_transition_time == ends
    _begun, ended = waived(cluster)
    assert (ended.time, ended.actor, ended.reason) == (ends, "sluice", reasons.DECISION_EXPIRED)
    assert ended.message.startswith("GOV-VAL-02 is waived no longer by waiver-0: it expired at")
    assert cluster.condition("GovernanceSatisfied")[0] == "False"
    assert cluster.status.phase == "Healthy"  # what serves is left alone
    writes = cluster.writes
    cluster.run(600)
    assert cluster.writes == writes
    sound(cluster)


def test_an_exception_that_is_deleted_ends_and_one_made_anew_begins() -> None:
    cluster = blocked()
    waive(cluster)
    cluster.run(120)
    cluster.oversight = replace(cluster.oversight, waivers=())
    cluster.run(60)
    again = waive(cluster, who="olga@bank.example")
    cluster.run(60)
    assert [record.reason for record in waived(cluster)] == ["GOV-VAL-02", reasons.EXCEPTION_DELETED, "GOV-VAL-02"]
    assert answer(cluster, again)[0] == "True"
    sound(cluster)


def test_an_exception_that_comes_back_into_force_is_on_record_again() -> None:
    cluster = blocked()
    name = waive(cluster)
    cluster.run(120)
    guards = cluster.oversight.guards
    cluster.oversight = replace(cluster.oversight, guards=())
    cluster.run(30)
    assert answer(cluster, name) == ("False", reasons.NOT_GUARDED)
    cluster.oversight = replace(cluster.oversight, guards=guards)
    cluster.run(30)
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)
    assert [record.reason for record in waived(cluster)] == ["GOV-VAL-02", reasons.NOT_GUARDED, "GOV-VAL-02"]
    assert len(cluster.revisions["scorer-r1"].status.decisions) == 1


def test_while_the_registry_is_being_read_nobody_is_told_otherwise() -> None:
    """As after a restart: what is known of developers comes a moment later."""
    cluster = blocked()
    name = waive(cluster)
    cluster.run(120)
    world = cluster.world()
    unread = replace(world, oversight=replace(world.oversight, evidence={}))
    plan = core_decide(unread, cluster.now)
    assert (plan.answers, plan.statuses) == ((), ())
    assert answer(cluster, name)[0] == "True"


@pytest.mark.no_cover
def test_an_approval_that_expires_freezes_then_and_not_at_the_next_look() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, {"role": "model-validator"}, controls=[{"id": "GOV-APP-03"}])
    cluster.settle()
    ends = cluster.now + HOUR
    given = {"role": "model-validator", "expiresAt": ends}
    approval = decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", **given)
    cluster.run(120)
    assert cluster.status.phase == "Healthy"
    cluster.run(1200)
    assert woken_in(cluster) == ends - cluster.now
    cluster.run((ends - cluster.now).total_seconds())
    assert answer(cluster, approval) == ("False", "Expired")
    expired = [r for r in cluster.revisions["scorer-r1"].status.records if r.kind is RecordKind.EXPIRED]
    assert [record.time for record in expired] == [ends]
    cluster.ask(spec("2"))
    assert cluster.condition("GovernanceSatisfied") == ("False", reasons.FROZEN)


def test_the_shortest_validity_of_a_policy_is_what_wakes() -> None:
    cluster = Cluster(spec("1"))
    govern(cluster, {"role": "model-validator", "validFor": "30m"})
    cluster.settle()
    given_at = cluster.now
    decide(cluster, "vera@bank.example", Action.APPROVE, "scorer-r1", role="model-validator")
    cluster.run(600)
    assert woken_in(cluster) == given_at + timedelta(minutes=30) - cluster.now
