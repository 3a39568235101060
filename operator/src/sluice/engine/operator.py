"""Operator: the parts of the engine put together, and the loops that drive them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from sluice.api.modelrevision import Column, ModelRevisionSpec
from sluice.core.examination import Equipment
from sluice.core.objects import Object
from sluice.core.plan import Event
from sluice.core.sink import Sink
from sluice.edges import metrics
from sluice.edges.courier import Courier
from sluice.edges.drift import DriftService
from sluice.edges.evaluation import Evaluations
from sluice.edges.events import Events
from sluice.edges.kinds import (
    CLUSTER_MODEL_MONITORS,
    GATEWAYS,
    GOVERNANCE_POLICIES,
    MODEL_DEPLOYMENTS,
    MODEL_MONITORS,
    MODEL_REVISIONS,
    Kind,
)
from sluice.edges.kube import Kube, KubeError
from sluice.edges.monitorservice import MonitorService
from sluice.edges.performance import PerformanceService
from sluice.edges.prometheus import Prometheus
from sluice.edges.registry import Registry
from sluice.edges.rules import RuleWorker
from sluice.edges.webhook import Webhooks
from sluice.engine.act import Actor
from sluice.engine.aliases import Aliases
from sluice.engine.dryrun import DryRun
from sluice.engine.evaluator import Evaluator
from sluice.engine.hooks import Hooks
from sluice.engine.hostnames import Hostnames
from sluice.engine.observe import Observer
from sluice.engine.oversight import Overseer, Sources
from sluice.engine.policies import Policies
from sluice.engine.queue import Queue
from sluice.engine.reconcile import Reconciler
from sluice.engine.refusals import Refusals
from sluice.engine.reports import Reports
from sluice.engine.resync import Offers, Resync
from sluice.engine.rules import Rules
from sluice.engine.sealer import Sealer, Sealing
from sluice.engine.store import Key, Store, owner_of
from sluice.engine.surroundings import Surroundings
from sluice.engine.turns import Turns

log = logging.getLogger(__name__)

_API_SECONDS = 5.0
"""How often to look for an API that the cluster did not have."""

_SURROUNDINGS_SECONDS = 30.0
"""How often to look at guards and identities, which are not watched."""

_SEALING_SECONDS = 5.0
"""How often to seal the records that were made since."""


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
    webhook_hosts: tuple[str, ...] = ()
    """Hosts that webhook monitors and spec.watch.hook may name; empty means none."""
    webhook_key: Path | None = None
    """The file with the key that questions to webhooks are signed with; None where they are not signed."""
    sender_key: bytes | None = None
    """What the tokens in the URLs of KServe's loggers are made with; None where sluice-monitor asks for none."""
    equipment: Equipment | None = None
    """What the Jobs of evaluations are made of; None where there are to be none."""

    @property
    def sink(self) -> Sink | None:
        """Where KServe sends requests and responses; None for nowhere."""
        return Sink(self.logger_url, self.sender_key) if self.logger_url is not None else None


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
        surroundings: Surroundings | None = None,
        sealing: Sealing = Sealing(),
    ) -> None:
        """Args:
        kube: the connection to the API server.
        session: for everybody else who is asked.
        settings: what it is told.
        registry: what answers for MLflow.
        clock: tells the time.
        surroundings: what governance looks at beside the objects; without them, it has no such facts.
        sealing: what records are signed with, and where they are anchored.
        """
        self.store = Store()
        self.queue: Queue[Key] = Queue(time.monotonic)
        self.last_resync: float | None = None
        """When the store was last compared with full lists, by the monotonic clock."""
        self._settings = settings
        self._clock = clock
        self._offers = Offers()
        self._turns = Turns(self.queue)
        self._hostnames = Hostnames()
        self._events = Events(kube)
        self._resync = Resync(kube, self.store, self._offers, settings.namespaces, self._news)
        self._aliases = Aliases(self.store, registry, self.queue.add)
        self._surroundings = surroundings
        self._sealer = Sealer(
            store=self.store,
            kube=kube,
            sealing=sealing,
            clock=clock,
            wake=self.queue.add,
            tell=self._tell,
        )
        courier = Courier(session, settings.webhook_hosts, settings.webhook_key)
        self._hooks = Hooks(courier, self.queue.add, self._tell)
        service = MonitorService(settings.monitor_url, session)
        self._evaluator = Evaluator(
            Prometheus(settings.prometheus_url, session),
            DriftService(service),
            clock,
            self.queue.add,
            self._signature,
            Webhooks(courier),
            PerformanceService(service),
            Evaluations(kube, settings.equipment, settings.sender_key, self._uid),
        )
        self._dry_run = DryRun(self.store, kube, self._evaluator, clock, courier.refusal)
        self._rule_worker = RuleWorker()
        self._rules = Rules(self._rule_worker, self.queue.add)
        self._policies = Policies(self.store, kube, self._rule_worker, clock)
        self._reports = Reports(self.store, kube, self._offers)
        refusals = Refusals()
        self._actor = Actor(self.store, kube, settings.sink, refusals, self._tell)
        observer = Observer(
            store=self.store,
            registry=registry,
            offers=self._offers,
            aliases=self._aliases,
            hostnames=self._hostnames,
            refusals=refusals,
            overseer=Overseer(self.store, self._sources(surroundings)),
            hooks=self._hooks,
            wake=self.queue.add,
        )
        self._reconciler = Reconciler(
            store=self.store,
            queue=self.queue,
            kube=kube,
            observer=observer,
            evaluator=self._evaluator,
            rules=self._rules,
            hooks=self._hooks,
            actor=self._actor,
            clock=clock,
        )

    def seen(self, kind: Kind, item: Object, *, deleted: bool) -> None:
        """Take in a watch event."""
        metrics.LAST_EVENT.set_to_current_time()
        if deleted:
            self.store.drop(kind, item)
        elif not self.store.put(kind, item):
            return
        self._news(kind, item, deleted)

    async def run(self) -> None:
        """Fill the store, then reconcile, measure and resync until cancelled or a loop fails.

        Raises:
            KubeError: the store cannot be filled.
        """
        await self._look_around()
        await self.relist()
        settings = self._settings
        loops = [
            *(self._reconciler.work() for _ in range(settings.workers)),
            _every(settings.tick, "a round of verdicts", self._evaluator.tick),
            _every(settings.resync, "the resync", self.relist),
            _every(settings.resync, "looking up aliases", self._aliases.look_up),
            _every(_API_SECONDS, "looking for APIs", self._await_apis),
            _every(_SURROUNDINGS_SECONDS, "looking at what governance relies on", self._look_around),
            _every(settings.tick, "writing reports", self._reports.all),
            self._dry_run.run(),
            self._policies.run(),
            self._turns.run(),
        ]
        if self._sealer.enabled:
            loops.append(_every(_SEALING_SECONDS, "sealing records", self._sealer.round))
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop)
        finally:
            await self._rule_worker.close()

    async def relist(self) -> None:
        """Heal what a watch may have missed, and decide about every deployment afresh."""
        await self._resync.all()
        self._reports.doubt()
        self._wake_all()
        self.last_resync = time.monotonic()

    async def _await_apis(self) -> None:
        """Carry on by itself when KServe or the Gateway API is installed after us."""
        if not self._offers.complete and await self._resync.look_for_apis():
            await self.relist()

    async def _look_around(self) -> None:
        if self._surroundings is not None and await self._surroundings.look():
            self._wake_all()

    def _sources(self, surroundings: Surroundings | None) -> Sources:
        own = Sources(
            hand_edits=self._actor.hand_edits,
            rules=self._rules.outcomes,
            seal=self._sealer.seal,
            anchoring=self._sealer.anchoring,
            logging=self._settings.sink is not None,
            wake=self.queue.add,
        )
        if surroundings is None:
            return own
        return replace(
            own,
            evidence=surroundings.evidence,
            identities=surroundings.identities,
            guards=surroundings.guards,
        )

    def _news(self, kind: Kind, item: Object, gone: bool) -> None:  # noqa: FBT001 - the shape of resync.News
        """Something is not as it was: whom does that concern?"""
        if kind in (MODEL_MONITORS, CLUSTER_MODEL_MONITORS):
            self._dry_run.wake()
        if kind == GOVERNANCE_POLICIES:
            self._policies.wake()
        if kind in (MODEL_MONITORS, CLUSTER_MODEL_MONITORS, GATEWAYS, GOVERNANCE_POLICIES):
            self._turns.take(self.store.all(MODEL_DEPLOYMENTS))
        elif (owner := owner_of(kind, item)) is not None:
            self.queue.add(owner)
            if kind == MODEL_DEPLOYMENTS:
                for heir in self._hostnames.take_in(item, gone=gone):
                    self.queue.add(heir)

    def _wake_all(self) -> None:
        for item in self.store.all(MODEL_DEPLOYMENTS):
            self.queue.add(Key(item["metadata"]["namespace"], item["metadata"]["name"]))

    def _signature(self, key: Key, revision: str) -> list[Column]:
        item = self.store.get(MODEL_REVISIONS, key.namespace, revision)
        return ModelRevisionSpec.model_validate(item["spec"]).model.signature if item else []

    def _uid(self, namespace: str, revision: str) -> str | None:
        item = self.store.get(MODEL_REVISIONS, namespace, revision)
        return item["metadata"]["uid"] if item is not None else None

    def _tell(self, key: Key, event: Event) -> None:
        metrics.EVENTS.labels(event.reason, event.type).inc()
        extra = {"reason": event.reason, "namespace": key.namespace, "deployment": key.name, "revision": event.revision}
        log.info(event.message, extra=extra)
        item = self.store.get(MODEL_DEPLOYMENTS, *key)
        if item is not None:
            self._events.post(item, event, self._clock())


async def _every(seconds: float, what: str, do: Callable[[], Awaitable[object]]) -> None:
    """Do something again and again. An error is said, and the next round tries again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await do()
        except KubeError as error:
            log.warning("%s failed: %s", what, error)
        except Exception:  # the rounds must go on: nobody would notice that they stopped
            log.exception("%s failed", what)
