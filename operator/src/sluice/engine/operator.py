"""Operator: the parts of the engine put together, and the loops that drive them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import aiohttp

from sluice.api.modelrevision import Column, ModelRevisionSpec, RevisionPhase
from sluice.core.decide import decide
from sluice.core.objects import Object
from sluice.core.plan import Event, Plan
from sluice.core.world import World
from sluice.edges import metrics
from sluice.edges.drift import DriftService
from sluice.edges.events import Events
from sluice.edges.kinds import (
    CLUSTER_MODEL_MONITORS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DEPLOYMENTS,
    MODEL_MONITORS,
    MODEL_REVISIONS,
    WATCHED,
    Kind,
)
from sluice.edges.kube import Conflict, Kube, KubeError, NotFound
from sluice.edges.prometheus import Prometheus
from sluice.edges.registry import Registry
from sluice.engine.act import Actor
from sluice.engine.dryrun import DryRun
from sluice.engine.evaluator import Evaluator
from sluice.engine.observe import Observer, Offers, UnreadableSpecError
from sluice.engine.queue import Queue
from sluice.engine.store import Key, Store, owner_of

log = logging.getLogger(__name__)

_API_SECONDS = 5.0
"""How often to look for an API that the cluster did not have."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator is told. Times in seconds."""

    prometheus_url: str
    monitor_url: str
    logger_url: str | None
    tick: float = 5.0
    resync: float = 300.0
    workers: int = 8
    namespaces: tuple[str, ...] = ()
    """Where to look; empty means everywhere."""


def utcnow() -> datetime:
    """Now. The one clock of the engine, so that a test can set another."""
    return datetime.now(UTC)


