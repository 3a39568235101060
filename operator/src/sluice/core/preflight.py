"""Preflight: why a release cannot begin. The first problem found is the one that is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sluice.api.base import format_duration
from sluice.api.modeldeployment import MonitorMode
from sluice.core import reasons
from sluice.core.steps import planned
from sluice.core.world import Resolved, Resolving, World


@dataclass(frozen=True)
class Problem:
    """Why nothing can start, and what a person can do about it."""

    reason: str
    message: str
    transient: bool = False
    """It may pass by itself, such as an outage, and is no fault of the spec."""


def problem(world: World) -> Problem | None:
    """The first thing that keeps this spec from being released, or None."""
    return next(problems(world), None)


def problems(world: World) -> Iterator[Problem]:
    """Everything that keeps this spec from being released, what others depend on first."""
    yield from _cluster(world)
    yield from entrance(world)
    yield from _name(world)
    yield from _plan(world)
    yield from _modes(world)
    yield from _model(world)


def _cluster(world: World) -> Iterator[Problem]:
    if not world.environment.kserve:
        yield Problem(
            reasons.KSERVE_NOT_INSTALLED,
            "this cluster has no InferenceService API; install KServe (Standard mode), "
            "then Sluice carries on by itself",
        )
    if not world.environment.gateway_api:
        yield Problem(
            reasons.GATEWAY_API_NOT_INSTALLED,
            "this cluster has no HTTPRoute API; install the Gateway API CRDs and a controller such as Envoy Gateway",
        )


def entrance(world: World) -> Iterator[Problem]:
    """What keeps requests from coming in where the spec says."""
    environment, gateway = world.environment, world.spec.traffic.gateway
    where = f"{gateway.namespace}/{gateway.name}"
    if not environment.gateway_exists:
        yield Problem(
            reasons.GATEWAY_NOT_FOUND,
            f"there is no Gateway {where}; create it, or correct spec.traffic.gateway "
            "(`kubectl get gateways -A` lists those there are)",
        )
    elif not environment.gateway_programmed:
        yield Problem(
            reasons.GATEWAY_NOT_PROGRAMMED,
            f"Gateway {where} is not programmed by its controller; see `kubectl describe gateway {gateway.name} "
            f"-n {gateway.namespace}`",
            transient=True,
        )
    for hostname, owner in environment.hostname_conflicts:
        yield Problem(
            reasons.HOSTNAME_CONFLICT,
            f"hostname {hostname} belongs to ModelDeployment {owner}, which is older; choose another in "
            "spec.traffic.hostnames",
        )


LONGEST_LABEL = 63
"""Characters of one label of a DNS name."""


def _name(world: World) -> Iterator[Problem]:
    # KServe derives a hostname from every InferenceService, served or not, by its default domainTemplate; one
    # label of it holds both names. Admission sees the name (at most 40 characters) but not the namespace.
    number = max((revision.number for revision in world.revisions), default=0) + 1
    label = f"{world.name}-r{number}-predictor-{world.namespace}"
    if len(label) > LONGEST_LABEL:
        yield Problem(
            reasons.NAME_TOO_LONG,
            f"KServe would derive the host name {label} from this deployment, which is {len(label) - LONGEST_LABEL} "
            f"characters longer than DNS allows; choose a shorter name, or a namespace with one",
        )


def _plan(world: World) -> Iterator[Problem]:
    rollout = world.spec.rollout
    # Kept beside the CEL rule: objects stored before the rule existed are not re-admitted.
    total = sum((step.hold for step in planned(rollout.steps)), start=type(rollout.progress_deadline)())
    if total >= rollout.progress_deadline:
        yield Problem(
            reasons.INVALID_SPEC,
            f"the holds add up to {format_duration(total)}, which spec.rollout.progressDeadline "
            f"({format_duration(rollout.progress_deadline)}) does not allow; raise it",
        )
    missing = sorted(f"{use.kind}/{use.name}" for use in world.spec.monitors if world.monitor(use) is None)
    if missing:
        yield Problem(
            reasons.MONITOR_NOT_FOUND,
            f"spec.monitors names {', '.join(missing)}, which does not exist; create it or correct the name "
            "(`kubectl get mmon,cmmon` lists those there are)",
        )


def _modes(world: World) -> Iterator[Problem]:
    # Admission sees a use of a monitor without the monitor, and so cannot tell of which kind it is.
    idle = sorted(
        use.name
        for use in world.spec.monitors
        if use.mode is MonitorMode.WATCH and (monitor := world.monitor(use)) is not None and monitor.evaluation
    )
    if idle:
        yield Problem(
            reasons.INVALID_SPEC,
            f"spec.monitors uses {', '.join(idle)} with mode Watch, but golden data is asked before a release has any "
            "traffic, and never after; give mode Gate or Observe",
        )


def _model(world: World) -> Iterator[Problem]:
    resolution = world.resolution
    if isinstance(resolution, Resolving):
        yield Problem(reasons.MODEL_RESOLVING, "resolving the model and computing its digest", transient=True)
    elif not isinstance(resolution, Resolved):
        transient = resolution.reason == reasons.MODEL_REGISTRY_UNAVAILABLE
        yield Problem(resolution.reason, resolution.message, transient)
