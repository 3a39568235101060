"""What people get wrong in a spec, on a real API server: what is said, what helps, and that nobody's traffic moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hack.cluster.controlplane import ControlPlane
from sluice.api.modeldeployment import MAX_NAME
from sluice.core.objects import Object
from sluice.edges.kinds import (
    CLUSTER_MODEL_MONITORS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DEPLOYMENTS,
    MODEL_MONITORS,
    MODEL_REVISIONS,
    Kind,
)
from sluice.edges.kube import Invalid, Kube
from tests.component.kube import Api
from tests.component.rig import Rig, condition
from tests.component.rig import rig as make_rig
from tests.component.test_operator import deployment, released

pytestmark = pytest.mark.component


async def nothing_was_made(rig: Rig) -> None:
    """Neither a revision nor anything that could take or lose a request."""
    for kind in (MODEL_REVISIONS, INFERENCE_SERVICES, HTTP_ROUTES):
        assert await rig.kube.list(kind, rig.namespace) == [], kind.kind


async def names(rig: Rig) -> list[str]:
    """The revisions that there are."""
    return sorted(item["metadata"]["name"] for item in await rig.kube.list(MODEL_REVISIONS, rig.namespace))


# A monitor that does not exist


def gauged(rig: Rig, version: str, gauge: Kind = CLUSTER_MODEL_MONITORS, hold: str = "10m") -> Object:
    """A deployment that is judged by a monitor named after the test's namespace."""
    item = deployment(rig, version, steps=[{"weight": 50, "hold": hold}, {"weight": 100}])
    item["spec"]["monitors"] = [{"name": gauge_name(rig), "kind": gauge.kind}]
    return item


def gauge_name(rig: Rig) -> str:
    return f"gauge-of-{rig.namespace}"


@asynccontextmanager
async def created(kube: Kube, kind: Kind, item: Object) -> AsyncIterator[Object]:
    """An object that other tests would see, and so must not outlive the block."""
    made = await kube.apply(kind, item)
    try:
        yield made
    finally:
        await kube.delete(kind, made)


def monitor(rig: Rig, kind: Kind) -> Object:
    metadata = {"name": gauge_name(rig)} | ({"namespace": rig.namespace} if kind.namespaced else {})
    slo = {"bad": "sum(errors)", "total": "sum(requests)", "limits": {"max": "0.05"}}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": {"slo": slo}}


@pytest.mark.parametrize("kind", [CLUSTER_MODEL_MONITORS, MODEL_MONITORS], ids=lambda kind: kind.kind)
async def test_an_unknown_monitor_is_said_and_once_created_the_release_begins_by_itself(rig: Rig, kind: Kind) -> None:
    async with rig.operating(), rig.gateway_controller():
        await rig.kube.apply(MODEL_DEPLOYMENTS, gauged(rig, "1", kind, hold="1s"))
        status = await rig.says("Progressing", "MonitorNotFound")
        for told in ("Ready", "Promoted"):
            assert condition(status, told)["reason"] == "MonitorNotFound"
        message = condition(status, "Ready")["message"]
        assert f"spec.monitors names {kind.kind}/{gauge_name(rig)}, which does not exist" in message
        assert "create it or correct the name (`kubectl get mmon,cmmon` lists those there are)" in message
        assert (status["phase"], status["message"]) == ("Pending", f"{message}; nothing is served")
        await nothing_was_made(rig)

        async with created(rig.kube, kind, monitor(rig, kind)):
            await rig.ready("scorer-r1")
            await rig.phase("scorer", "Healthy")


