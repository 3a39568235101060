"""Workload: what a revision's pods are doing, judged from the child objects of its InferenceService.

Never from the InferenceService's own ``Ready`` or ``observedGeneration``: in Standard mode the one says Ready
while a rollout is under way, and the other is copied from the Deployment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sluice.core import reasons
from sluice.core.objects import Object
from sluice.core.world import ABSENT, Workload, WorkloadState

_NO_IMAGE = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CRASH_LOOP = "CrashLoopBackOff"
_CRASHES = 2
"""A container that ended this often while starting is not going to start by being waited for."""
_ON_ITS_WAY = {"", "ContainerCreating", "PodInitializing"}
_INITIALIZER = "storage-initializer"
"""The container that KServe puts before the model server to fetch the model; ours says why it refused."""
_SERVER = "kserve-container"
"""The container of the model server."""
_VERIFIED = re.compile(r"DigestVerified: (sha256:[0-9a-f]{64})")
"""What our initializer leaves when the files are those that were pinned; see sluice.storage.__main__."""
_REFUSAL = re.compile(r"([A-Z][A-Za-z]+): (.+)", re.DOTALL)
_LONGEST = 700
"""Characters of a message: others add to it, and a verdict holds 1024."""


@dataclass(frozen=True)
class _Trouble:
    """Something wrong with a pod; ``fatal`` if waiting will not help."""

    reason: str
    message: str
    fatal: bool = False


def read(service: Object | None, deployments: Iterable[Object], pods: Iterable[Object], *, replicas: int) -> Workload:
    """The state of one revision's workload.

    Args:
        service: its InferenceService.
        deployments: those that KServe made for it; in Standard mode one, or none yet.
        pods: those of the Deployment.
        replicas: the number of pods that must answer.
    """
    if service is None:
        return ABSENT
    if "deletionTimestamp" in service["metadata"]:
        return Workload(WorkloadState.ABSENT, "BeingDeleted", "its InferenceService is being deleted")
    present = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    restarts = sum(status.get("restartCount", 0) for pod in present for status in _statuses(pod))
    deployment = next(iter(deployments), None)
    available = (deployment or {}).get("status", {}).get("availableReplicas", 0)
    answering = [pod for pod in present if (_condition(pod, "Ready") or {}).get("status") == "True"]
    seen = Workload(
        WorkloadState.READY,
        restarts=restarts,
        available=available,
        loaded_digest=_common(_loaded(pod) for pod in answering),
        image=_common(_image(pod) for pod in answering),
    )
    if deployment is not None and _complete(deployment, replicas):
        return seen
    troubles = [trouble for pod in present for trouble in _troubles(pod)]
    fatal = next((trouble for trouble in troubles if trouble.fatal), None)
    if fatal is not None:
        return replace(seen, state=WorkloadState.FAILED, reason=fatal.reason, message=_clip(fatal.message))
    why = troubles[0] if troubles else _not_ready(service, deployment, replicas)
    return replace(seen, state=WorkloadState.STARTING, reason=why.reason, message=_clip(why.message))


def _common(values: Iterable[str]) -> str:
    """What all of them are; empty if they differ or there are none."""
    found = set(values)
    return found.pop() if len(found) == 1 else ""


def _loaded(pod: Object) -> str:
    """The digest that the initializer of a pod verified before the model server could start."""
    for status in pod["status"].get("initContainerStatuses", []):
        ended = status.get("state", {}).get("terminated") or {}
        if status["name"] == _INITIALIZER and ended.get("exitCode") == 0:
            verified = _VERIFIED.fullmatch((ended.get("message") or "").strip())
            return verified.group(1) if verified else ""
    return ""


def _image(pod: Object) -> str:
    """The model server's image as it was asked for; container engines sometimes tell only its id."""
    of_all: list[Object] = pod["status"].get("containerStatuses", [])
    status: Object = next((status for status in of_all if status["name"] == _SERVER), {})
    image = str(status.get("image", ""))
    return image if image and not image.startswith("sha256:") else str(status.get("imageID", ""))


