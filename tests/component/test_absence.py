"""A cluster without KServe and the Gateway API: said so, and carried on from when they are installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.cluster.controlplane import ControlPlane
from sluice.edges.kinds import MODEL_DEPLOYMENTS
from tests.component.conftest import install
from tests.component.kube import Api
from tests.component.platform import install_platform
from tests.component.rig import rig
from tests.component.test_operator import deployment

pytestmark = pytest.mark.component


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server with Sluice's CRDs only."""
    with ControlPlane(tmp_path_factory.mktemp("bare")) as running:
        yield running


async def test_what_is_absent_is_said_and_what_is_installed_later_is_used(
    bare: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig))
    api = Api(bare.kubeconfig)
    install(api)
    for name in ("late", "gateways"):
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    async with rig(bare, "late") as made, made.operating():
        await made.kube.apply(MODEL_DEPLOYMENTS, deployment(made, "1"))

        async def said() -> bool:
            status = (await made.get(MODEL_DEPLOYMENTS, "scorer")).get("status", {})
            return any(c["reason"] == "KServeNotInstalled" for c in status.get("conditions", []))

        await made.eventually("the absence of KServe is said", said)
        install_platform(api)
        async with made.gateway_controller():
            await made.ready("scorer-r1")
            await made.phase("scorer", "Healthy")
