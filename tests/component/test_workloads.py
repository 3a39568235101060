"""Workloads that cannot run, with the operator on a real API server: each ends its release at once, in its own words.

The kubelet is played: that pods come to say this is tested on the whole cluster, in ``tests/e2e/test_trouble.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.objects import Object
from sluice.edges.kinds import MODEL_DEPLOYMENTS, MODEL_REVISIONS
from tests.component.rig import Rig, condition
from tests.component.test_operator import deployment, released

pytestmark = pytest.mark.component

IMAGE = "registry.example/nobody/has-this:1"
PINNED = f"sha256:{'a' * 64}"


def status(name: str, state: Object, **more: Any) -> Object:
    """The status of a container that is not ready."""
    told = {"name": name, "image": IMAGE, "imageID": "", "ready": False, "restartCount": 0, "state": state}
    return told | more


def ended(message: str) -> Object:
    return {"terminated": {"exitCode": 1, "reason": "Error", "message": message}}


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


NO_IMAGE = {
    "containerStatuses": [status("kserve-container", waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'))]
}
CRASHING = {
    "containerStatuses": [
        status(
            "kserve-container",
            waiting("CrashLoopBackOff", "back-off 20s restarting failed container"),
            lastState=ended("the model in /mnt/models cannot be loaded: UnpicklingError('invalid load key')"),
            restartCount=2,
        )
    ]
}
ALTERED = {
    "initContainerStatuses": [
        status("storage-initializer", ended(f"DigestMismatch: the files of scorer 2 are not {PINNED}"))
    ],
    "containerStatuses": [status("kserve-container", waiting("PodInitializing"))],
}


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        pytest.param(NO_IMAGE, ("ImagePullBackOff", IMAGE), id="an image that cannot be pulled"),
        pytest.param(CRASHING, ("CrashLoopBackOff", "invalid load key"), id="a model that crashes on load"),
        pytest.param(ALTERED, ("DigestMismatch", PINNED), id="files that were altered since"),
    ],
)
async def test_a_workload_that_cannot_run_ends_its_release_and_the_stable_one_keeps_the_traffic(
    rig: Rig, pod: Object, said: tuple[str, ...]
) -> None:
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "2"))
        await rig.pod("scorer-r2", **pod)
        told = await rig.says("Promoted", "WorkloadUnhealthy")
        for words in said:
            assert words in condition(told, "Promoted")["message"]
        assert told["phase"] == "Degraded"
        assert condition(told, "Ready")["status"] == "True"
        assert told["traffic"] == [{"revision": "scorer-r1", "weight": 100}]
        ended_revision = (await rig.get(MODEL_REVISIONS, "scorer-r2"))["status"]
        assert (ended_revision["phase"], ended_revision.get("lane")) == ("RolledBack", None)


async def test_a_first_image_that_cannot_be_pulled_yet_is_waited_for(rig: Rig) -> None:
    first = {"containerStatuses": [status("kserve-container", waiting("ErrImagePull", "dial tcp: timeout"))]}
    async with rig.operating(), rig.gateway_controller():
        await released(rig)
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "2"))
        await rig.pod("scorer-r2", **first)
        told = await rig.says("Progressing", "ErrImagePull")
        assert "dial tcp: timeout" in condition(told, "Progressing")["message"]
        await rig.ready("scorer-r2")
        await rig.share("scorer-r2", 50)
