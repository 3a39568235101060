"""Act: carry a plan out, in the order of its fields, writing nothing that is so already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial

from sluice.api.base import format_time
from sluice.api.governanceevidence import EvidenceKind
from sluice.core import evidence, httproute, inferenceservice, objects, reasons
from sluice.core.objects import Object
from sluice.core.plan import ActKind, Event, EventType, NewRevision, Plan
from sluice.core.sink import Sink
from sluice.core.world import HandEdit, RouteIntent, World
from sluice.edges.kinds import (
    GOVERNANCE_EVIDENCE,
    GOVERNANCE_EXCEPTIONS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DECISIONS,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
)
from sluice.edges.kube import Conflict, Forbidden, Invalid, KubeError, Writer
from sluice.engine import measures
from sluice.engine.children import Children, Tell
from sluice.engine.refusals import Refusals
from sluice.engine.store import Key, Store
from sluice.engine.writes import Writes

_ACTS = {ActKind.DECISION: MODEL_DECISIONS, ActKind.EXCEPTION: GOVERNANCE_EXCEPTIONS}


class Actor:
    """Writes through ``writer`` and puts every answer into the store, where the next decision sees it."""

    def __init__(self, store: Store, writer: Writer, sink: Sink | None, refusals: Refusals, tell: Tell) -> None:
        """``sink`` is where KServe sends requests and responses; None for nowhere."""
        self._store = store
        self._writes = Writes(store, writer)
        self._children = Children(store, self._writes, refusals, tell)
        self._sink = sink
        self._tell = tell

    async def carry_out(self, world: World, plan: Plan) -> bool:
        """Do what the plan asks for; True if anything had to be written, so that it is worth deciding again.

        One refused object does not stop the others: a model that cannot be started must not keep the traffic
        of another from being taken back. Only removals wait for everything else.

        Raises:
            KubeError: the API server refused a write; the first refusal, after everything else was done. If a
                revision's status could not be written, nothing else was: a decision is on record before its effect.
        """
        key, before = Key(world.namespace, world.name), self._writes.count
        refused = await self._keep_evidence(world, plan)
        for write in plan.statuses:
            status = write.unmoved if write.unmoved is not None and write.revision in refused else write.status
            await self._writes.status(MODEL_REVISIONS, key.namespace, write.revision, status.dump())
        measures.count(world, plan)
        self._say(key, plan, about_creation=False)
        errors = [error async for error in self._objects(world, plan)]
        if not errors:
            await self._remove(key, plan)
        await self._answer(key, plan)
        if plan.status != world.status and not any(isinstance(error, Conflict) for error in errors):
            await self._writes.status(MODEL_DEPLOYMENTS, *key, plan.status.dump())
        if errors:
            raise errors[0]
        return self._writes.count > before

    async def say_unreadable(self, key: Key, message: str, now: datetime) -> None:
        """Tell that a deployment, or something that it needs, cannot be understood; once."""
        item = self._store.get(MODEL_DEPLOYMENTS, *key)
        if item is None:
            return
        status = item.get("status", {})
        others = [c for c in status.get("conditions", []) if c["type"] != "Ready"]
        before: Object = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})
        ready = {
            "type": "Ready",
            "status": "Unknown",
            "reason": reasons.INVALID_SPEC,
            "message": f"this version of Sluice cannot read {message}; nothing is changed until it can"[:1024],
            "observedGeneration": item["metadata"]["generation"],
        }
        if {name: before.get(name) for name in ready} != ready:
            ready["lastTransitionTime"] = format_time(now)
            said = {"conditions": [ready, *others], "message": ready["message"]}
            await self._writes.status(MODEL_DEPLOYMENTS, *key, status | said)

    async def _keep_evidence(self, world: World, plan: Plan) -> set[str]:
        """Keep what the records will refer to. If it is refused, that is said; no rollback waits for paper.

        Returns:
            The revisions whose older records could not be kept in a document, and so must stay in the status.
        """
        refused = set()
        for document in plan.evidence:
            owner = self._uid(Key(world.namespace, world.name), document.revision)
            governed = any(r.spec.policies for r in world.revisions if r.name == document.revision)
            item = evidence.build(world.namespace, world.name, document, owner, governed=governed)
            try:
                await self._writes.create(GOVERNANCE_EVIDENCE, item)
            except Conflict:
                continue  # its name is its digest: it is there already
            except (Invalid, Forbidden) as error:
                message = f"evidence of {document.revision} could not be kept: {error}"
                event = Event(EventType.WARNING, reasons.EVIDENCE_REFUSED, message[:1024], document.revision)
                self._tell(Key(world.namespace, world.name), event)
                if document.kind is EvidenceKind.RECORDS:
                    refused.add(document.revision)
        return refused

    async def _answer(self, key: Key, plan: Plan) -> None:
        """Tell people what came of their decisions and exceptions."""
        for answer in plan.answers:
            kind = _ACTS[answer.kind]
            if self._store.get(kind, key.namespace, answer.name) is not None:
                status = {"conditions": [answer.condition.dump()]}
                await self._writes.status(kind, key.namespace, answer.name, status)

    def hand_edits(self, key: Key) -> tuple[HandEdit, ...]:
        """What was changed by hand of the objects made for a deployment, as far as the store knows."""
        return self._children.edits(key)

    def forget(self, key: Key) -> None:
        """A deployment is gone."""
        self._children.forget(key)

    async def _objects(self, world: World, plan: Plan) -> AsyncIterator[KubeError]:
        """Make the objects that must be there, in the plan's order; yields the refusals."""
        attempts: list[Callable[[], Awaitable[None]]] = []
        if plan.create is not None:
            attempts.append(partial(self._create, world, plan, plan.create))
        attempts += [partial(self._run, world, name) for name in plan.run]
        attempts.append(partial(self._route, world, plan.route))
        for attempt in attempts:
            try:
                await attempt()
            except KubeError as error:
                yield error

    async def _remove(self, key: Key, plan: Plan) -> None:
        for name in plan.retire:
            await self._children.remove(INFERENCE_SERVICES, key, name, self._uid(key, name))
        for name in plan.forget:
            await self._writes.delete(MODEL_REVISIONS, key.namespace, name)

    def _say(self, key: Key, plan: Plan, *, about_creation: bool) -> None:
        # A creation is told once it is true; if it is refused, the next decision asks for it, and says so, again.
        for event in plan.events:
            if (event.reason == reasons.REVISION_CREATED) is about_creation:
                self._tell(key, event)

    async def _create(self, world: World, plan: Plan, wanted: NewRevision) -> None:
        await self._writes.create(
            MODEL_REVISIONS,
            {
                "apiVersion": objects.SLUICE,
                "kind": "ModelRevision",
                "metadata": {
                    "name": wanted.name,
                    "namespace": world.namespace,
                    "labels": objects.labels(world.name, wanted.name),
                    "ownerReferences": objects.owned_by("ModelDeployment", world.name, world.uid),
                },
                "spec": wanted.spec.dump(),
            },
        )
        self._say(Key(world.namespace, world.name), plan, about_creation=True)

    async def _run(self, world: World, name: str) -> None:
        key = Key(world.namespace, world.name)
        revision = next((r for r in world.revisions if r.name == name), None)
        if revision is not None and (uid := self._uid(key, name)):
            wanted = inferenceservice.build(world.namespace, revision, uid, self._sink)
            await self._children.ensure(INFERENCE_SERVICES, wanted, key, uid, reasons.WORKLOAD_CORRECTED)

    async def _route(self, world: World, intent: RouteIntent | None) -> None:
        key = Key(world.namespace, world.name)
        if intent is None:
            await self._children.remove(HTTP_ROUTES, key, world.name, world.uid)
        else:
            wanted = httproute.build(world, intent)
            await self._children.ensure(HTTP_ROUTES, wanted, key, world.uid, reasons.ROUTE_CORRECTED)

    def _uid(self, key: Key, revision: str) -> str:
        item: Object | None = self._store.get(MODEL_REVISIONS, key.namespace, revision)
        return item["metadata"]["uid"] if item is not None else ""
