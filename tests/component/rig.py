"""A running operator against a real API server, with everything that would need nodes played by the test.

Real: etcd, kube-apiserver, all CRDs, kopf, the whole operator. Played: what KServe and the gateway controller
would write into status, what Prometheus would answer, and, where a test brings no registry of its own, what MLflow
would answer.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from hack.cluster.controlplane import ControlPlane
from sluice.api.modeldeployment import ModelReference
from sluice.api.modelrevision import ResolvedModel
from sluice.core import reasons
from sluice.core.objects import Object
from sluice.core.world import Resolution, Resolved, Unresolved
from sluice.edges.kinds import (
    DEPLOYMENTS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
    PODS,
    Kind,
)
from sluice.edges.kube import Kube, NotFound
from sluice.edges.registry import Question, Registry
from sluice.engine.operator import Operator, Settings
from sluice.engine.surroundings import Surroundings
from sluice.watch import watch

SERVICE_ACCOUNTS = Kind("v1", "serviceaccounts", "ServiceAccount")


class PlayedRegistry(Registry):
    """Knows every version of every model but 99, and the aliases that a test gives it."""

    def __init__(self) -> None:
        super().__init__("")
        self.refused: dict[str, Unresolved] = {}
        """What is said of a model instead, by its name."""
        self.aliases: dict[str, str] = {}
        """Versions, by alias."""

    def resolve(self, question: Question, done: Callable[[], None]) -> Resolution:
        model = question.model
        if model.name in self.refused:
            return self.refused[model.name]
        if model.version == "99":
            return Unresolved(reasons.MODEL_NOT_FOUND, f"version 99 of model {model.name} is not in MLflow")
        version = model.version or self.aliases.get(model.alias or "", "1")
        digest = f"sha256:{int(version):064x}"
        return Resolved(ResolvedModel(name=model.name, version=version, alias=model.alias, digest=digest))

    async def version_of_alias(self, model: ModelReference) -> str | None:
        return self.aliases.get(model.alias or "")


@dataclass
class PlayedPrometheus:
    """Answers every query with one vector, unless it has another answer for it; counts how often it is asked."""

    vector: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Vectors of their own, by query."""
    refused: dict[str, str] = field(default_factory=dict)
    """What is wrong with a query, by query."""
    available: bool = True
    queries: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """As ``/api/v1/query`` does."""
        query = str((await request.post())["query"])
        self.queries.append(query)
        if not self.available:
            return web.json_response({"status": "error"}, status=503)
        if query in self.refused:
            refusal = {"status": "error", "errorType": "bad_data", "error": self.refused[query]}
            return web.json_response(refusal, status=400)
        result = self.others.get(query, self.vector)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