async def test_a_changed_spec_with_an_unknown_monitor_leaves_the_stable_revision_all_its_traffic(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        async with rig.untouched():
            await rig.kube.apply(MODEL_DEPLOYMENTS, gauged(rig, "2"))
            status = await rig.says("Progressing", "MonitorNotFound")
        assert status["phase"] == "Degraded"
        assert "create it or correct the name (`kubectl get mmon,cmmon`" in status["message"]
        assert status["message"].endswith("; scorer-r1 serves all the traffic")
        assert condition(status, "Ready")["status"] == "True"
        assert status["traffic"] == [{"revision": "scorer-r1", "weight": 100}]
        assert await names(rig) == ["scorer-r1"]

        async with created(rig.kube, CLUSTER_MODEL_MONITORS, monitor(rig, CLUSTER_MODEL_MONITORS)):
            await rig.ready("scorer-r2")
            await rig.share("scorer-r2", 50)
            # Nothing was measured: the gauge is asked, and does not pass.
            await rig.says("MonitorsPassing", "GatesInconclusive")


async def test_a_spec_changed_in_mid_canary_to_an_unknown_monitor_leaves_the_shares_as_they_are(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        steps = [{"weight": 50, "hold": "3s"}, {"weight": 100}]
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "2", steps=steps))
        await rig.ready("scorer-r2")
        await rig.share("scorer-r2", 50)
        await rig.kube.apply(MODEL_DEPLOYMENTS, gauged(rig, "3"))
        status = await rig.says("Progressing", "MonitorNotFound")
        async with rig.untouched(4):  # longer than the candidate's hold
            assert status["message"].endswith("; scorer-r2 holds where it is")
        status = await rig.says("Progressing", "MonitorNotFound")
        assert condition(status, "Ready")["status"] == "True"
        assert {share["weight"] for share in status["traffic"]} == {50}
        assert await names(rig) == ["scorer-r1", "scorer-r2"]


# A Gateway that does not exist


def elsewhere(rig: Rig, version: str) -> Object:
    """A deployment at a Gateway that is named after the test's namespace."""
    item = deployment(rig, version)
    item["spec"]["traffic"]["gateway"]["name"] = gateway_name(rig)
    return item


def gateway_name(rig: Rig) -> str:
    return f"gateway-of-{rig.namespace}"


def gateway(rig: Rig) -> Object:
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    metadata = {"name": gateway_name(rig), "namespace": "gateways"}
    spec = {"gatewayClassName": "played", "listeners": listeners}
    return {"apiVersion": GATEWAYS.api_version, "kind": "Gateway", "metadata": metadata, "spec": spec}


async def programmed(rig: Rig, seen: Object) -> None:
    """Play the gateway controller: the Gateway has an address and a proxy."""
    said = {"type": "Programmed", "status": "True", "reason": "Programmed", "message": "", "observedGeneration": 1}
    said["lastTransitionTime"] = "2026-11-24T00:00:00Z"
    live = await rig.kube.get(GATEWAYS, "gateways", seen["metadata"]["name"])
    await rig.kube.apply_status(GATEWAYS, live, {"conditions": [said]})


async def test_a_missing_gateway_is_said_and_once_it_is_there_the_release_begins_by_itself(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await rig.kube.apply(MODEL_DEPLOYMENTS, elsewhere(rig, "1"))
        status = await rig.says("Ready", "GatewayNotFound")
        message = condition(status, "Ready")["message"]
        assert f"there is no Gateway gateways/{gateway_name(rig)}" in message
        assert "create it, or correct spec.traffic.gateway (`kubectl get gateways -A` lists those there are)" in message
        assert (status["phase"], status["message"]) == ("Pending", f"{message}; nothing is served")
        await nothing_was_made(rig)

        async with created(rig.kube, GATEWAYS, gateway(rig)) as made:
            status = await rig.says("Ready", "GatewayNotProgrammed")
            assert f"`kubectl describe gateway {gateway_name(rig)} -n gateways`" in status["message"]
            await nothing_was_made(rig)
            await programmed(rig, made)
            await rig.ready("scorer-r1")
            await rig.phase("scorer", "Healthy")


@pytest.mark.parametrize("version", ["1", "2"], ids=["the same model", "another model"])
async def test_a_spec_changed_to_a_missing_gateway_leaves_the_route_at_the_one_that_serves(
    rig: Rig, version: str
) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        async with rig.untouched():
            await rig.kube.apply(MODEL_DEPLOYMENTS, elsewhere(rig, version))
            status = await rig.says("Progressing", "GatewayNotFound")
        assert status["phase"] == "Degraded"
        assert "(`kubectl get gateways -A` lists those there are)" in status["message"]
        assert status["message"].endswith("scorer-r1 serves all the traffic")
        assert condition(status, "Ready")["status"] == "True"
        assert await names(rig) == ["scorer-r1"]

        async with created(rig.kube, GATEWAYS, gateway(rig)) as made:
            await programmed(rig, made)

            async def moved() -> bool:
                route = await rig.get(HTTP_ROUTES, "scorer")
                return bool(route["spec"]["parentRefs"][0]["name"] == gateway_name(rig))

            await rig.eventually("the route is at the other Gateway", moved)
            await rig.ready(f"scorer-r{version}")
            await rig.phase("scorer", "Healthy")


async def test_a_hostname_changed_to_one_that_another_has_leaves_the_route_at_its_own(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "1", name="older"))
        await released(rig)
        async with rig.untouched():
            greedy = deployment(rig, "1")
            greedy["spec"]["traffic"]["hostnames"] = [f"older.{rig.namespace}.example"]
            await rig.kube.apply(MODEL_DEPLOYMENTS, greedy)
            status = await rig.says("Progressing", "HostnameConflict")
        message = f"hostname older.{rig.namespace}.example belongs to ModelDeployment {rig.namespace}/older"
        assert status["message"].startswith(f"{message}, which is older; choose another in spec.traffic.hostnames")
        assert status["message"].endswith("scorer-r1 serves all the traffic")
        assert status["url"] == f"http://scorer.{rig.namespace}.example"
        assert condition(status, "Ready")["status"] == "True"


