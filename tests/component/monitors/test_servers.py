"""The shipped gauges of model servers on a real Prometheus: from what pods export to a verdict.

Each server is a deployment with a stable revision and three candidates, of two pods each: a good one, a bad one, and
one that has got no requests yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice.api.modeldeployment import MonitorUse
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import promql, reasons, slo
from sluice.core.plan import Evaluation
from sluice.edges.prometheus import Prometheus
from tests.component.monitors.scraping import SCRAPE, WINDOW, gauge, running, until_scraped
from tests.component.monitors.servers import KServePod, Load, MLServerPod, Pod, TritonPod, VLLMPod

pytestmark = [pytest.mark.component, pytest.mark.asyncio(loop_scope="module")]

GOOD = Load(requests=300, cancelled=50, cut_off=10)
"""Of one pod. A client that gives up is nobody's fault."""
BAD = {
    "kserve": Load(requests=300, seconds=0.08),
    "mlserver": Load(requests=300, failures=30, seconds=0.08, in_work=9),
    "triton": Load(requests=300, failures=30, seconds=0.06, queued=0.04),
    "vllm": Load(requests=300, seconds=2, queued=1.8, cut_off=100, tokens=400, token_seconds=0.3),
}
KINDS: dict[str, Callable[[float], Pod]] = {
    "kserve": KServePod,
    "mlserver": MLServerPod,
    "triton": TritonPod,
    "vllm": VLLMPod,
}
REPLICAS = 2

GAUGES = [
    # gauge, server, value where good, value where bad, reason of the fail
    ("model-latency", "kserve", 0.02425, 0.09875, reasons.WORSE_THAN_STABLE),
    ("cpu-saturation", "kserve", 0.3, 0.97, reasons.OUTSIDE_LIMITS),
    ("mlserver-failures", "mlserver", 0, 0.1, reasons.OUTSIDE_LIMITS),
    ("mlserver-queue", "mlserver", 0.9875, 9.875, reasons.OUTSIDE_LIMITS),
    ("mlserver-latency", "mlserver", 0.02425, 0.09875, reasons.WORSE_THAN_STABLE),
    ("triton-failures", "triton", 0, 0.1, reasons.OUTSIDE_LIMITS),
    ("triton-latency", "triton", 20, 60, reasons.WORSE_THAN_STABLE),
    ("triton-queue", "triton", 0.1, 2 / 3, reasons.OUTSIDE_LIMITS),
    ("vllm-first-token", "vllm", 0.039, 4.875, reasons.OUTSIDE_LIMITS),
    ("vllm-token-time", "vllm", 0.0375, 0.25, reasons.WORSE_THAN_STABLE),
    ("vllm-queue", "vllm", 0.285, 1.975, reasons.OUTSIDE_LIMITS),
    ("vllm-kv-cache", "vllm", 0.3, 0.97, reasons.OUTSIDE_LIMITS),
    ("vllm-cut-off", "vllm", 1 / 30, 1 / 3, reasons.WORSE_THAN_STABLE),
    ("vllm-answer-length", "vllm", 150, 400, reasons.WORSE_THAN_STABLE),
]


class Fleet:
    """The pods of all revisions, by the path that each is scraped at."""

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str, int], Pod] = {}
        for server, kind in KINDS.items():
            for revision in ("stable", "good", "bad", "idle"):
                made = partial(TritonPod, reasons=False) if (server, revision) == ("triton", "bad") else kind
                busy = 0.97 if revision == "bad" else 0.3
                self.pods |= {(server, revision, number): made(busy) for number in range(REPLICAS)}

    def serve(self) -> None:
        """Requests come, all between two scrapes."""
        for (server, revision, _), pod in self.pods.items():
            if revision != "idle":
                pod.serve(BAD[server] if revision == "bad" else GOOD)

    async def scrape(self, request: web.Request) -> web.Response:
        """One pod's metrics."""
        server, revision, number = (request.match_info[name] for name in ("server", "revision", "number"))
        return web.Response(text=self.pods[server, revision, int(number)].exposition())

    def targets(self, port: int) -> list[dict[str, object]]:
        """As the chart's PodMonitor has them: each sample says of which revision it is."""
        return [
            {
                "targets": [f"127.0.0.1:{port}"],
                "labels": {
                    "__metrics_path__": f"/{server}/{revision}/{number}",
                    "instance": f"{server}-{revision}-{number}",
                    "pod": f"{server}-{revision}-{number}",
                    "namespace": "models",
                    "deployment": server,
                    "revision": f"{server}-{revision}",
                },
            }
            for server, revision, number in self.pods
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A Prometheus that has scraped pods for a while, and then their requests."""
    fleet = Fleet()
    application = web.Application()
    application.router.add_get("/{server}/{revision}/{number}", fleet.scrape)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        with running(tmp_path_factory.mktemp("prometheus"), fleet.targets(server.port or 0)) as url:
            client = Prometheus(url, session)
            await until_scraped(client, len(fleet.pods))
            await asyncio.sleep(WINDOW.total_seconds() + 2 * SCRAPE)
            fleet.serve()
            await asyncio.sleep(3 * SCRAPE)
            yield client


async def judge(prometheus: Prometheus, name: str, server: str, candidate: str) -> MonitorResult:
    """The verdict of one gauge on one candidate."""
    now = datetime.now(UTC)
    long_ago = now - timedelta(hours=1)
    wanted = Evaluation(
        namespace="models",
        deployment=server,
        revision=f"{server}-{candidate}",
        use=MonitorUse(name=name),
        monitor=gauge(name),
        since=long_ago,
        lane=1,
        lane_clean_since=long_ago,
        stable=f"{server}-stable",
        stable_lane=0,
        mirrored=False,
    )
    assert wanted.monitor.slo is not None
    queries = promql.queries(wanted.monitor.slo, promql.parameters(wanted.monitor, wanted.use)).all
    vectors: dict[str, slo.Vector] = {query: await prometheus.query(query) for query in queries}
    return slo.judge(wanted, vectors, now)


# The counts are extrapolated to the ends of the window, by Prometheus; shares, means and percentiles hardly are.
NEARLY = 0.05


@pytest.mark.parametrize(("name", "server", "value", "bad", "reason"), GAUGES)
async def test_a_good_candidate_passes(
    prometheus: Prometheus, name: str, server: str, value: float, bad: float, reason: str
) -> None:
    result = await judge(prometheus, name, server, "good")
    assert (result.verdict, result.reason) == (Verdict.PASS, reasons.WITHIN_LIMITS), result.message
    assert float(result.value or "nan") == pytest.approx(value, rel=NEARLY)


@pytest.mark.parametrize(("name", "server", "value", "bad", "reason"), GAUGES)
async def test_a_bad_candidate_fails(
    prometheus: Prometheus, name: str, server: str, value: float, bad: float, reason: str
) -> None:
    result = await judge(prometheus, name, server, "bad")
    assert (result.verdict, result.reason) == (Verdict.FAIL, reason), result.message
    assert float(result.value or "nan") == pytest.approx(bad, rel=NEARLY)


@pytest.mark.parametrize(("name", "server"), [row[:2] for row in GAUGES])
async def test_of_a_candidate_without_requests_nothing_is_said(prometheus: Prometheus, name: str, server: str) -> None:
    result = await judge(prometheus, name, server, "idle")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reason in (reasons.NO_DATA, reasons.TOO_FEW_SAMPLES)
