"""Act: carry a plan out, in the order of its fields, writing nothing that is so already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sluice.core import httproute, identity, inferenceservice, mergepatch, objects, reasons
from sluice.core.objects import Object
from sluice.core.plan import Event, EventType, NewRevision, Plan, StatusWrite
from sluice.core.world import RouteIntent, World
from sluice.edges import metrics
from sluice.edges.kinds import HTTP_ROUTES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS, MODEL_REVISIONS, Kind
from sluice.edges.kube import Conflict, Writer
from sluice.engine.store import Key, Store

Tell = Callable[[Key, Event], None]


@dataclass(frozen=True)
class _Applied:
    """What our last apply of an object asked for and what the API server made of it."""

    uid: str
    asked: str
    generation: int
    spec: Object


class Actor:
    """Writes through ``writer`` and puts every answer into the store, where the next decision sees it."""

    def __init__(self, store: Store, writer: Writer, logger_url: str | None, tell: Tell) -> None:
        self._store = store
        self._writer = writer
        self._logger_url = logger_url
        self._tell = tell
        self._applied: dict[tuple[Kind, str, str], _Applied] = {}
        self._writes = 0

    async def carry_out(self, world: World, plan: Plan) -> bool:
        """Do what the plan asks for; True if anything had to be written, so that it is worth deciding again.

        Raises:
            KubeError: the API server refused a write; what came before it is done, and deciding again will
                ask for the rest.
        """
        key, before = Key(world.namespace, world.name), self._writes
        for write in plan.statuses:
            await self._status(key, write)
        for event in plan.events:
            self._tell(key, event)
        if plan.create is not None:
            await self._create(world, plan.create)
        for name in plan.run:
            await self._run(world, name)
        await self._route(world, plan.route)
        for name in plan.retire:
            await self._delete(INFERENCE_SERVICES, key.namespace, name)
        for name in plan.forget:
            await self._delete(MODEL_REVISIONS, key.namespace, name)
        if plan.status != world.status:
            await self._write_status(MODEL_DEPLOYMENTS, key.namespace, key.name, plan.status.dump())
        return self._writes > before

    async def say_unreadable(self, key: Key, message: str, now: datetime) -> None:
        """Tell that a deployment's spec cannot be understood, once."""
        item = self._store.get(MODEL_DEPLOYMENTS, *key)
        if item is None:
            return
        ready = {
            "type": "Ready",
            "status": "False",
            "reason": reasons.INVALID_SPEC,
            "message": f"this version of Sluice cannot read the object: {message}",
            "lastTransitionTime": now.isoformat(),
            "observedGeneration": item["metadata"]["generation"],
        }
        before = {c["type"]: c for c in item.get("status", {}).get("conditions", [])}
        if before.get("Ready", {}).get("message") != ready["message"]:
            status = item.get("status", {}) | {"conditions": [ready], "message": ready["message"]}
            await self._write_status(MODEL_DEPLOYMENTS, *key, status)

    async def _status(self, key: Key, write: StatusWrite) -> None:
        await self._write_status(MODEL_REVISIONS, key.namespace, write.revision, write.status.dump())

    async def _write_status(self, kind: Kind, namespace: str, name: str, status: Object) -> None:
        seen = self._store.get(kind, namespace, name)
        if seen is None:
            raise Conflict(409, f"{kind.kind} {name} is gone")
        self._keep(kind, "apply_status", await self._writer.apply_status(kind, seen, status))

    async def _create(self, world: World, wanted: NewRevision) -> None:
        item = {
            "apiVersion": objects.SLUICE,
            "kind": "ModelRevision",
            "metadata": {
                "name": wanted.name,
                "namespace": world.namespace,
                "labels": objects.labels(world.name, wanted.name),
                "ownerReferences": objects.owned_by("ModelDeployment", world.name, world.uid),
            },
            "spec": wanted.spec.dump(),
        }
        self._keep(MODEL_REVISIONS, "create", await self._writer.create(MODEL_REVISIONS, item))

    async def _run(self, world: World, name: str) -> None:
        owner = self._store.get(MODEL_REVISIONS, world.namespace, name)
        revision = next((r for r in world.revisions if r.name == name), None)
        if owner is None or revision is None:
            return
        wanted = inferenceservice.build(world.namespace, revision, owner["metadata"]["uid"], self._logger_url)
        await self._ensure(INFERENCE_SERVICES, wanted, world, reasons.WORKLOAD_CORRECTED)

    async def _route(self, world: World, intent: RouteIntent | None) -> None:
        if intent is None:
            await self._delete(HTTP_ROUTES, world.namespace, world.name)
        else:
            await self._ensure(HTTP_ROUTES, httproute.build(world, intent), world, reasons.ROUTE_CORRECTED)

    async def _ensure(self, kind: Kind, wanted: Object, world: World, corrected: str) -> None:
        """Make an object so. One that says what we asked for is left alone; one edited by hand is set right."""
        metadata = wanted["metadata"]
        address = (kind, metadata["namespace"], metadata["name"])
        live, asked = self._store.get(*address), identity.digest(wanted)
        done = self._applied.get(address)
        if live is not None and "deletionTimestamp" in live["metadata"]:
            return
        if live is not None and done is not None and done.uid == live["metadata"]["uid"] and done.asked == asked:
            if live["metadata"]["generation"] > done.generation:
                await self._correct(kind, live, done, world, corrected)
            return
        answer = await self._writer.apply(kind, wanted)
        self._keep(kind, "apply", answer)
        self._remember(address, asked, answer)

    async def _correct(self, kind: Kind, live: Object, done: _Applied, world: World, corrected: str) -> None:
        patch = mergepatch.diff(live["spec"], done.spec)
        answer = live
        if patch:
            answer = await self._writer.merge_patch(kind, live, {"spec": patch})
            self._keep(kind, "merge_patch", answer)
            name = live["metadata"]["name"]
            fields = ", ".join(mergepatch.paths(patch, "spec."))
            message = (
                f"{kind.kind} {name} was changed by hand ({fields}); Sluice has set it right. "
                f"Change the ModelDeployment instead: kubectl edit md {world.name} -n {world.namespace}"
            )
            self._tell(Key(world.namespace, world.name), Event(EventType.WARNING, corrected, message))
        self._remember((kind, world.namespace, live["metadata"]["name"]), done.asked, answer)

    async def _delete(self, kind: Kind, namespace: str, name: str) -> None:
        live = self._store.get(kind, namespace, name)
        if live is not None and "deletionTimestamp" not in live["metadata"]:
            await self._writer.delete(kind, live)
            self._count(kind, "delete")
            self._applied.pop((kind, namespace, name), None)

    def _keep(self, kind: Kind, verb: str, answer: Object) -> None:
        if self._store.put(kind, answer):  # an apply that changed nothing gives the version that is known
            self._count(kind, verb)

    def _count(self, kind: Kind, verb: str) -> None:
        self._writes += 1
        metrics.WRITES.labels(kind.kind, verb).inc()

    def _remember(self, address: tuple[Kind, str, str], asked: str, answer: Object) -> None:
        metadata: dict[str, Any] = answer["metadata"]
        self._applied[address] = _Applied(metadata["uid"], asked, metadata["generation"], answer["spec"])