@dataclass
class Rig:
    """What a test holds."""

    kube: Kube
    session: aiohttp.ClientSession
    prometheus: PlayedPrometheus
    namespace: str
    tick: float = 0.3
    operator_kube: Kube | None = None
    """What the operator speaks to the API server with, where it must not be an administrator."""
    surroundings: Surroundings | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """What else the operator is told."""

    @asynccontextmanager
    async def operating(self, registry: Registry | None = None, resync: float = 3600) -> AsyncIterator[Operator]:
        """An operator that runs until the block ends, as a process that is killed: nothing is tidied up.

        Args:
            registry: what answers for MLflow; played if absent.
            resync: seconds between two full lists, and between two looks at the aliases.
        """
        settings = Settings(
            prometheus_url=self.prometheus.url,
            monitor_url="http://127.0.0.1:9",
            logger_url=None,
            tick=self.tick,
            resync=resync,
            namespaces=(self.namespace, "gateways"),
            **self.settings,
        )
        operator = Operator(
            self.operator_kube or self.kube,
            self.session,
            settings,
            registry or PlayedRegistry(),
            surroundings=self.surroundings,
        )
        tasks = [
            asyncio.create_task(operator.run()),
            asyncio.create_task(watch(operator, (self.namespace, "gateways"))),
        ]
        try:
            yield operator
        finally:
            died = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in died:
                task.result()  # why it died says more than what the test waited for in vain

    async def get(self, kind: Kind, name: str) -> Object:
        """An object as it is now."""
        return await self.kube.get(kind, self.namespace, name)

    async def eventually(self, what: str, ask: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
        """Wait until a question is answered with yes: asked often at first, and less often the longer it takes."""
        deadline, pause = asyncio.get_running_loop().time() + seconds, 0.05
        while True:
            try:
                if await ask():
                    return
            except NotFound:
                pass
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{await self.story()}")
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, 0.25)

    async def story(self) -> str:
        """Where things stand, for a failure message."""
        lines = []
        for kind in (MODEL_DEPLOYMENTS, MODEL_REVISIONS):
            for item in await self.kube.list(kind, self.namespace):
                status = item.get("status", {})
                said = f"{status.get('phase')}: {status.get('message')} {status.get('traffic', '')}"
                lines.append(f"{item['metadata']['name']}: {said}")
        for item in await self.kube.list(HTTP_ROUTES, self.namespace):
            parents = item.get("status", {}).get("parents", [])
            taken = [c.get("observedGeneration") for parent in parents for c in parent["conditions"]]
            lines.append(
                f"route {item['metadata']['name']}: generation {item['metadata']['generation']}, taken {taken}"
            )
        return "\n".join(lines)

    async def phase(self, name: str, wanted: str, seconds: float = 60) -> None:
        """Wait for a deployment's phase."""

        async def there() -> bool:
            status = (await self.get(MODEL_DEPLOYMENTS, name)).get("status", {})
            return bool(status.get("phase") == wanted)

        await self.eventually(f"{name} is {wanted}", there, seconds)

    async def says(self, kind: str, reason: str, name: str = "scorer") -> Object:
        """Wait until a condition of a deployment, as it now is, has a reason; the whole status."""
        found: Object = {}

        async def there() -> bool:
            item = await self.get(MODEL_DEPLOYMENTS, name)
            found.update(item.get("status", {}))
            said = condition(found, kind) if "conditions" in found else {}
            return (said.get("reason"), said.get("observedGeneration")) == (reason, item["metadata"]["generation"])

        await self.eventually(f"{kind} of {name} says {reason}", there)
        return found

    async def share(self, revision: str, percent: int, name: str = "scorer") -> None:
        """Wait until a revision was seen to have a share of the traffic."""

        async def there() -> bool:
            status = (await self.get(MODEL_DEPLOYMENTS, name)).get("status", {})
            return {"revision": revision, "weight": percent} in status.get("traffic", [])

        await self.eventually(f"{revision} has {percent} %", there)

    @asynccontextmanager
    async def untouched(self, seconds: float = 1.5) -> AsyncIterator[None]:
        """Within the block, and for a while after it, nothing is written that decides about requests.

        That is the route, and the InferenceServices behind it; none appears and none goes.
        """
        before, since = await self._versions(), 0
        while since < 4:  # what was under way when we came is not held against the block
            await asyncio.sleep(0.25)
            now = await self._versions()
            before, since = now, since + 1 if now == before else 0
        yield
        await asyncio.sleep(seconds)
        assert await self._versions() == before, await self.story()

    async def _versions(self) -> dict[str, str]:
        return {
            f"{kind.kind}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for kind in (HTTP_ROUTES, INFERENCE_SERVICES)
            for item in await self.kube.list(kind, self.namespace)
        }

    async def exists(self, kind: Kind, name: str) -> None:
        """Wait for an object."""

        async def there() -> bool:
            return bool(await self.get(kind, name))

        await self.eventually(f"{kind.kind} {name} exists", there)

    async def ready(self, revision: str) -> None:
        """Play KServe: the revision's Deployment exists and is available."""
        await self.deployed(revision, available=1)

    async def deployed(self, revision: str, *, available: int) -> None:
        """Play KServe: the revision's Deployment exists, with a pod that is available or not."""
        await self.exists(INFERENCE_SERVICES, revision)
        name = f"{revision}-predictor"
        labels = {"app": name, "serving.kserve.io/inferenceservice": revision}
        container = {"name": "kserve-container", "image": "none"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        owner = await self.get(INFERENCE_SERVICES, revision)
        reference = {key: owner[key] for key in ("apiVersion", "kind")} | {
            key: owner["metadata"][key] for key in ("name", "uid")
        }
        item: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}
        item["metadata"] = {
            "name": name,
            "namespace": self.namespace,
            "labels": labels,
            "ownerReferences": [reference],
        }
        made = await self.kube.apply(DEPLOYMENTS, item)
        status = {"observedGeneration": made["metadata"]["generation"]}
        status |= dict.fromkeys(("replicas", "updatedReplicas"), 1)
        status |= dict.fromkeys(("readyReplicas", "availableReplicas"), available)
        await self.kube.apply_status(DEPLOYMENTS, made, status)

    async def pod(self, revision: str, **status: Any) -> None:
        """Play the kubelet: the revision's Deployment has one pod, not available, with this status."""
        await self.deployed(revision, available=0)
        # Without it, the API server takes no pods. A controller makes it elsewhere.
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": self._named("default")}
        await self.kube.apply(SERVICE_ACCOUNTS, account)
        container = {"name": "kserve-container", "image": "none"}
        item: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": self._named(f"{revision}-predictor-x")}
        item["metadata"]["labels"] = {"serving.kserve.io/inferenceservice": revision}
        item["spec"] = {"automountServiceAccountToken": False, "containers": [container]}
        await self.kube.apply_status(PODS, await self.kube.apply(PODS, item), status)

    def _named(self, name: str) -> Object:
        return {"name": name, "namespace": self.namespace}

    @asynccontextmanager
    async def gateway_controller(self) -> AsyncIterator[None]:
        """Play the gateway controller: every route to a Gateway that exists is accepted as soon as it is seen."""

        async def accept() -> None:
            while True:
                found = await self.kube.snapshot(HTTP_ROUTES, self.namespace)
                for route in found.items:
                    await self.accept(route)
                with suppress(TimeoutError):  # on a busy machine a watch may not end when it was told to
                    async with asyncio.timeout(5), aclosing(self._news(HTTP_ROUTES, found.resource_version)) as news:
                        async for route in news:
                            await self.accept(route)

        task = asyncio.create_task(accept())
        try:
            yield
        finally:
            if not task.cancel():
                task.result()  # why it died says more than what the test waited for in vain

    async def _news(self, kind: Kind, version: int, seconds: int = 2) -> AsyncGenerator[Object, None]:
        """The objects of a kind as they change after a version. Ends soon, for the list to be the last word."""
        client = self.kube._client
        assert client is not None
        path = kind.path(self.namespace)
        query = urlencode({"watch": "true", "resourceVersion": version, "timeoutSeconds": seconds})
        headers: dict[str, str] = {}
        await client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        answer = await client.call_api("GET", f"{client.configuration.host}{path}?{query}", headers)
        async with answer.response:
            async for line in answer.response.content:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]

    async def accept(self, route: Object) -> None:
        """Play the gateway controller for one route, as it was seen."""
        generation = route["metadata"]["generation"]
        seen = [
            c.get("observedGeneration") for p in route.get("status", {}).get("parents", []) for c in p["conditions"]
        ]
        if seen and set(seen) == {generation}:
            return
        gateway = {key: route["spec"]["parentRefs"][0][key] for key in ("name", "namespace")}
        try:
            await self.kube.get(GATEWAYS, gateway["namespace"], gateway["name"])
        except NotFound:
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": kind,
                "message": "",
                "observedGeneration": generation,
                "lastTransitionTime": now,
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parent: Object = {"controllerName": "test.sluice.dev/played", "conditions": conditions, "parentRef": gateway}
        try:
            await self.kube.apply_status(HTTP_ROUTES, route, {"parents": [parent]})
        except Exception:  # noqa: BLE001 - the operator wrote in between, or deleted it; the next round sees to it
            return


def condition(status: Object, kind: str) -> Object:
    """One condition of a status."""
    found: Object = next(c for c in status["conditions"] if c["type"] == kind)
    return found


@asynccontextmanager
async def rig(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Rig]:
    """A rig in a namespace, connected as administrator."""
    os.environ["KUBECONFIG"] = str(control_plane.kubeconfig)
    prometheus = PlayedPrometheus()
    application = web.Application()
    application.add_routes([web.post("/api/v1/query", prometheus.answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    prometheus.url = f"http://127.0.0.1:{port}"
    kube = await Kube.connect()
    try:
        async with aiohttp.ClientSession() as session:
            yield Rig(kube, session, prometheus, namespace)
    finally:
        await kube.close()
        await runner.cleanup()
