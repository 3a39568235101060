"""What the engine costs: 200 canaries with 3 gauges each on a real API server.

    uv run python -m bench.engine [--canaries 200]

Real: etcd, kube-apiserver, the CRDs, the operator in a process of its own. Played: pods, gateway controller,
MLflow and Prometheus, so that what is measured is the engine. Takes about four minutes, ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from hack import documents
from hack.cluster import binaries, cache
from hack.cluster.controlplane import ControlPlane
from sluice.core.objects import Object
from sluice.edges.kinds import (
    CLUSTER_MODEL_MONITORS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
    Kind,
)
from sluice.edges.kube import Kube, NotFound
from sluice.engine.operator import Operator, Settings
from sluice.watch import watch
from tests.component.kube import Api, Refused
from tests.component.rig import PlayedPrometheus, PlayedRegistry, Rig

NAMESPACE = "bench"
TICK = 5.0
MONITORS = ("error-rate", "latency-p99", "workload-health")
CRD = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)


class Gauges(PlayedPrometheus):
    """A Prometheus that knows every route; ``breached`` is the one whose candidate answers with errors."""

    routes: int = 0
    breached: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """As ``/api/v1/query`` does."""
        query = str((await request.post())["query"])
        self.queries.append(query)
        series = [self._series(query, number, lane) for number in range(self.routes) for lane in ("0", "1")]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": series}})

    def _series(self, query: str, number: int, lane: str) -> dict[str, Any]:
        name = f"model-{number}"
        value = 1000.0
        if "rq_xx" in query:
            value = 900.0 if lane == "1" and name == self.breached else 0.0
        elif "* (1 -" in query:  # the requests that took too long
            value = 0.0
        metric = {"route_namespace": NAMESPACE, "route": name, "backend": lane}
        return {"metric": metric, "value": [time.time(), str(value)]}


def operate(prometheus_url: str) -> None:
    """The operator, in a process of its own, until it is killed."""

    async def run() -> None:
        kube = await Kube.connect()
        settings = Settings(
            prometheus_url=prometheus_url,
            monitor_url="http://127.0.0.1:9",
            logger_url=None,
            tick=TICK,
            namespaces=(NAMESPACE, "gateways"),
        )
        async with aiohttp.ClientSession() as session:
            operator = Operator(kube, session, settings, PlayedRegistry())
            await asyncio.gather(operator.run(), watch(operator, settings.namespaces))

    asyncio.run(run())


def deployment(number: int, version: str) -> Object:
    """Deployment ``number``, with a hold that outlasts the benchmark."""
    return {
        "apiVersion": MODEL_DEPLOYMENTS.api_version,
        "kind": MODEL_DEPLOYMENTS.kind,
        "metadata": {"name": f"model-{number}", "namespace": NAMESPACE},
        "spec": {
            "model": {"name": "scorer", "version": version},
            "serving": {"modelFormat": "sklearn"},
            "traffic": {
                "gateway": {"name": "models", "namespace": "gateways"},
                "hostnames": [f"model-{number}.example"],
            },
            "rollout": {"steps": [{"weight": 50, "hold": "1h" if version != "1" else "1s"}, {"weight": 100}]},
            "monitors": [{"name": name} for name in MONITORS],
        },
    }


async def gather(limit: int, calls: list[Callable[[], Awaitable[object]]]) -> None:
    """Make calls, ``limit`` at a time."""
    slots = asyncio.Semaphore(limit)

    async def one(call: Callable[[], Awaitable[object]]) -> None:
        async with slots:
            await call()

    await asyncio.gather(*(one(call) for call in calls))


async def seconds_until(ask: Callable[[], Awaitable[bool]], most: float = 120) -> float:
    """How long until a question is answered with yes."""
    started = time.perf_counter()
    while time.perf_counter() - started < most:
        try:
            if await ask():
                return time.perf_counter() - started
        except NotFound:
            pass
        await asyncio.sleep(0.01)
    raise TimeoutError(f"not within {most} s")


def resident(pid: int) -> float:
    """A process's resident memory in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def cpu_seconds(pid: int) -> float:
    """A process's CPU time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Bench:
    """One run."""

    def __init__(self, rig: Rig, gauges: Gauges, pid: int, canaries: int) -> None:
        self._rig = rig
        self._gauges = gauges
        self._pid = pid
        self._canaries = canaries

    async def run(self) -> None:
        """Everything, in the order in which it builds up."""
        every = range(self._canaries)
        spent, started = cpu_seconds(self._pid), time.perf_counter()
        await self._apply(every, "1")
        await self._until_phase(every, "Healthy")
        await self._apply(every, "2")
        await self._until_weight(every, 50)
        writes = await self._versions()
        print(
            f"{self._canaries} first releases and canaries at 50 %: {time.perf_counter() - started:.0f} s of wall time"
        )
        per_write = (cpu_seconds(self._pid) - spent) / max(1, writes) * 1000
        floor = await self._floor()
        print(f"CPU per write: operator {per_write:.1f} ms, bare client {floor:.1f} ms, ratio {per_write / floor:.1f}")
        await self._rest()
        await self._spec_change()
        await self._breach()
        print(f"operator memory with {self._canaries} canaries: {resident(self._pid):.0f} MiB (limit 150)")

    async def _apply(self, numbers: range, version: str) -> None:
        kube = self._rig.kube
        await gather(8, [lambda n=n: kube.apply(MODEL_DEPLOYMENTS, deployment(n, version)) for n in numbers])  # type: ignore[misc]
        await gather(8, [lambda n=n: self._rig.ready(f"model-{n}-r{version}") for n in numbers])  # type: ignore[misc]

    async def _until_phase(self, numbers: range, phase: str) -> None:
        for number in numbers:
            await self._rig.phase(f"model-{number}", phase, 120)

    async def _until_weight(self, numbers: range, weight: int) -> None:
        async def all_there() -> bool:
            items = await self._rig.kube.list(MODEL_DEPLOYMENTS, NAMESPACE)
            shares = [share["weight"] for item in items for share in item["status"].get("traffic", [])]
            return shares.count(weight) >= 2 * len(numbers)

        await seconds_until(all_there, 180)

    async def _versions(self) -> int:
        """The sum of generations and status versions: how often anything was written, at least."""
        kinds = (MODEL_DEPLOYMENTS, MODEL_REVISIONS, INFERENCE_SERVICES, HTTP_ROUTES)
        listed = [item for kind in kinds for item in await self._rig.kube.list(kind, NAMESPACE)]
        steps = [len(item.get("status", {}).get("steps", [])) * 3 for item in listed]
        return sum(int(item["metadata"].get("generation", 1)) for item in listed) + sum(steps)

    async def _floor(self) -> float:
        """CPU of one bare server-side apply, in ms, with the same client library."""
        item = deployment(0, "2")
        before = time.process_time()
        for number in range(200):
            item["metadata"]["labels"] = {"bench": str(number)}
            await self._rig.kube.apply(MODEL_DEPLOYMENTS, item)
        return (time.process_time() - before) / 200 * 1000

    async def _rest(self) -> None:
        await asyncio.sleep(80)  # until the gauges' windows lie wholly within the step, which is news once
        kinds = (MODEL_DEPLOYMENTS, MODEL_REVISIONS, INFERENCE_SERVICES, HTTP_ROUTES)

        async def versions() -> list[str]:
            return [
                item["metadata"]["resourceVersion"]
                for kind in kinds
                for item in await self._rig.kube.list(kind, NAMESPACE)
            ]

        before, asked, spent = await versions(), len(self._gauges.queries), cpu_seconds(self._pid)
        await asyncio.sleep(6 * TICK)
        changed = sum(1 for old, new in zip(before, await versions(), strict=True) if old != new)
        queries = (len(self._gauges.queries) - asked) / 6
        share = (cpu_seconds(self._pid) - spent) / (6 * TICK)
        print(f"at rest: {changed} writes in six ticks (limit 0), {queries:.1f} queries a tick (limit 10)")
        print(f"at rest: {share:.1%} of a core")

    async def _spec_change(self) -> None:
        taken = []
        for number in range(min(20, self._canaries // 2)):
            item = deployment(number, "3")
            await self._rig.kube.apply(MODEL_DEPLOYMENTS, item)

            async def written(number: int = number) -> bool:
                return bool(await self._rig.get(INFERENCE_SERVICES, f"model-{number}-r3"))

            taken.append(await seconds_until(written))
        print(
            "spec change to InferenceService: "
            f"median {statistics.median(taken):.3f} s, most {max(taken):.3f} s (limit 1)"
        )

    async def _breach(self) -> None:
        taken = []
        for number in range(self._canaries // 2, min(self._canaries // 2 + 10, self._canaries)):
            name = f"model-{number}"
            self._gauges.breached = name

            async def out(name: str = name) -> bool:
                route = await self._rig.get(HTTP_ROUTES, name)
                return bool(route["spec"]["rules"][0]["backendRefs"][1]["weight"] == 1)

            taken.append(await seconds_until(out))
        median, most = statistics.median(taken), max(taken)
        print(f"breach to route written: median {median:.2f} s, most {most:.2f} s (limit {TICK + 2:.0f})")


def prepare(api: Api) -> None:
    """CRDs, gauges and a Gateway that is programmed."""
    binaries.build("kserve", "envoy-gateway")
    files = [*sorted((cache.REPOSITORY / "crds").glob("*.yaml")), *binaries.assets("kserve")]
    for file in (*files, *binaries.assets("envoy-gateway")):
        for item in documents.read(file.read_text()):
            if item["kind"] == "CustomResourceDefinition":
                path = f"{CRD.path()}/{item['metadata']['name']}"
                query = {"fieldManager": "bench", "force": "true"}
                api.request("PATCH", path, item, query=query, content="application/apply-patch+yaml")
    for name in ("gateways", NAMESPACE):
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    gateways = "/apis/gateway.networking.k8s.io/v1/namespaces/gateways/gateways"
    spec = {"gatewayClassName": "played", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    gateway: Object = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "spec": spec}
    gateway["metadata"] = {"name": "models", "namespace": "gateways"}
    _patiently(lambda: api.request("POST", gateways, gateway))
    programmed = {"type": "Programmed", "status": "True", "reason": "Programmed", "message": ""}
    status = {"status": {"conditions": [programmed | {"lastTransitionTime": "2026-11-24T00:00:00Z"}]}}
    api.request("PATCH", f"{gateways}/models/status", status, content="application/merge-patch+json")
    for name in MONITORS:
        monitor = yaml.safe_load((cache.REPOSITORY / "monitors" / f"{name}.yaml").read_text())
        _patiently(partial(api.request, "POST", CLUSTER_MODEL_MONITORS.path(), monitor))


def _patiently(call: Callable[[], object]) -> None:
    for _ in range(100):
        try:
            call()
            return
        except Refused:  # the kind is not served yet
            time.sleep(0.2)
    call()


@asynccontextmanager
async def engine(deployments: int) -> AsyncIterator[tuple[Rig, Gauges, int]]:
    """An operator in a process of its own, with gauges of that many deployments; its process id is the last of three.

    It talks to the API server of ``KUBECONFIG``, which must be prepared.
    """
    gauges = Gauges()
    gauges.routes = deployments
    application = web.Application()
    application.add_routes([web.post("/api/v1/query", gauges.answer)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gauges.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    process = multiprocessing.get_context("spawn").Process(target=operate, args=(gauges.url,), daemon=True)
    process.start()
    assert process.pid is not None
    kube = await Kube.connect()
    try:
        async with aiohttp.ClientSession() as session:
            rig = Rig(kube, session, gauges, NAMESPACE)
            async with rig.gateway_controller():
                yield rig, gauges, process.pid
    finally:
        process.kill()
        await kube.close()
        await runner.cleanup()


async def measure(canaries: int) -> None:
    """Start what is played and the operator, and measure."""
    async with engine(canaries) as (rig, gauges, pid):
        await Bench(rig, gauges, pid, canaries).run()


@contextmanager
def api_server() -> Iterator[None]:
    """A prepared API server; ``KUBECONFIG`` names it."""
    with tempfile.TemporaryDirectory() as directory, ControlPlane(Path(directory)) as plane:
        os.environ["KUBECONFIG"] = str(plane.kubeconfig)
        prepare(Api(plane.kubeconfig))
        yield


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser("python -m bench.engine", description=__doc__)
    parser.add_argument("--canaries", type=int, default=200, help="rollouts at a time (default: %(default)s)")
    options = parser.parse_args()
    with api_server():
        asyncio.run(measure(options.canaries))


if __name__ == "__main__":
    main()