class Operator:
    """Everything that runs while this process leads."""

    def __init__(
        self,
        kube: Kube,
        session: aiohttp.ClientSession,
        settings: Settings,
        registry: Registry,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self.store = Store()
        self.queue: Queue[Key] = Queue(time.monotonic)
        self.last_resync: float | None = None
        self._kube = kube
        self._settings = settings
        self._clock = clock
        self._offers = Offers()
        self._events = Events(kube)
        self._registry = registry
        self._observer = Observer(self.store, self._registry, self._offers, self.queue.add)
        self._evaluator = Evaluator(
            Prometheus(settings.prometheus_url, session),
            DriftService(settings.monitor_url, session),
            clock,
            self.queue.add,
            self._signature,
        )
        self._dry_run = DryRun(self.store, kube, self._evaluator)
        self._actor = Actor(self.store, kube, settings.logger_url, self._tell)

    # What the watch tells

    def seen(self, kind: Kind, item: Object, *, deleted: bool) -> None:
        """Take in a watch event."""
        metrics.LAST_EVENT.set_to_current_time()
        if deleted:
            self.store.drop(kind, item)
        elif not self.store.put(kind, item):
            return
        if kind in (MODEL_MONITORS, CLUSTER_MODEL_MONITORS, GATEWAYS):
            self._wake_all()
        elif (owner := owner_of(kind, item)) is not None:
            self.queue.add(owner)
            if kind == MODEL_DEPLOYMENTS and deleted:
                self._wake_all()  # its hostnames are free now

    # What runs

    async def run(self) -> None:
        """Fill the store, then reconcile, measure and resync until cancelled or a loop fails."""
        await self.relist()
        loops = [self._work() for _ in range(self._settings.workers)]
        async with asyncio.TaskGroup() as group:
            for loop in (*loops, self._measure(), self._keep_in_step(), self._await_apis()):
                group.create_task(loop)

    async def relist(self) -> None:
        """Heal what a watch may have missed: compare with full lists, and look again at what the cluster offers."""
        await self._look_at_apis()
        for kind in WATCHED:
            try:
                listed = await self._list(kind)
            except NotFound:
                continue  # the cluster has no such kind (yet)
            for owner in self.store.replace(kind, listed):
                self.queue.add(owner)
        self._wake_all()
        self.last_resync = time.monotonic()

    async def reconcile(self, key: Key) -> None:
        """Observe, decide, act, for one deployment."""
        try:
            world = self._observer.world(key, self._evaluator.results(key))
        except UnreadableSpecError as error:
            await self._actor.say_unreadable(key, str(error), self._clock())
            return
        if world is None:
            self._evaluator.want(key, ())
            return
        plan = decide(world, self._clock())
        if await self._actor.carry_out(world, plan):
            self.queue.add(key)  # the watch will bring our own writes back as no news
        self._evaluator.want(key, plan.evaluations)
        self._measure_plan(world, plan)
        if plan.requeue_after is not None:
            # A moment late rather than a moment early: early would find the hold not over.
            self.queue.add(key, plan.requeue_after.total_seconds() + 0.01)

    async def _work(self) -> None:
        while True:
            key = await self.queue.next()
            metrics.QUEUE_DEPTH.set(len(self.queue))
            started, result = time.perf_counter(), "Done"
            try:
                await self.reconcile(key)
            except Conflict:
                result = "Conflict"
                await self._refresh(key)
            except KubeError as error:
                result = type(error).__name__
                log.warning("write refused: %s", error, extra={"deployment": key.name, "namespace": key.namespace})
            except Exception:  # one deployment's trouble is not the others'
                result = "Failed"
                log.exception("reconcile failed", extra={"deployment": key.name, "namespace": key.namespace})
            metrics.RECONCILE.labels(result).observe(time.perf_counter() - started)
            self.queue.done(key, failed=result != "Done")

    async def _refresh(self, key: Key) -> None:
        """Someone else wrote: read again what we decide on, rather than wait for the watch."""
        for kind in (MODEL_DEPLOYMENTS, MODEL_REVISIONS):
            for item in self.store.of(kind, key):
                try:
                    self.store.put(kind, await self._kube.get(kind, key.namespace, item["metadata"]["name"]))
                except NotFound:
                    self.store.drop(kind, item)
                except KubeError:
                    return

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tick)
            await self._evaluator.tick()
            for kind in (MODEL_MONITORS, CLUSTER_MODEL_MONITORS):
                await self._dry_run.all(kind, self._clock())

    async def _keep_in_step(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync)
            try:
                await self.relist()
                await self._look_up_aliases()
            except KubeError as error:
                log.warning("resync failed: %s", error)

    async def _await_apis(self) -> None:
        """Carry on by itself when KServe or the Gateway API is installed after us."""
        while True:
            await asyncio.sleep(_API_SECONDS)
            if self._offers != Offers():
                before = replace(self._offers)
                try:
                    await self._look_at_apis()
                    if self._offers != before:
                        await self.relist()
                except KubeError as error:
                    log.warning("looking for APIs failed: %s", error)

    async def _look_at_apis(self) -> None:
        self._offers.kserve = await self._kube.serves(INFERENCE_SERVICES)
        self._offers.gateway_api = await self._kube.serves(HTTP_ROUTES)

    async def _look_up_aliases(self) -> None:
        for item in self.store.all(MODEL_DEPLOYMENTS):
            key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
            world = self._observer.world(key, {})
            if world is not None and world.spec.model.alias:
                version = await self._registry.version_of_alias(world.spec.model)
                if version is not None and self._observer.aliases.get(key) != version:
                    self._observer.aliases[key] = version
                    self.queue.add(key)

    # Small things

    async def _list(self, kind: Kind) -> list[Object]:
        if not self._settings.namespaces or not kind.namespaced:
            return await self._kube.list(kind)
        return [item for namespace in self._settings.namespaces for item in await self._kube.list(kind, namespace)]

    def _wake_all(self) -> None:
        for item in self.store.all(MODEL_DEPLOYMENTS):
            self.queue.add(Key(item["metadata"]["namespace"], item["metadata"]["name"]))

    def _signature(self, key: Key, revision: str) -> list[Column]:
        item = self.store.get(MODEL_REVISIONS, key.namespace, revision)
        return ModelRevisionSpec.model_validate(item["spec"]).model.signature if item else []

    def _tell(self, key: Key, event: Event) -> None:
        metrics.EVENTS.labels(event.reason, event.type).inc()
        extra = {"reason": event.reason, "namespace": key.namespace, "deployment": key.name, "revision": event.revision}
        log.info(event.message, extra=extra)
        item = self.store.get(MODEL_DEPLOYMENTS, *key)
        if item is not None:
            self._events.post(item, event, self._clock())

    def _measure_plan(self, world: World, plan: Plan) -> None:
        where = (world.namespace, world.name)
        for share in plan.status.traffic or []:
            metrics.WEIGHT.labels(*where, share.revision).set(share.weight)
        if plan.status.phase != world.status.phase:
            if world.status.phase is not None:
                metrics.PHASE.labels(*where, world.status.phase).set(0)
            metrics.PHASE.labels(*where, plan.status.phase).set(1)
        before = {revision.name: revision for revision in world.revisions}
        for write in plan.statuses:
            old, new = before[write.revision], write.status
            ended = new.phase in (RevisionPhase.PROMOTED, RevisionPhase.ROLLED_BACK, RevisionPhase.SUPERSEDED)
            if ended and old.in_progress:
                seconds = (self._clock() - old.targeted_at).total_seconds()
                metrics.ROLLOUT_DURATION.labels(*where, new.phase).observe(seconds)
