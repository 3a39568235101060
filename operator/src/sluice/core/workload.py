"""Workload: what a revision's pods are doing, judged from the child objects of its InferenceService.

Never from the InferenceService's own ``Ready`` or ``observedGeneration``: in Standard mode the one says Ready
while a rollout is under way, and the other is copied from the Deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sluice.core import reasons
from sluice.core.objects import Object
from sluice.core.world import ABSENT, Workload, WorkloadState

_IMAGE = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CRASHES = 2
"""A container that ended this often while starting is not going to start by being waited for."""


@dataclass(frozen=True)
class _Trouble:
    """Something wrong with a container; ``fatal`` if waiting will not help."""

    reason: str
    message: str
    fatal: bool


def read(service: Object | None, deployments: Iterable[Object], pods: Iterable[Object], *, replicas: int) -> Workload:
    """The state of one revision's workload. ``replicas`` is the number of pods it must have."""
    if service is None:
        return ABSENT
    present = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    restarts = sum(status.get("restartCount", 0) for pod in present for status in _statuses(pod))
    trouble = next((t for pod in present for t in _troubles(pod) if t.fatal), None)
    deployment = next(iter(deployments), None)
    if deployment is not None and _available(deployment, replicas):
        return Workload(WorkloadState.READY, restarts=restarts)
    if trouble is not None:
        return Workload(WorkloadState.FAILED, trouble.reason, trouble.message, restarts)
    waiting = next((t for pod in present for t in _troubles(pod)), None)
    if waiting is not None:
        return Workload(WorkloadState.STARTING, waiting.reason, waiting.message, restarts)
    if deployment is None:
        message = _refusal(service) or "KServe has not created its Deployment yet"
        return Workload(WorkloadState.STARTING, reasons.WORKLOAD_STARTING, message, restarts)
    failure = _condition(deployment, "ReplicaFailure")
    if failure is not None and failure["status"] == "True":
        return Workload(WorkloadState.STARTING, failure.get("reason", ""), failure.get("message", ""), restarts)
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    return Workload(
        WorkloadState.STARTING, reasons.WORKLOAD_STARTING, f"{ready} of {replicas} pods are ready", restarts
    )


def _available(deployment: Object, replicas: int) -> bool:
    status = deployment.get("status", {})
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
        and min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0)) >= replicas
    )


def _condition(item: Object, kind: str) -> Object | None:
    found: Iterator[Object] = (c for c in item.get("status", {}).get("conditions", []) if c.get("type") == kind)
    return next(found, None)


def _refusal(service: Object) -> str:
    ready = _condition(service, "PredictorReady") or {}
    return str(ready.get("message", ""))


def _statuses(pod: Object) -> Iterator[Object]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def _troubles(pod: Object) -> Iterator[_Trouble]:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and scheduled["status"] == "False":
        yield _Trouble(scheduled.get("reason", "Unschedulable"), scheduled.get("message", ""), fatal=False)
    for status in _statuses(pod):
        trouble = _container(status)
        if trouble is not None:
            yield trouble


def _container(status: Object) -> _Trouble | None:
    name, restarts = status["name"], status.get("restartCount", 0)
    waiting = status.get("state", {}).get("waiting") or {}
    ended = status.get("lastState", {}).get("terminated") or status.get("state", {}).get("terminated") or {}
    if waiting.get("reason") in _IMAGE:
        message = f"container {name}: {waiting.get('message') or status.get('image', '')}"
        return _Trouble(waiting["reason"], message, fatal=waiting["reason"] != "ErrImagePull")
    if not ended or ended.get("exitCode") == 0:
        return None
    said = (ended.get("message") or "").strip()
    if said.startswith("DigestMismatch"):
        return _Trouble("DigestMismatch", said, fatal=True)
    crashing = waiting.get("reason") == "CrashLoopBackOff"
    reason = "CrashLoopBackOff" if crashing else ended.get("reason", "Error")
    message = f"container {name} ended with exit code {ended.get('exitCode')} ({ended.get('reason', '')})"
    return _Trouble(reason, f"{message}: {said[-600:]}" if said else message, fatal=crashing and restarts >= _CRASHES)
