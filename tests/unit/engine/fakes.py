"""An API server in a dictionary, with the rules that the engine relies on, and an engine around it without a loop.

Kept to what the real one does (the component tests hold it to that): resource versions grow over all objects,
``generation`` counts changes of the spec, a stale resource version is a Conflict, deletion has preconditions,
managed fields name who wrote.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.api.base import format_time
from sluice.api.modelrevision import ResolvedModel
from sluice.core import mergepatch
from sluice.core.objects import Object
from sluice.core.plan import Event
from sluice.core.world import Resolution, Resolved
from sluice.edges.kinds import DEPLOYMENTS, GATEWAYS, HTTP_ROUTES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS, Kind
from sluice.edges.kube import Conflict, KubeError, NotFound, Unavailable
from sluice.edges.registry import Question, Registry
from sluice.engine.act import Actor
from sluice.engine.aliases import Aliases
from sluice.engine.evaluator import Evaluator
from sluice.engine.hooks import Hooks
from sluice.engine.hostnames import Hostnames
from sluice.engine.observe import Observer
from sluice.engine.oversight import Overseer, Sources
from sluice.engine.queue import Queue
from sluice.engine.reconcile import Reconciler
from sluice.engine.refusals import Refusals
from sluice.engine.resync import Offers
from sluice.engine.rules import Rules
from sluice.engine.sealer import Sealer, Sealing
from sluice.engine.store import Key, Store, owner_of
from tests.unit.engine.answers import PlayedAsker, PlayedDrift, PlayedJudge, PlayedPost, PlayedPrometheus

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Crash(BaseException):
    """The process ends here, right after a write."""


Address = tuple[Kind, str, str]


@dataclass
class FakeKube:
    """Implements what the engine needs of ``edges.kube.Kube``."""

    watchers: list[Callable[[Kind, Object, bool], None]] = field(default_factory=list)
    """Called with every change: the object, and whether it is gone."""
    refuse: dict[Address, KubeError] = field(default_factory=dict)
    """Errors for writes to these addresses."""
    lose_answers_to: set[Address] = field(default_factory=set)
    """Addresses of which a write is done and its answer lost."""
    crash_after: int | None = None
    """Writes until the process dies."""
    writes: list[tuple[str, str, str]] = field(default_factory=list)
    """Every write by the operator: verb, kind, name."""
    objects: dict[Address, Object] = field(default_factory=dict)
    clock: Callable[[], datetime] = lambda: START
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    # What the engine calls

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        return copy.deepcopy(self._live((kind, namespace or "", name)))

    async def create(self, kind: Kind, item: Object) -> Object:
        address = _address(kind, item)
        self._admit(address)
        if address in self.objects:
            raise Conflict(409, f"{kind.kind} {address[2]} exists already")
        return self._wrote("create", address, self._new(kind, item, "sluice"))

    async def apply(self, kind: Kind, item: Object) -> Object:
        address = _address(kind, item)
        self._admit(address)
        if address not in self.objects:
            return self._wrote("apply", address, self._new(kind, item, "sluice"))
        return self._wrote("apply", address, self._merged(address, item, "sluice"))

    async def apply_status(self, kind: Kind, seen: Object, status: Object) -> Object:
        address = _address(kind, seen)
        self._admit(address)
        live = self._same_version(address, seen)
        after = copy.deepcopy({**live, "status": status})
        return self._wrote("apply_status", address, self._store(address, after))

    async def merge_patch(self, kind: Kind, seen: Object, patch: Object) -> Object:
        address = _address(kind, seen)
        self._admit(address)
        self._same_version(address, seen)
        return self._wrote("merge_patch", address, self._merged(address, patch, "sluice"))

    async def delete(self, kind: Kind, seen: Object) -> Object | None:
        address = _address(kind, seen)
        self._admit(address)
        try:
            live = self._live(address)
        except NotFound:
            return None
        if live["metadata"]["uid"] != seen["metadata"]["uid"]:
            raise Conflict(409, "the uid is another")
        self.remove(*address)
        self._count("delete", address)
        return None

    # What a test plays: other people and controllers

    def put(self, kind: Kind, item: Object, manager: str = "kubectl-edit") -> Object:
        """Someone else creates an object, or merges fields into it; None removes a field."""
        address = _address(kind, item)
        if address in self.objects:
            return self._merged(address, item, manager)
        return self._new(kind, item, manager)

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Someone else deletes an object; what it owns goes with it."""
        gone = self.objects.pop((kind, namespace, name))
        gone["metadata"]["resourceVersion"] = str(next(self._numbers))
        self._tell(kind, gone, gone=True)
        uid = gone["metadata"]["uid"]
        for other, item in list(self.objects.items()):
            if any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", [])):
                self.remove(*other)

    def names(self, kind: Kind) -> list[str]:
        """The names of all objects of a kind."""
        return sorted(name for k, _, name in self.objects if k == kind)

    def _live(self, address: Address) -> Object:
        try:
            return self.objects[address]
        except KeyError:
            raise NotFound(404, f"{address[0].kind} {address[2]} not found") from None

    def _same_version(self, address: Address, seen: Object) -> Object:
        live = self._live(address)
        if live["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]:
            raise Conflict(409, "the object has been modified")
        return live

    def _new(self, kind: Kind, item: Object, manager: str) -> Object:
        made = copy.deepcopy(item)
        made["metadata"] |= {
            "uid": f"uid-{next(self._numbers)}",
            "generation": 1,
            "creationTimestamp": format_time(self.clock().replace(microsecond=0)),
            "managedFields": [{"manager": manager, "time": "1", "fieldsV1": {"f:metadata": {}, "f:spec": {}}}],
        }
        return self._store(_address(kind, item), made)

    def _merged(self, address: Address, item: Object, manager: str) -> Object:
        live = self._live(address)
        after: Object = mergepatch.apply({k: v for k, v in item.items() if k != "metadata"}, copy.deepcopy(live))
        said = item.get("metadata", {})
        for part in ("labels", "annotations", "ownerReferences"):
            if part in said:
                there = after["metadata"].get(part, {})
                after["metadata"][part] = {**there, **said[part]} if isinstance(said[part], dict) else said[part]
        if after == live:
            return copy.deepcopy(live)
        if after.get("spec") != live.get("spec"):
            after["metadata"]["generation"] += 1
        fields = after["metadata"]["managedFields"]
        changed: Object = {f"f:{part}": {} for part in ("metadata", "spec") if after.get(part) != live.get(part)}
        entry = {"manager": manager, "time": str(len(fields) + 1), "fieldsV1": changed}
        after["metadata"]["managedFields"] = [*fields, entry]
        return self._store(address, after)

    def _store(self, address: Address, item: Object) -> Object:
        item["metadata"]["resourceVersion"] = str(next(self._numbers))
        self.objects[address] = item
        self._tell(address[0], item, gone=False)
        return copy.deepcopy(item)

    def _tell(self, kind: Kind, item: Object, *, gone: bool) -> None:
        for watcher in self.watchers:
            watcher(kind, copy.deepcopy(item), gone)

    def _admit(self, address: Address) -> None:
        if address in self.refuse:
            raise self.refuse[address]

    def _wrote(self, verb: str, address: Address, answer: Object) -> Object:
        self._count(verb, address)
        return answer

    def _count(self, verb: str, address: Address) -> None:
        self.writes.append((verb, address[0].kind, address[2]))
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after <= 0:
                raise Crash
        if address in self.lose_answers_to:
            raise Unavailable(0, "the connection was reset")


def _address(kind: Kind, item: Object) -> Address:
    return kind, item["metadata"].get("namespace", ""), item["metadata"]["name"]


class KnownModels(Registry):
    """Knows every version."""

    def __init__(self) -> None:
        super().__init__("")

    def resolve(self, question: Question, done: Callable[[], None]) -> Resolution:
        version = question.model.version or "1"
        return Resolved(
            ResolvedModel(
                name=question.model.name,
                version=version,
                alias=question.model.alias,
                digest=f"sha256:{int(version):064x}",
            )
        )


class Engine:
    """The engine of one process, driven by hand. KServe and the gateway do their part at once."""

    def __init__(self, kube: FakeKube, clock: Callable[[], datetime], sealing: Sealing = Sealing()) -> None:
        self.kube = kube
        self.store = Store()
        self.told: list[Event] = []
        self.seconds = lambda: clock().timestamp()
        self.queue: Queue[Key] = Queue(self.seconds)
        self.hostnames = Hostnames()
        self.offers = Offers()
        self.prometheus = PlayedPrometheus()
        self.drift = PlayedDrift()
        registry = KnownModels()
        refusals = Refusals()
        self.judge = PlayedJudge()
        self.rules = Rules(self.judge, self.queue.add, self.seconds)
        actor = Actor(self.store, kube, None, refusals, lambda _key, event: self.told.append(event))
        self.webhooks, self.performance, self.examinations = PlayedAsker(), PlayedAsker(), PlayedAsker()
        self.post = PlayedPost()
        self.hooks = Hooks(self.post, self.queue.add, lambda _key, event: self.told.append(event), pause=0)
        self.evaluator = Evaluator(
            self.prometheus,
            self.drift,
            clock,
            self.queue.add,
            lambda _key, _revision: [],
            self.webhooks,
            self.performance,
            self.examinations,
        )
        self.sealer = Sealer(
            store=self.store,
            kube=kube,
            sealing=sealing,
            clock=clock,
            wake=self.queue.add,
            tell=lambda _key, event: self.told.append(event),
        )
        sources = Sources(
            hand_edits=actor.hand_edits,
            rules=self.rules.outcomes,
            seal=self.sealer.seal,
            anchoring=self.sealer.anchoring,
            wake=self.queue.add,
        )
        observer = Observer(
            store=self.store,
            registry=registry,
            offers=self.offers,
            aliases=Aliases(self.store, registry, self.queue.add),
            hostnames=self.hostnames,
            refusals=refusals,
            overseer=Overseer(self.store, sources),
            hooks=self.hooks,
            wake=self.queue.add,
        )
        self.reconciler = Reconciler(
            store=self.store,
            queue=self.queue,
            kube=kube,
            observer=observer,
            evaluator=self.evaluator,
            rules=self.rules,
            hooks=self.hooks,
            actor=actor,
            clock=clock,
        )
        for (kind, _, _), item in list(kube.objects.items()):
            self._seen(kind, copy.deepcopy(item), False)
        kube.watchers.append(self._seen)

    def stop(self) -> None:
        """The process is gone."""
        self.kube.watchers.remove(self._seen)

    async def settle(self, most: int = 1000) -> None:
        """Reconcile until nothing is due."""
        for _ in range(most):
            self._play()
            key = self.queue.pop()
            if key is None:
                return
            failed = False
            try:
                await self.reconciler.reconcile(key)
            except KubeError:
                failed = True
            self.queue.done(key, failed=failed)
        raise AssertionError(f"it does not come to rest: {self.kube.writes[-10:]}")

    @property
    def reasons(self) -> list[str]:
        """What was told, by reason."""
        return [event.reason for event in self.told]

    def _seen(self, kind: Kind, item: Object, gone: bool) -> None:
        if gone:
            self.store.drop(kind, item)
        elif not self.store.put(kind, item):
            return
        if kind == MODEL_DEPLOYMENTS:
            self.hostnames.take_in(item, gone=gone)
        if (owner := owner_of(kind, item)) is not None:
            self.queue.add(owner)

    def _play(self) -> None:
        for (kind, namespace, name), item in list(self.kube.objects.items()):
            if kind == INFERENCE_SERVICES and (DEPLOYMENTS, namespace, f"{name}-predictor") not in self.kube.objects:
                self.kube.put(DEPLOYMENTS, _available(item), "kserve")
            if kind == HTTP_ROUTES:
                self.kube.put(HTTP_ROUTES, {"metadata": item["metadata"], "status": _programmed(item)}, "gateway")


@dataclass
class Time:
    """A clock that moves when told."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def _available(service: Object) -> Object:
    metadata = service["metadata"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": f"{metadata['name']}-predictor",
            "namespace": metadata["namespace"],
            "labels": {"serving.kserve.io/inferenceservice": metadata["name"]},
            "ownerReferences": [{"kind": "InferenceService", "name": metadata["name"], "uid": metadata["uid"]}],
        },
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, **counts},
    }


def _programmed(route: Object) -> Object:
    generation = route["metadata"]["generation"]
    conditions = [
        {"type": kind, "status": "True", "reason": kind, "observedGeneration": generation}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return {"parents": [{"parentRef": {"name": "models", "namespace": "gateways"}, "conditions": conditions}]}


def gateway() -> Object:
    """The Gateway that every deployment of these tests names."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "models", "namespace": "gateways"},
        "spec": {},
        "status": {"conditions": [{"type": "Programmed", "status": "True"}]},
    }


def deployment(version: str = "1", name: str = "scorer", **spec: Any) -> Object:
    """A ModelDeployment with one step of 10 s."""
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": "risk"},
        "spec": {
            "model": {"name": "scorer", "version": version},
            "serving": {"modelFormat": "sklearn"},
            "traffic": {"gateway": {"name": "models", "namespace": "gateways"}, "hostnames": [f"{name}.example"]},
            "rollout": {"steps": [{"weight": 50, "hold": "10s"}, {"weight": 100}]},
            **spec,
        },
    }


def cluster(time: Time) -> FakeKube:
    """An API server with a Gateway."""
    kube = FakeKube(clock=time)
    kube.put(GATEWAYS, gateway())
    return kube
