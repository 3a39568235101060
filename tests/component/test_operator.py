"""The whole operator on a real API server: what it writes, what it puts right, and what it leaves alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sluice.core.objects import Object
from sluice.edges.kinds import EVENTS, HTTP_ROUTES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS, MODEL_REVISIONS
from sluice.edges.kube import Access, Kube, NotFound
from tests.component.rig import Rig

pytestmark = pytest.mark.component


def deployment(rig: Rig, version: str, name: str = "scorer", **rollout: Any) -> Object:
    plan = {"steps": [{"weight": 50, "hold": "1s"}, {"weight": 100}]} | rollout
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": rig.namespace},
        "spec": {
            "model": {"name": "scorer", "version": version},
            "serving": {"modelFormat": "sklearn"},
            "traffic": {
                "gateway": {"name": "models", "namespace": "gateways"},
                "hostnames": [f"{name}.{rig.namespace}.example"],
            },
            "rollout": plan,
        },
    }


async def released(rig: Rig, version: str = "1", **rollout: Any) -> None:
    await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, version, **rollout))
    await rig.ready("scorer-r1")
    await rig.phase("scorer", "Healthy")


async def reasons_told(rig: Rig) -> set[str]:
    return {event["reason"] for event in await rig.kube.list(EVENTS, rig.namespace)}


async def test_a_deployment_becomes_a_revision_an_inferenceservice_and_a_route(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        service = await rig.get(INFERENCE_SERVICES, "scorer-r1")
        route = await rig.get(HTTP_ROUTES, "scorer")
        revision = await rig.get(MODEL_REVISIONS, "scorer-r1")
    assert service["metadata"]["ownerReferences"][0]["uid"] == revision["metadata"]["uid"]
    assert service["spec"]["predictor"]["model"]["storageUri"].startswith("mlflow://scorer/1?digest=sha256:")
    assert [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]] == [999_999, 1]
    assert revision["status"]["phase"] == "Promoted"


async def test_a_second_version_is_promoted_and_the_first_is_kept_for_the_window(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "2"))
        await rig.ready("scorer-r2")

        async def promoted() -> bool:
            status = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]
            return bool(status.get("stableRevision") == "scorer-r2" and status["phase"] == "Healthy")

        await rig.eventually("r2 is stable", promoted)
        assert await rig.get(INFERENCE_SERVICES, "scorer-r1")
        told = await reasons_told(rig)
    assert {"RevisionCreated", "StepStarted", "RevisionPromoted"} <= told


async def test_a_killed_operator_is_carried_on_by_the_next(rig: Rig) -> None:
    async with rig.gateway_controller():
        async with rig.operating():
            await released(rig, steps=[{"weight": 50, "hold": "3s"}, {"weight": 100}])
            await rig.kube.apply(
                MODEL_DEPLOYMENTS, deployment(rig, "2", steps=[{"weight": 50, "hold": "3s"}, {"weight": 100}])
            )
            await rig.ready("scorer-r2")

            async def half() -> bool:
                status = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]
                return any(t["weight"] == 50 for t in status.get("traffic", []))

            await rig.eventually("half of the traffic", half)
        async with rig.operating():
            await rig.phase("scorer", "Healthy")
            status = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]
            assert status["stableRevision"] == "scorer-r2"


async def test_nothing_is_written_at_rest_even_by_a_fresh_process(rig: Rig) -> None:
    async def versions() -> dict[str, str]:
        return {
            f"{kind.kind}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for kind in (MODEL_DEPLOYMENTS, MODEL_REVISIONS, INFERENCE_SERVICES, HTTP_ROUTES)
            for item in await rig.kube.list(kind, rig.namespace)
        }

    async with rig.gateway_controller():
        async with rig.operating():
            await released(rig)
            await asyncio.sleep(1.5)
            before = await versions()
            await asyncio.sleep(2)
            assert await versions() == before
        async with rig.operating():
            await asyncio.sleep(3)
            assert await versions() == before


async def test_a_route_edited_by_hand_is_set_right_and_said(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        await asyncio.sleep(1)
        route = await rig.get(HTTP_ROUTES, "scorer")
        await rig.kube.merge_patch(HTTP_ROUTES, route, {"spec": {"hostnames": ["elsewhere.example"]}})

        async def mended() -> bool:
            live = await rig.get(HTTP_ROUTES, "scorer")
            return bool(live["spec"]["hostnames"] == [f"scorer.{rig.namespace}.example"])

        await rig.eventually("the route is ours again", mended)

        async def said() -> bool:
            return "RouteCorrected" in await reasons_told(rig)

        await rig.eventually("it is said", said)


async def test_an_inferenceservice_with_a_field_added_by_hand_loses_it_again(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        await asyncio.sleep(1)
        service = await rig.get(INFERENCE_SERVICES, "scorer-r1")
        added = {"spec": {"predictor": {"nodeSelector": {"gpu": "yes"}, "minReplicas": 7}}}
        someone = await Kube.connect(Access(manager="kubectl-edit"))
        try:
            await someone.merge_patch(INFERENCE_SERVICES, service, added)
        finally:
            await someone.close()

        async def mended() -> bool:
            live = await rig.get(INFERENCE_SERVICES, "scorer-r1")
            predictor = live["spec"]["predictor"]
            return "nodeSelector" not in predictor and predictor["minReplicas"] == 1

        await rig.eventually("the InferenceService is ours again", mended)

        async def recorded() -> bool:
            status = (await rig.get(MODEL_REVISIONS, "scorer-r1"))["status"]
            told = [(r["kind"], r["message"]) for r in status["records"] if r["kind"] in ("HandEdited", "Corrected")]
            what = "InferenceService scorer-r1 was changed by hand by kubectl-edit (spec.predictor."
            return [kind for kind, _ in told] == ["HandEdited", "Corrected"] and what in told[0][1]

        await rig.eventually("it is on record, with who did it, until it is set right", recorded)


async def test_a_deployment_deleted_in_mid_canary_is_let_go(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        await rig.kube.apply(
            MODEL_DEPLOYMENTS, deployment(rig, "2", steps=[{"weight": 50, "hold": "10m"}, {"weight": 100}])
        )
        await rig.ready("scorer-r2")
        await rig.phase("scorer", "Progressing")
        await rig.kube.delete(MODEL_DEPLOYMENTS, await rig.get(MODEL_DEPLOYMENTS, "scorer"))
        await asyncio.sleep(1)
        with pytest.raises(NotFound):
            await rig.get(MODEL_DEPLOYMENTS, "scorer")
        # Everything else is owned, down to the last object, so that Kubernetes' garbage collector takes it.
        for kind in (MODEL_REVISIONS, HTTP_ROUTES, INFERENCE_SERVICES):
            for item in await rig.kube.list(kind, rig.namespace):
                assert item["metadata"]["ownerReferences"], item["metadata"]["name"]


async def test_an_unknown_version_is_said_and_the_stable_revision_is_not_touched(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        await asyncio.sleep(1)
        before = await rig.get(HTTP_ROUTES, "scorer")
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "99"))
        await rig.phase("scorer", "Degraded")
        status = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]
        after = await rig.get(HTTP_ROUTES, "scorer")
    conditions = {c["type"]: c for c in status["conditions"]}
    assert conditions["ModelResolved"]["reason"] == "ModelNotFound"
    assert "version 99" in conditions["ModelResolved"]["message"]
    assert conditions["Ready"]["status"] == "True"
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_the_younger_of_two_deployments_with_one_hostname_is_refused(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        await asyncio.sleep(1)
        second = deployment(rig, "1", name="second")
        second["spec"]["traffic"]["hostnames"] = [f"scorer.{rig.namespace}.example"]
        await rig.kube.apply(MODEL_DEPLOYMENTS, second)

        async def refused() -> bool:
            status = (await rig.get(MODEL_DEPLOYMENTS, "second")).get("status", {})
            return any(c["reason"] == "HostnameConflict" for c in status.get("conditions", []))

        await rig.eventually("the second is refused", refused)
        with pytest.raises(NotFound):
            await rig.get(HTTP_ROUTES, "second")
