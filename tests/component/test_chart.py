"""The rights that the chart gives suffice: an operator that has no others releases, corrects and rolls back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from hack.cluster.controlplane import ControlPlane
from sluice.core.objects import Object
from sluice.edges.kinds import HTTP_ROUTES, MODEL_DEPLOYMENTS, MODEL_MONITORS, Kind
from sluice.edges.kube import Forbidden, Kube
from sluice.edges.lease import Lease
from tests.chart.helm import NAMESPACE, RELEASE, ROOT, program
from tests.component.examples import deployment as admitted
from tests.component.governance.acts import decision, evidence
from tests.component.governance.guarded import eventually
from tests.component.kube import Api, Refused
from tests.component.rig import Rig
from tests.component.test_operator import deployment, reasons_told, released

pytestmark = pytest.mark.component

ACCOUNT = "sluice-operator"
SECRETS = Kind("v1", "secrets", "Secret")


@pytest.fixture
def limited_to(platform: Api, control_plane: ControlPlane, namespace: str) -> Iterator[str]:
    """The chart is installed, with its guards, for the test's namespace only, and taken away: the guards would be in
    the way of tests whose operator is the administrator."""
    values = {"operator": {"watchNamespaces": [namespace, "gateways"]}}
    with suppress(Refused):  # it is there already
        platform.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    command = [program(), "upgrade", "--install", RELEASE, str(ROOT), f"--namespace={NAMESPACE}", "--values=-"]
    environment = os.environ | {"KUBECONFIG": str(control_plane.kubeconfig)}
    done = subprocess.run(
        command, input=json.dumps(values), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    yield namespace
    subprocess.run([program(), "uninstall", RELEASE, f"--namespace={NAMESPACE}"], env=environment, check=True)
    eventually("the guards are forgotten", lambda: _unguarded(platform))


def _unguarded(platform: Api) -> bool:
    """Whether the API server admits again what the guards refuse: it goes on asking each of them for a while."""
    try:
        platform.create(admitted("default"), dryRun="All")
        platform.create(evidence("default"), dryRun="All")
        platform.create(decision("default", "Pause", "another"), dryRun="All")
    except Refused:
        return False
    return True


@pytest.fixture
async def operator_account(
    limited_to: str, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Kube]:
    """A connection as the operator's ServiceAccount, for our own client and for kopf."""
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"]
    kubeconfig = control_plane.user_kubeconfig(f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}", groups)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    kube = await Kube.connect()
    yield kube
    await kube.close()


async def test_the_rights_of_the_chart_suffice_for_a_release_and_a_correction(rig: Rig, operator_account: Kube) -> None:
    limited = replace(rig, kube=operator_account)
    await rig.kube.apply(MODEL_MONITORS, _monitor(rig.namespace))
    async with limited.operating(), rig.gateway_controller():
        await released(rig)
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "2", rollbackWindow="1s", revisionHistoryLimit=1))
        await rig.ready("scorer-r2")

        async def replaced() -> bool:
            status = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]
            return bool(status.get("stableRevision") == "scorer-r2" and status["phase"] == "Healthy")

        await rig.eventually("r2 is stable", replaced)
        route = await rig.get(HTTP_ROUTES, "scorer")
        await rig.kube.merge_patch(HTTP_ROUTES, route, {"spec": {"hostnames": ["mine.example"]}})

        async def corrected() -> bool:
            return bool((await rig.get(HTTP_ROUTES, "scorer"))["spec"]["hostnames"] != ["mine.example"])

        await rig.eventually("the route is set right", corrected)

        async def tried() -> bool:
            return bool((await rig.get(MODEL_MONITORS, "level")).get("status", {}).get("conditions"))

        await rig.eventually("the monitor was tried", tried)
        assert {"RevisionCreated", "RevisionPromoted", "RouteCorrected"} <= await reasons_told(rig)


async def test_the_rights_of_the_chart_suffice_for_the_lease_and_no_other(operator_account: Kube) -> None:
    async def work() -> None:
        return

    for name, holder in (("sluice-operator", "first"), ("sluice-operator", "second")):
        await Lease(operator_account, namespace=NAMESPACE, name=name, identity=holder).lead(work)
    with pytest.raises(Forbidden):
        await operator_account.get(Kind("coordination.k8s.io/v1", "leases", "Lease"), NAMESPACE, "another")


async def test_secrets_and_other_namespaces_are_closed(operator_account: Kube, limited_to: str) -> None:
    for kind, where in ((SECRETS, limited_to), (SECRETS, NAMESPACE), (HTTP_ROUTES, "kube-system")):
        with pytest.raises(Forbidden):
            await operator_account.list(kind, where)


def _monitor(namespace: str) -> Object:
    level = {"total": "vector(1)", "bad": "vector(0)", "limits": {"max": "0.1"}}
    metadata = {"name": "level", "namespace": namespace}
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelMonitor", "metadata": metadata, "spec": {"slo": level}}
