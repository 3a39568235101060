"""Observe: from the store to a World. No waiting: what is not known yet is said to be so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from sluice.api.base import parse_time
from sluice.api.modeldeployment import ModelDeploymentSpec, ModelDeploymentStatus, MonitorKind
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.verdict import MonitorResult
from sluice.core import httproute, rollout, workload
from sluice.core.objects import Object
from sluice.core.world import Environment, MonitorKey, Resolving, Revision, Route, Workload, World
from sluice.edges.kinds import (
    CLUSTER_MODEL_MONITORS,
    DEPLOYMENTS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DEPLOYMENTS,
    MODEL_MONITORS,
    MODEL_REVISIONS,
    PODS,
)
from sluice.edges.registry import Question, Registry
from sluice.engine.store import Key, Store


class UnreadableSpecError(ValueError):
    """The object is not one that this version of Sluice understands."""


@dataclass
class Offers:
    """Which APIs the cluster has; looked up at every resync."""

    kserve: bool = True
    gateway_api: bool = True


class Observer:
    """Makes Worlds."""

    def __init__(self, store: Store, registry: Registry, offers: Offers, wake: Callable[[Key], None]) -> None:
        self._store = store
        self._registry = registry
        self._offers = offers
        self._wake = wake
        self.aliases: dict[Key, str] = {}
        """Where the aliases of alias-based deployments point, as last looked up."""

    def world(self, key: Key, results: Mapping[tuple[str, str], MonitorResult]) -> World | None:
        """Everything about one deployment; None if it is gone or going.

        Raises:
            UnreadableSpecError: its spec, or a revision's, does not parse.
        """
        item = self._store.get(MODEL_DEPLOYMENTS, *key)
        if item is None or "deletionTimestamp" in item["metadata"]:
            return None
        try:
            world = self._world(key, item, results)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UnreadableSpecError(f"{where}: {first['msg']}") from error
        if rollout.settled(world):
            return world
        asked_by = str(world.generation) if world.spec.model.alias else ""
        question = Question(world.spec.model, asked_by)
        return replace(world, resolution=self._registry.resolve(question, lambda: self._wake(key)))

    def _world(self, key: Key, item: Object, results: Mapping[tuple[str, str], MonitorResult]) -> World:
        spec = ModelDeploymentSpec.model_validate(item["spec"])
        revisions = self._revisions(key)
        return World(
            namespace=key.namespace,
            name=key.name,
            uid=item["metadata"]["uid"],
            generation=item["metadata"]["generation"],
            created_at=_created(item),
            spec=spec,
            status=ModelDeploymentStatus.model_validate(item.get("status", {})),
            resolution=Resolving(),
            alias_version=self.aliases.get(key),
            revisions=revisions,
            workloads={revision.name: self._workload(key, revision) for revision in revisions},
            route=self._route(key, spec),
            monitors=self._monitors(key.namespace, spec, revisions),
            results=results,
            environment=self._environment(key, item, spec),
        )

    def _revisions(self, key: Key) -> tuple[Revision, ...]:
        found = [
            Revision(
                item["metadata"]["name"],
                ModelRevisionSpec.model_validate(item["spec"]),
                ModelRevisionStatus.model_validate(item.get("status", {})),
            )
            for item in self._store.of(MODEL_REVISIONS, key)
            if "deletionTimestamp" not in item["metadata"]
        ]
        return tuple(sorted(found, key=lambda revision: revision.number))

    def _workload(self, key: Key, revision: Revision) -> Workload:
        service = self._store.get(INFERENCE_SERVICES, key.namespace, revision.name)
        deployment = self._store.get(DEPLOYMENTS, key.namespace, f"{revision.name}-predictor")
        pods = [pod for pod in self._store.of(PODS, key) if _runs(pod, revision.name)]
        return workload.read(
            service, [deployment] if deployment else [], pods, replicas=revision.spec.serving.replicas.min
        )

    def _route(self, key: Key, spec: ModelDeploymentSpec) -> Route | None:
        item = self._store.get(HTTP_ROUTES, *key)
        gateway = spec.traffic.gateway
        return httproute.read(item, (gateway.namespace, gateway.name)) if item is not None else None

    def _monitors(
        self, namespace: str, spec: ModelDeploymentSpec, revisions: tuple[Revision, ...]
    ) -> dict[MonitorKey, ModelMonitorSpec]:
        uses = [*spec.monitors, *(use for r in revisions if r.in_progress for use in r.spec.monitors)]
        found: dict[MonitorKey, ModelMonitorSpec] = {}
        for use in uses:
            if use.kind is MonitorKind.MODEL_MONITOR:
                item = self._store.get(MODEL_MONITORS, namespace, use.name)
            else:
                item = self._store.get(CLUSTER_MODEL_MONITORS, "", use.name)
            if item is not None:
                found[use.kind, use.name] = ModelMonitorSpec.model_validate(item["spec"])
        return found

    def _environment(self, key: Key, item: Object, spec: ModelDeploymentSpec) -> Environment:
        reference = spec.traffic.gateway
        gateway = self._store.get(GATEWAYS, reference.namespace, reference.name)
        conditions = {c["type"]: c["status"] for c in (gateway or {}).get("status", {}).get("conditions", [])}
        return Environment(
            kserve=self._offers.kserve,
            gateway_api=self._offers.gateway_api,
            gateway_exists=gateway is not None,
            gateway_programmed=conditions.get("Programmed") == "True",
            hostname_conflicts=tuple(self._conflicts(key, item, spec)),
        )

    def _conflicts(self, key: Key, item: Object, spec: ModelDeploymentSpec) -> list[tuple[str, str]]:
        mine = (_created(item), *key)
        found = []
        for other in self._store.all(MODEL_DEPLOYMENTS):
            metadata = other["metadata"]
            theirs = (_created(other), metadata["namespace"], metadata["name"])
            shared = set(spec.traffic.hostnames) & set(other["spec"]["traffic"]["hostnames"])
            if theirs < mine and shared:
                found += [(hostname, f"{metadata['namespace']}/{metadata['name']}") for hostname in sorted(shared)]
        return found


def _created(item: Object) -> datetime:
    return parse_time(item["metadata"]["creationTimestamp"])


def _runs(pod: Object, revision: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return labels.get("serving.kserve.io/inferenceservice") == revision