def _complete(deployment: Object, replicas: int) -> bool:
    status = deployment.get("status", {})
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
        and min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0)) >= replicas
    )


def _not_ready(service: Object, deployment: Object | None, replicas: int) -> _Trouble:
    """Why there are not enough pods, where the pods themselves do not say it."""
    if deployment is None:
        return _refusal(service)
    failure = _condition(deployment, "ReplicaFailure")
    if failure is not None and failure["status"] == "True":
        # A quota, a policy or an admission webhook: its own words are the best that can be said.
        return _Trouble(failure.get("reason", "FailedCreate"), f"no pod can be made: {failure.get('message', '')}")
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    return _Trouble(reasons.WORKLOAD_STARTING, f"{ready} of {replicas} pods are ready")


def _refusal(service: Object) -> _Trouble:
    """What KServe says of an InferenceService that it makes no Deployment for, such as NoSupportingRuntime."""
    info = service.get("status", {}).get("modelStatus", {}).get("lastFailureInfo") or {}
    if info.get("reason"):
        return _Trouble(info["reason"], f"KServe refuses the InferenceService: {info.get('message', '')}")
    said = (_condition(service, "PredictorReady") or {}).get("message")
    return _Trouble(reasons.WORKLOAD_STARTING, said or "KServe has not created its Deployment yet")


def _condition(item: Object, kind: str) -> Object | None:
    found: Iterator[Object] = (c for c in item.get("status", {}).get("conditions", []) if c.get("type") == kind)
    return next(found, None)


def _statuses(pod: Object) -> Iterator[Object]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def _troubles(pod: Object) -> Iterator[_Trouble]:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and scheduled["status"] == "False":
        yield _Trouble(scheduled.get("reason", "Unschedulable"), scheduled.get("message", ""))
    if pod.get("status", {}).get("phase") == "Failed":
        status = pod["status"]  # evicted, for example; its Deployment makes another
        yield _Trouble(status.get("reason", "PodFailed"), status.get("message", "a pod failed as a whole"))
    for status in _statuses(pod):
        trouble = _trouble(status)
        if trouble is not None:
            yield trouble


def _trouble(status: Object) -> _Trouble | None:
    """What is wrong with one container, if anything."""
    if status.get("ready"):
        return None  # how it ended before that is history
    state = status.get("state", {})
    waiting = state.get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in _NO_IMAGE:
        said = waiting.get("message") or status.get("image", "")
        # ErrImagePull is a first attempt; it becomes ImagePullBackOff when a second one failed too.
        return _Trouble(reason, f"container {status['name']}: {said}", fatal=reason != "ErrImagePull")
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
    if ended and (ended.get("exitCode") != 0 or reason == _CRASH_LOOP):
        looping = reason == _CRASH_LOOP and status.get("restartCount", 0) >= _CRASHES
        return _ended(status["name"], ended, _CRASH_LOOP if reason == _CRASH_LOOP else "", looping=looping)
    if reason not in _ON_ITS_WAY:  # CreateContainerConfigError: a Secret that can still be made
        return _Trouble(reason, f"container {status['name']}: {waiting.get('message', '')}")
    return None


def _ended(name: str, ended: Object, word: str, *, looping: bool) -> _Trouble:
    said = (ended.get("message") or "").strip()
    refusal = _REFUSAL.fullmatch(said) if name == _INITIALIZER else None
    if refusal is not None:
        reason, text = refusal.groups()
        # Other files than were released will not become the right ones; a registry that is away comes back.
        fatal = reason == reasons.DIGEST_MISMATCH or (looping and reason != reasons.MODEL_REGISTRY_UNAVAILABLE)
        return _Trouble(reason, text, fatal=fatal)
    why = ended.get("reason", "Error")
    if why == "OOMKilled":
        message = f"container {name} used more memory than its limit allows; raise resources.limits.memory"
        return _Trouble(why, message, fatal=looping)
    message = f"container {name} ended with exit code {ended.get('exitCode')} ({why})"
    # The last lines of a log tell more than the first.
    return _Trouble(word or why, f"{message}: {said[-500:]}" if said else message, fatal=looping)


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
