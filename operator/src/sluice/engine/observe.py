"""Observe: from the store to a World. No waiting: what is not known yet is said to be so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from pydantic import ValidationError

from sluice.api.base import Resource, parse_time
from sluice.api.modeldeployment import ModelDeploymentSpec, ModelDeploymentStatus, MonitorKind
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.verdict import MonitorResult
from sluice.core import httproute, objects, succession, workload
from sluice.core.objects import Object
from sluice.core.reasons import ROUTE_REFUSED, WORKLOAD_REFUSED
from sluice.core.world import Environment, MonitorKey, Resolving, Revision, Route, Workload, WorkloadState, World
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
from sluice.engine.aliases import Aliases
from sluice.engine.hooks import Hooks
from sluice.engine.hostnames import Hostnames
from sluice.engine.oversight import Overseer
from sluice.engine.refusals import Refusals
from sluice.engine.resync import Offers
from sluice.engine.store import Key, Store, is_ours


class UnreadableError(ValueError):
    """An object is not one that this version of Sluice understands; the message names it and the field."""


class Observer:
    """Makes Worlds."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        offers: Offers,
        aliases: Aliases,
        hostnames: Hostnames,
        refusals: Refusals,
        overseer: Overseer,
        hooks: Hooks,
        wake: Callable[[Key], None],
    ) -> None:
        """``wake`` is called for a deployment whose model has been resolved since."""
        self._store = store
        self._registry = registry
        self._offers = offers
        self._aliases = aliases
        self._hostnames = hostnames
        self._refusals = refusals
        self._overseer = overseer
        self._hooks = hooks
        self._wake = wake

    def world(self, key: Key, results: Mapping[tuple[str, str], MonitorResult]) -> World | None:
        """Everything about one deployment; None if it is gone or going.

        Raises:
            UnreadableError: its spec, a revision's or a monitor's does not parse.
        """
        item = self._store.get(MODEL_DEPLOYMENTS, *key)
        if item is None or "deletionTimestamp" in item["metadata"]:
            return None
        world = self._world(key, item, results)
        if succession.settled(world):
            return world
        asked_by = str(world.generation) if world.spec.model.alias else ""
        question = Question(world.spec.model, asked_by)
        return replace(world, resolution=self._registry.resolve(question, lambda: self._wake(key)))

    def _world(self, key: Key, item: Object, results: Mapping[tuple[str, str], MonitorResult]) -> World:
        spec = _read(ModelDeploymentSpec, item, "spec")
        revisions = self._revisions(key, item["metadata"]["uid"])
        return World(
            namespace=key.namespace,
            name=key.name,
            uid=item["metadata"]["uid"],
            generation=item["metadata"]["generation"],
            created_at=parse_time(item["metadata"]["creationTimestamp"]),
            spec=spec,
            status=_read(ModelDeploymentStatus, item, "status"),
            resolution=Resolving(),
            alias_version=self._aliases.version(spec.model),
            revisions=revisions,
            workloads={revision.name: self._workload(key, revision) for revision in revisions},
            route=self._route(key, item["metadata"]["uid"]),
            monitors=self._monitors(key.namespace, spec, revisions),
            results=results,
            delivered=self._hooks.delivered(key),
            environment=self._environment(key, spec),
            oversight=self._overseer.of(key, item, spec, revisions),
        )

    def _revisions(self, key: Key, uid: str) -> tuple[Revision, ...]:
        found = [
            Revision(
                item["metadata"]["name"],
                _read(ModelRevisionSpec, item, "spec"),
                _read(ModelRevisionStatus, item, "status"),
                exported=(item["metadata"].get("annotations") or {}).get(objects.EXPORTED, ""),
            )
            for item in self._store.of(MODEL_REVISIONS, key)
            # Those of an earlier deployment of this name are about to be removed with it.
            if "deletionTimestamp" not in item["metadata"] and is_ours(item, key.name, uid)
        ]
        return tuple(sorted(found, key=lambda revision: revision.number))

    def _workload(self, key: Key, revision: Revision) -> Workload:
        service = self._store.get(INFERENCE_SERVICES, key.namespace, revision.name)
        if service is not None and not is_ours(service, key.name, self._uid(key, revision)):
            service = None
        refusal = self._refusals.of(INFERENCE_SERVICES, key.namespace, revision.name)
        if service is None and refusal is not None:
            state = WorkloadState.FAILED if refusal.final else WorkloadState.STARTING
            return Workload(state, WORKLOAD_REFUSED, f"the InferenceService cannot be written: {refusal.message}")
        deployment = self._store.get(DEPLOYMENTS, key.namespace, f"{revision.name}-predictor")
        pods = [pod for pod in self._store.of(PODS, key) if _runs(pod, revision.name)]
        return workload.read(
            service, [deployment] if deployment else [], pods, replicas=revision.spec.serving.replicas.min
        )

    def _uid(self, key: Key, revision: Revision) -> str:
        item = self._store.get(MODEL_REVISIONS, key.namespace, revision.name)
        return item["metadata"]["uid"] if item is not None else ""

    def _route(self, key: Key, uid: str) -> Route | None:
        item = self._store.get(HTTP_ROUTES, *key)
        refusal = self._refusals.of(HTTP_ROUTES, *key)
        seen = httproute.read(item) if item is not None and is_ours(item, key.name, uid) else None
        if refusal is None:
            return seen
        seen = seen or Route(None, programmed=False)
        return replace(seen, reason=ROUTE_REFUSED, message=f"the HTTPRoute cannot be written: {refusal.message}")

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
                found[use.kind, use.name] = _read(ModelMonitorSpec, item, "spec")
        return found

    def _environment(self, key: Key, spec: ModelDeploymentSpec) -> Environment:
        reference = spec.traffic.gateway
        gateway = self._store.get(GATEWAYS, reference.namespace, reference.name)
        conditions = {c["type"]: c["status"] for c in (gateway or {}).get("status", {}).get("conditions", [])}
        return Environment(
            kserve=self._offers.kserve,
            gateway_api=self._offers.gateway_api,
            gateway_exists=gateway is not None,
            gateway_programmed=conditions.get("Programmed") == "True",
            hostname_conflicts=self._hostnames.conflicts(key),
            hook_refusal=self._hooks.refusal(spec.watch.hook.url) if spec.watch and spec.watch.hook else "",
        )


R = TypeVar("R", bound=Resource)


def _read(model: type[R], item: Object, part: str) -> R:
    try:
        return model.model_validate(item.get(part, {}))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in (part, *first["loc"]))
        raise UnreadableError(f"{item['kind']} {item['metadata']['name']}, {where}: {first['msg']}") from error


def _runs(pod: Object, revision: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return labels.get("serving.kserve.io/inferenceservice") == revision
