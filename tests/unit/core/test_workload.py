"""What a revision's pods are doing, from the objects that KServe and Kubernetes make of its InferenceService."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core import reasons, workload
from sluice.core.objects import Object
from sluice.core.world import ABSENT, Workload, WorkloadState
from tests.unit.core.examples import container, pod

SERVICE: Object = {"metadata": {"name": "fraud-r2", "generation": 1}}


def deployment(
    *, generation: int = 1, observed: int = 1, updated: int = 0, available: int = 0, **status: Any
) -> Object:
    told = {"observedGeneration": observed, "updatedReplicas": updated, "availableReplicas": available}
    return {"metadata": {"generation": generation}, "status": told | status}


def read(*pods: Object, service: Object | None = SERVICE, of: Object | None = None, replicas: int = 1) -> Workload:
    return workload.read(service, [of] if of else [], pods, replicas=replicas)


def waiting(reason: str, message: str = "", **more: Any) -> Object:
    return container(state={"waiting": {"reason": reason, "message": message}}, **more)


def ended(code: int, message: str = "", *, reason: str = "Error", **more: Any) -> Object:
    """A container that ended and is about to be started again."""
    last = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=last, **more)


def initializer(message: str, *, restarts: int = 0) -> Object:
    """A pod whose model could not be fetched."""
    status = ended(1, message, name="storage-initializer", restartCount=restarts)
    return pod(waiting("PodInitializing"), initContainerStatuses=[status])


def test_no_inferenceservice_is_absent() -> None:
    assert read(service=None) == ABSENT


def test_one_on_its_way_out_is_absent_before_its_service_goes() -> None:
    leaving = {"metadata": {"name": "fraud-r2", "deletionTimestamp": "2026-11-24T12:00:00Z"}}
    found = read(service=leaving, of=deployment(updated=1, available=1))
    assert (found.state, found.reason) == (WorkloadState.ABSENT, "BeingDeleted")


@pytest.mark.parametrize(
    ("of", "replicas", "state"),
    [
        pytest.param(deployment(updated=1, available=1), 1, WorkloadState.READY, id="all-there"),
        pytest.param(deployment(updated=3, available=3), 2, WorkloadState.READY, id="more-than-needed"),
        pytest.param(deployment(updated=2, available=1), 2, WorkloadState.STARTING, id="one-not-available"),
        pytest.param(deployment(updated=1, available=2), 2, WorkloadState.STARTING, id="one-of-an-older-template"),
        pytest.param(
            deployment(generation=2, updated=1, available=1), 1, WorkloadState.STARTING, id="generation-not-observed"
        ),
        pytest.param({"metadata": {"generation": 1}}, 1, WorkloadState.STARTING, id="no-status-yet"),
    ],
)
def test_it_is_ready_when_enough_pods_of_the_present_template_are_available(
    of: Object, replicas: int, state: WorkloadState
) -> None:
    assert read(of=of, replicas=replicas).state is state


def test_the_inferenceservices_own_ready_is_not_believed() -> None:
    boasting = SERVICE | {"status": {"conditions": [{"type": "Ready", "status": "True"}], "observedGeneration": 1}}
    assert read(service=boasting, of=deployment()).state is WorkloadState.STARTING


def test_enough_available_pods_are_ready_even_beside_one_that_crashes() -> None:
    found = read(pod(ended(1, restartCount=7)), of=deployment(updated=2, available=2), replicas=2)
    assert (found.state, found.restarts) == (WorkloadState.READY, 7)


@pytest.mark.parametrize("available", [0, 1])
def test_it_says_how_many_pods_answer(available: int) -> None:
    assert read(of=deployment(updated=2, available=available), replicas=2).available == available


STARTING, FAILED = WorkloadState.STARTING, WorkloadState.FAILED
OOM = "container kserve-container used more memory than its limit allows; raise resources.limits.memory"


@pytest.mark.parametrize(
    ("what", "state", "reason", "message"),
    [
        pytest.param(
            pod(waiting("ImagePullBackOff", "Back-off pulling image")),
            FAILED,
            "ImagePullBackOff",
            "container kserve-container: Back-off pulling image",
            id="image-pull-back-off",
        ),
        pytest.param(
            pod(waiting("ErrImagePull", "not found")),
            STARTING,
            "ErrImagePull",
            "container kserve-container: not found",
            id="a-first-pull-may-yet-succeed",
        ),
        pytest.param(
            pod(waiting("InvalidImageName")),
            FAILED,
            "InvalidImageName",
            "container kserve-container: registry.example/server:1",
            id="image-name",
        ),
        pytest.param(
            pod(ended(1, "ValueError: no such column", restartCount=1)),
            STARTING,
            "CrashLoopBackOff",
            "container kserve-container ended with exit code 1 (Error): ValueError: no such column",
            id="one-crash-may-be-luck",
        ),
        pytest.param(
            pod(ended(1, "ValueError: no such column", restartCount=2)),
            FAILED,
            "CrashLoopBackOff",
            "container kserve-container ended with exit code 1 (Error): ValueError: no such column",
            id="two-restarts-are-not",
        ),
        pytest.param(
            pod(ended(0, reason="Completed", restartCount=2)),
            FAILED,
            "CrashLoopBackOff",
            "container kserve-container ended with exit code 0 (Completed)",
            id="a-server-that-just-ends",
        ),
        pytest.param(pod(ended(137, reason="OOMKilled", restartCount=2)), FAILED, "OOMKilled", OOM, id="memory"),
        pytest.param(pod(ended(137, reason="OOMKilled", restartCount=1)), STARTING, "OOMKilled", OOM, id="memory-once"),
        pytest.param(
            pod(container(state={"terminated": {"exitCode": 3, "reason": "Error"}})),
            STARTING,
            "Error",
            "container kserve-container ended with exit code 3 (Error)",
            id="just-ended",
        ),
        pytest.param(
            pod(waiting("CreateContainerConfigError", 'secret "s" not found')),
            STARTING,
            "CreateContainerConfigError",
            'container kserve-container: secret "s" not found',
            id="a-secret-can-still-be-made",
        ),
        pytest.param(
            initializer("DigestMismatch: the files have digest sha256:b, released was sha256:a"),
            FAILED,
            "DigestMismatch",
            "the files have digest sha256:b, released was sha256:a",
            id="other-files-than-were-released",
        ),
        pytest.param(
            initializer("ModelRegistryUnavailable: MLflow could not be asked", restarts=9),
            STARTING,
            "ModelRegistryUnavailable",
            "MLflow could not be asked",
            id="an-outage-of-the-registry-passes",
        ),
        pytest.param(
            initializer("ModelNotFound: version 7 is not in MLflow", restarts=2),
            FAILED,
            "ModelNotFound",
            "version 7 is not in MLflow",
            id="a-version-that-is-gone",
        ),
        pytest.param(
            initializer("ModelNotFound: version 7 is not in MLflow", restarts=1),
            STARTING,
            "ModelNotFound",
            "version 7 is not in MLflow",
            id="a-version-that-is-gone-once",
        ),
        pytest.param(
            initializer("Traceback (most recent call last):\nKeyError: 1", restarts=2),
            FAILED,
            "CrashLoopBackOff",
            "container storage-initializer ended with exit code 1 (Error): "
            "Traceback (most recent call last):\nKeyError: 1",
            id="another-initializers-words",
        ),
        pytest.param(
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes are available: 1 Insufficient cpu.",
                    }
                ]
            ),
            STARTING,
            "Unschedulable",
            "0/1 nodes are available: 1 Insufficient cpu.",
            id="no-room",
        ),
        pytest.param(
            pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            STARTING,
            "Evicted",
            "The node was low on resource: memory.",
            id="evicted",
        ),
    ],
)
def test_a_pod_says_what_is_wrong_and_whether_waiting_helps(
    what: Object, state: WorkloadState, reason: str, message: str
) -> None:
    found = read(what, of=deployment(updated=1))
    assert (found.state, found.reason, found.message) == (state, reason, message)


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(waiting("ContainerCreating"), id="creating"),
        pytest.param(waiting("PodInitializing"), id="initializing"),
        pytest.param(container(state={"running": {}}), id="running-but-not-ready"),
        pytest.param(
            container(state={"running": {}}, ready=True, restartCount=1, lastState={"terminated": {"exitCode": 1}}),
            id="ready-again-after-a-crash",
        ),
        pytest.param(
            container(name="storage-initializer", ready=True, state={"terminated": {"exitCode": 0}}), id="done"
        ),
    ],
)
def test_a_pod_on_its_way_is_no_trouble(status: Object) -> None:
    found = read(pod(status), of=deployment(updated=1, readyReplicas=0))
    assert (found.state, found.reason) == (STARTING, reasons.WORKLOAD_STARTING)
    assert found.message == "0 of 1 pods are ready"


def test_what_is_fatal_comes_before_what_may_pass() -> None:
    no_room = pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "no room"}])
    found = read(no_room, pod(waiting("ImagePullBackOff")), of=deployment(updated=2), replicas=2)
    assert (found.state, found.reason) == (FAILED, "ImagePullBackOff")


def test_pods_that_are_being_deleted_do_not_count() -> None:
    leaving = pod(ended(1, restartCount=9))
    leaving["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    found = read(leaving, of=deployment(updated=1))
    assert (found.state, found.restarts) == (STARTING, 0)


def test_restarts_are_summed_over_pods_and_their_containers() -> None:
    first = pod(container(restartCount=2), container("agent", restartCount=1))
    second = pod(container(restartCount=4), initContainerStatuses=[container("storage-initializer", restartCount=8)])
    assert read(first, second, of=deployment()).restarts == 15


def test_what_admission_refuses_is_said_in_its_own_words() -> None:
    refused = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "pods is forbidden: exceeded quota: models",
    }
    found = read(of=deployment(conditions=[refused]))
    assert (found.state, found.reason) == (STARTING, "FailedCreate")
    assert found.message == "no pod can be made: pods is forbidden: exceeded quota: models"


def test_a_refusal_that_is_over_is_not_repeated() -> None:
    over = {"type": "ReplicaFailure", "status": "False", "reason": "FailedCreate", "message": "exceeded quota"}
    assert read(of=deployment(conditions=[over])).reason == reasons.WORKLOAD_STARTING


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        pytest.param({}, "WorkloadStarting", "KServe has not created its Deployment yet", id="nothing-yet"),
        pytest.param(
            {"modelStatus": {"lastFailureInfo": {"reason": "NoSupportingRuntime", "message": "no runtime for x"}}},
            "NoSupportingRuntime",
            "KServe refuses the InferenceService: no runtime for x",
            id="no-runtime",
        ),
        pytest.param(
            {"conditions": [{"type": "PredictorReady", "status": "False", "message": "denied by webhook"}]},
            "WorkloadStarting",
            "denied by webhook",
            id="a-condition",
        ),
    ],
)
def test_without_a_deployment_kserve_is_quoted(status: Object, reason: str, message: str) -> None:
    found = read(service=SERVICE | {"status": status})
    assert (found.state, found.reason, found.message) == (STARTING, reason, message)


@pytest.mark.parametrize("length", [700, 701, 100_000])
def test_messages_leave_room_for_what_others_add(length: int) -> None:
    found = read(pod(waiting("ImagePullBackOff", "x" * length)), of=deployment())
    assert len(found.message) <= 700


def test_of_a_long_log_the_end_is_kept() -> None:
    log = "x" * 5_000 + "KeyError: 'amount'"
    found = read(pod(ended(1, log, restartCount=3)), of=deployment())
    assert found.message.endswith("KeyError: 'amount'")


LOADED = f"sha256:{'a' * 64}"


def answering(message: str = f"DigestVerified: {LOADED}", *, code: int = 0, **server: Any) -> Object:
    """A pod whose initializer ended with that message and whose server answers."""
    initialized = {"terminated": {"exitCode": code, "message": message}}
    status = container(name="storage-initializer", ready=code == 0, state=initialized)
    made = pod(container(ready=True, **server), initContainerStatuses=[status])
    made["status"]["conditions"].append({"type": "Ready", "status": "True"})
    return made


def starting() -> Object:
    """A pod that does not answer yet."""
    return pod(waiting("PodInitializing"), initContainerStatuses=[container(name="storage-initializer")])


@pytest.mark.parametrize(
    ("pods", "digest"),
    [
        pytest.param([answering()], LOADED, id="verified"),
        pytest.param([answering(f" DigestVerified: {LOADED}\n")], LOADED, id="with-white-space"),
        pytest.param([answering(), answering(), starting()], LOADED, id="all-that-answer"),
        pytest.param([], "", id="no-pods"),
        pytest.param([starting()], "", id="none-answers"),
        pytest.param([answering(), answering(f"DigestVerified: sha256:{'b' * 64}")], "", id="they-differ"),
        pytest.param([answering(), answering("")], "", id="one-does-not-say"),
        pytest.param([answering("DigestVerified: sha256:1")], "", id="no-digest"),
        pytest.param([answering(f"DigestVerified: {LOADED} or so")], "", id="more-than-a-digest"),
        pytest.param([answering(code=1)], "", id="ended-badly"),
        pytest.param(
            [pod(container(ready=True), conditions=[{"type": "Ready", "status": "True"}])], "", id="none-of-ours"
        ),
    ],
)
def test_the_loaded_digest_is_what_the_initializers_of_all_pods_that_answer_verified(
    pods: list[Object], digest: str
) -> None:
    assert read(*pods).loaded_digest == digest
    assert read(*pods, of=deployment(updated=1, available=1)).loaded_digest == digest


@pytest.mark.parametrize(
    ("pods", "image"),
    [
        pytest.param([answering()], "registry.example/server:1", id="as-asked-for"),
        pytest.param(
            [answering(image="sha256:abc", imageID="r.example/s@sha256:1")], "r.example/s@sha256:1", id="an-id"
        ),
        pytest.param([answering(), answering(image="r.example/other:2")], "", id="they-differ"),
        pytest.param([answering(name="queue-proxy")], "", id="another-container"),
        pytest.param([starting()], "", id="none-answers"),
    ],
)
def test_the_image_is_the_model_servers_in_all_pods_that_answer(pods: list[Object], image: str) -> None:
    assert read(*pods).image == image


def test_a_deleted_pod_says_nothing_of_what_is_loaded() -> None:
    leaving = answering()
    leaving["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:00Z"
    assert read(leaving).loaded_digest == ""
