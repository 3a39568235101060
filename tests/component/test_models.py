"""What MLflow says of a model, or says no longer, with the operator on a real API server.

That MLflow's own answers become these is tested on a real MLflow, in ``storage/test_registry.py``.
"""

from __future__ import annotations

import pytest

from sluice.core import reasons
from sluice.core.objects import Object
from sluice.core.world import Unresolved
from sluice.edges.kinds import HTTP_ROUTES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS, MODEL_REVISIONS
from tests.component.rig import PlayedRegistry, Rig, condition
from tests.component.test_operator import deployment, released

pytestmark = pytest.mark.component

UNKNOWN = Unresolved(reasons.MODEL_NOT_FOUND, "there is no registered model nobody in MLflow")
GONE = Unresolved(reasons.MODEL_ARTIFACT_MISSING, "the files of version 2 of model nobody are not in its store")
REFUSALS = pytest.mark.parametrize("refusal", [UNKNOWN, GONE], ids=["an unknown model", "files that are gone"])


def of_nobody(rig: Rig) -> Object:
    """A deployment of a model that MLflow cannot give."""
    item = deployment(rig, "2")
    item["spec"]["model"]["name"] = "nobody"
    return item


def by_alias(rig: Rig, alias: str, hold: str) -> Object:
    """A deployment of whatever an alias points at when it is first seen."""
    item = deployment(rig, "1", steps=[{"weight": 50, "hold": hold}, {"weight": 100}])
    item["spec"]["model"] = {"name": "scorer", "alias": alias}
    return item


@REFUSALS
async def test_a_model_that_cannot_be_had_is_said_and_nothing_is_made_for_it(rig: Rig, refusal: Unresolved) -> None:
    registry = PlayedRegistry()
    registry.refused["nobody"] = refusal
    async with rig.operating(registry), rig.gateway_controller():
        await rig.kube.apply(MODEL_DEPLOYMENTS, of_nobody(rig))
        status = await rig.says("ModelResolved", refusal.reason)
        assert condition(status, "ModelResolved")["message"] == refusal.message
        assert (status["phase"], condition(status, "Ready")["status"]) == ("Pending", "False")
        assert refusal.message in status["message"]
        for kind in (MODEL_REVISIONS, INFERENCE_SERVICES, HTTP_ROUTES):
            assert await rig.kube.list(kind, rig.namespace) == [], kind.kind


@REFUSALS
async def test_a_spec_changed_to_such_a_model_leaves_the_stable_revision_all_its_traffic(
    rig: Rig, refusal: Unresolved
) -> None:
    registry = PlayedRegistry()
    registry.refused["nobody"] = refusal
    async with rig.operating(registry), rig.gateway_controller():
        await released(rig)
        async with rig.untouched():
            await rig.kube.apply(MODEL_DEPLOYMENTS, of_nobody(rig))
            status = await rig.says("ModelResolved", refusal.reason)
        assert status["phase"] == "Degraded"
        assert status["message"].endswith("scorer-r1 serves all the traffic")
        assert condition(status, "Ready")["status"] == "True"


async def test_an_alias_that_moves_in_mid_canary_moves_nobodys_traffic_and_is_said(rig: Rig) -> None:
    registry = PlayedRegistry()
    registry.aliases["challenger"] = "2"
    async with rig.operating(registry, resync=1), rig.gateway_controller():
        await released(rig)
        await rig.kube.apply(MODEL_DEPLOYMENTS, by_alias(rig, "challenger", hold="12s"))
        await rig.ready("scorer-r2")
        await rig.share("scorer-r2", 50)
        async with rig.untouched(2):
            registry.aliases["challenger"] = "3"
            status = await rig.says("ModelResolved", "AliasMoved")
        assert condition(status, "ModelResolved")["message"] == (
            "alias challenger now points at version 3; scorer-r2 stays at version 2, to which it was pinned. "
            "To release the other, state it: spec.model.version: '3'"
        )
        assert (status["phase"], status["candidateRevision"]) == ("Progressing", "scorer-r2")

        await rig.phase("scorer", "Healthy")  # the release goes on to its end, with what it began
        status = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]
        assert status["stableRevision"] == "scorer-r2"
        assert condition(status, "ModelResolved")["reason"] == "AliasMoved"
        pinned = (await rig.get(MODEL_REVISIONS, "scorer-r2"))["spec"]["model"]
        assert (pinned["version"], pinned["alias"]) == ("2", "challenger")
        assert len(await rig.kube.list(MODEL_REVISIONS, rig.namespace)) == 2


async def test_an_operator_that_starts_after_the_alias_moved_goes_on_with_what_was_pinned(rig: Rig) -> None:
    registry = PlayedRegistry()
    registry.aliases["challenger"] = "2"
    async with rig.gateway_controller():
        async with rig.operating(registry):
            await released(rig)
            await rig.kube.apply(MODEL_DEPLOYMENTS, by_alias(rig, "challenger", hold="8s"))
            await rig.ready("scorer-r2")
            await rig.share("scorer-r2", 50)
        registry.aliases["challenger"] = "3"
        async with rig.operating(registry, resync=1):
            await rig.says("ModelResolved", "AliasMoved")
            await rig.phase("scorer", "Healthy")
            assert (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]["stableRevision"] == "scorer-r2"
            assert len(await rig.kube.list(MODEL_REVISIONS, rig.namespace)) == 2
