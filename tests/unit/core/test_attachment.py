"""A Gateway or hostname edited at a deployment that serves: the route follows, but only to where it can be served."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.api.modeldeployment import GatewayReference, ModelDeploymentSpec, Traffic
from sluice.api.verdict import Verdict
from sluice.core import attachment, reasons
from sluice.core.draft import Draft
from sluice.core.world import Attachment, Environment
from tests.unit.core.simulation import Cluster, released, spec, steps

HERE = Attachment(("gateways", "models"), ("scorer.example",))
THERE = Attachment(("gateways", "other"), ("new.example",))

MISSING = Environment(gateway_exists=False)
OBSTACLES = [
    pytest.param(MISSING, reasons.GATEWAY_NOT_FOUND, "Degraded", id="no Gateway"),
    pytest.param(
        Environment(gateway_programmed=False), reasons.GATEWAY_NOT_PROGRAMMED, "Pending", id="Gateway not ready"
    ),
    pytest.param(
        Environment(hostname_conflicts=(("new.example", "bank/other"),)),
        reasons.HOSTNAME_CONFLICT,
        "Degraded",
        id="hostname taken",
    ),
]


def elsewhere(version: str = "1", **rollout: object) -> ModelDeploymentSpec:
    """The same deployment at another Gateway and hostname."""
    gateway = GatewayReference(name="other", namespace="gateways")
    return spec(version, **rollout).model_copy(update={"traffic": Traffic(gateway=gateway, hostnames=["new.example"])})


def in_mid_canary() -> Cluster:
    """Version 2 has 10 %, and its spec is at a Gateway that does not exist."""
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 60s", "100")))
    cluster.run(30)
    cluster.environment = MISSING
    cluster.ask(elsewhere("2", steps=steps("10 60s", "100")))
    assert cluster.share("scorer-r2") == pytest.approx(10)
    return cluster


def test_a_route_follows_the_spec_to_another_gateway_and_hostname() -> None:
    cluster = released()
    cluster.ask(elsewhere())
    cluster.run(10)
    assert cluster.attachment == THERE
    assert (cluster.status.phase, cluster.status.url) == ("Healthy", "http://new.example")


@pytest.mark.parametrize(("environment", "reason", "phase"), OBSTACLES)
def test_a_route_stays_where_it_is_until_it_can_be_served_where_the_spec_wants_it(
    environment: Environment, reason: str, phase: str
) -> None:
    cluster = released()
    cluster.environment = environment
    cluster.ask(elsewhere())
    cluster.run(60)
    assert cluster.attachment == HERE
    assert (cluster.status.phase, cluster.status.url) == (phase, "http://scorer.example")
    assert "; until then the route stays where it is: scorer-r1 serves all the traffic" in (
        cluster.status.message or ""
    )
    assert cluster.condition("Progressing")[1] == reason
    assert cluster.condition("Ready") == ("True", reasons.SERVING)
    assert cluster.condition("Promoted") == ("True", reasons.PROMOTED)
    cluster.environment = Environment()
    cluster.run(10)
    assert cluster.attachment == THERE
    assert cluster.status.phase == "Healthy"
    assert list(cluster.revisions) == ["scorer-r1"]


@pytest.mark.parametrize(("environment", "reason", "phase"), OBSTACLES)
def test_a_new_version_for_another_place_waits_and_the_route_stays_where_it_is(
    environment: Environment, reason: str, phase: str
) -> None:
    cluster = released()
    cluster.environment = environment
    cluster.ask(elsewhere("2"))
    cluster.run(60)
    assert cluster.attachment == HERE
    assert cluster.condition("Progressing")[1] == reason
    assert cluster.condition("Ready") == ("True", reasons.SERVING)
    assert cluster.status.phase == phase
    assert list(cluster.revisions) == ["scorer-r1"]


def test_a_release_goes_on_where_the_route_is() -> None:
    cluster = in_mid_canary()
    assert cluster.status.phase == "Progressing"
    assert cluster.condition("Progressing") == ("True", reasons.HOLDING)
    assert "there is no Gateway gateways/other" in (cluster.status.message or "")
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "Promoted"
    assert cluster.attachment == HERE
    assert cluster.condition("Progressing") == ("False", reasons.GATEWAY_NOT_FOUND)


def test_traffic_is_taken_back_where_the_route_is() -> None:
    cluster = in_mid_canary()
    cluster.oracle = lambda _e, _n: Verdict.FAIL
    cluster.tick()
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)
    assert cluster.attachment == HERE


def test_a_gateway_deleted_under_a_route_that_names_it_changes_nothing() -> None:
    cluster = released()
    cluster.environment = MISSING
    before = cluster.writes
    cluster.run(60)
    assert cluster.writes == before


def test_a_route_rewritten_by_hand_goes_to_where_the_spec_wants_it_whatever_is_there() -> None:
    cluster = released()
    cluster.attachment = None
    cluster.environment = MISSING
    assert attachment.wanted(cluster.world()) == HERE


def test_what_the_old_gateway_carries_out_does_not_count_once_the_route_moves() -> None:
    cluster = released()
    assert Draft(cluster.world(), cluster.now).routed
    moving = replace(cluster.world(), spec=elsewhere())
    assert not Draft(moving, cluster.now).routed


def test_a_step_begins_at_the_new_gateway_only_once_that_carries_it_out() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 60s", "100")))
    cluster.run(15)
    cluster.program_after = timedelta(seconds=30)
    cluster.ask(elsewhere("2", steps=steps("10 60s", "100")))
    cluster.run(20)
    assert cluster.attachment == THERE
    assert cluster.revisions["scorer-r2"].status.step_started_at() is None
    cluster.program_after = timedelta(seconds=1)
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "Promoted"