# A name that is too long for what is derived from it

NAMESPACE = "namespace-of-a-team-with-a-very-long-name-44"
"""Such that ``scorer-r1-predictor-<this>`` is one character longer than a label may be."""


@asynccontextmanager
async def in_namespace(api: Api, control_plane: ControlPlane, name: str) -> AsyncIterator[Rig]:
    """A rig in a namespace of a given name."""
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    async with make_rig(control_plane, name) as made:
        yield made


async def test_names_too_long_together_are_said_and_a_shorter_one_is_released(
    platform: Api, control_plane: ControlPlane
) -> None:
    async with in_namespace(platform, control_plane, NAMESPACE) as rig, rig.operating(), rig.gateway_controller():
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "1"))
        status = await rig.says("Ready", "NameTooLong")
        message = condition(status, "Ready")["message"]
        assert f"KServe would derive the host name scorer-r1-predictor-{NAMESPACE} from this deployment" in message
        assert "1 characters longer than DNS allows; choose a shorter name, or a namespace with one" in message
        assert (status["phase"], status["message"]) == ("Pending", f"{message}; nothing is served")
        await nothing_was_made(rig)

        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "1", name="score"))
        await rig.ready("score-r1")
        await rig.phase("score", "Healthy")


async def test_the_tenth_revision_of_a_name_that_held_nine_is_refused_and_the_ninth_serves_on(
    platform: Api, control_plane: ControlPlane
) -> None:
    async with in_namespace(platform, control_plane, NAMESPACE[1:]) as rig, rig.operating(), rig.gateway_controller():
        await released(rig)
        for number in range(2, 10):
            await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, str(number)))
            await rig.exists(MODEL_REVISIONS, f"scorer-r{number}")
        await rig.ready("scorer-r9")
        await rig.phase("scorer", "Healthy")
        await rig.share("scorer-r9", 100)
        async with rig.untouched():
            await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "10"))
            status = await rig.says("Progressing", "NameTooLong")
        assert f"the host name scorer-r10-predictor-{NAMESPACE[1:]}" in status["message"]
        assert status["message"].endswith("or a namespace with one; scorer-r9 serves all the traffic")
        assert status["phase"] == "Degraded"
        assert condition(status, "Ready")["status"] == "True"
        assert "scorer-r10" not in await names(rig)


async def test_the_longest_name_is_released_and_one_character_more_is_refused_at_admission(rig: Rig) -> None:
    longest = "a" * MAX_NAME
    async with rig.operating(), rig.gateway_controller():
        with pytest.raises(Invalid) as refused:
            await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "1", name=f"{longest}a"))
        assert "must be at most 40 characters, for the names of Services and labels derived" in str(refused.value)
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "1", name=longest))
        await rig.ready(f"{longest}-r1")
        await rig.phase(longest, "Healthy")
