"""The shipped gauges on a real Prometheus: from what a gateway exposes to a verdict.

Every situation is a route of its own on one scripted gateway, so that one Prometheus and one history serve them all.
"""

from __future__ import annotations

import asyncio
import bisect
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice.api.modeldeployment import MonitorUse
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import promql, reasons, slo
from sluice.core.plan import Evaluation
from sluice.edges.prometheus import Prometheus, QueryRejectedError
from tests.component.monitors.scraping import SCRAPE, WINDOW, gauge, running, until_scraped

pytestmark = [pytest.mark.component, pytest.mark.asyncio(loop_scope="module")]

ROUTES = ("bursting", "slow", "slower", "shadowed", "silent", "healthy")
BUCKETS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
"""Envoy's own, in milliseconds."""


@dataclass
class Gateway:
    """Counters as Envoy keeps them: none exists before its first event."""

    answers: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    times: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 14))

    def answer(self, route: str, backend: str, requests: int, *, status: str = "2", ms: float = 20) -> None:
        """Some requests were answered by one backend of one route."""
        self.answers[route, backend, status] += requests
        self.times[route, backend][bisect.bisect_left(BUCKETS, ms)] += requests

    def exposition(self) -> str:
        """What a scrape gets, as it is after relabelling."""
        lines = []
        for (route, backend, status), count in self.answers.items():
            labels = (
                f'route_namespace="models",route="{route}",backend="{backend}",envoy_response_code_class="{status}"'
            )
            lines.append(f"envoy_cluster_upstream_rq_xx{{{labels}}} {count}")
        for (route, backend), counts in self.times.items():
            labels = _place(route, backend)
            for place, bound in enumerate((*BUCKETS, "+Inf"), start=1):
                series = f'envoy_cluster_upstream_rq_time_bucket{{{labels},le="{bound}"}}'
                lines.append(f"{series} {sum(counts[:place])}")
            lines.append(f"envoy_cluster_upstream_rq_time_count{{{labels}}} {sum(counts)}")
        return "\n".join(lines) + "\n"


def _place(route: str, backend: str) -> str:
    return f'route_namespace="models",route="{route}",backend="{backend}"'


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    """A gateway that has been running for long."""
    old = Gateway()
    for route in ROUTES:
        old.answer(route, "0", 1_000_000)
        old.answer(route, "0", 400_000, status="5")  # long ago, when another revision stood there
    old.answer("silent", "1", 1_000)  # and no more
    return old


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A Prometheus that has just begun to scrape the gateway."""
    application = web.Application()

    async def scrape(_request: web.Request) -> web.Response:
        return web.Response(text=gateway.exposition())

    application.router.add_get("/metrics", scrape)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        target = {"targets": [f"127.0.0.1:{server.port}"]}
        with running(tmp_path_factory.mktemp("prometheus"), [target]) as url:
            client = Prometheus(url, session)
            await until_scraped(client)
            yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def before(gateway: Gateway, prometheus: Prometheus) -> dict[str, MonitorResult]:
    """Verdicts while Prometheus has no history yet, as after an outage, though the gateway's counters are high."""
    return {route: await judge(prometheus, "error-rate", route, lane=0) for route in ("bursting", "healthy")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def after(gateway: Gateway, prometheus: Prometheus, before: dict[str, MonitorResult]) -> None:
    """There is a history, and candidates have got their first requests, all between two scrapes."""
    await asyncio.sleep(WINDOW.total_seconds() + 2 * SCRAPE)
    for route in ROUTES:
        gateway.answer(route, "0", 300)
    gateway.answer("bursting", "1", 180)
    gateway.answer("bursting", "1", 20, status="5")
    gateway.answer("slow", "1", 180)
    gateway.answer("slow", "1", 20, ms=700)
    gateway.answer("slower", "1", 200, ms=80)
    gateway.answer("shadowed", "mirror", 150)
    gateway.answer("shadowed", "mirror", 50, status="5")
    gateway.answer("healthy", "1", 200)
    await asyncio.sleep(3 * SCRAPE)


async def judge(
    prometheus: Prometheus, name: str, route: str, *, lane: int = 1, mirrored: bool = False
) -> MonitorResult:
    """The verdict of one gauge on the candidate of one route, which stands in a lane."""
    now = datetime.now(UTC)
    wanted = Evaluation(
        namespace="models",
        deployment=route,
        revision=f"{route}-r2",
        use=MonitorUse(name=name),
        monitor=gauge(name),
        since=now - timedelta(hours=1),
        lane=lane,
        lane_clean_since=now - timedelta(hours=1),
        stable=f"{route}-r1",
        stable_lane=1 - lane,
        mirrored=mirrored,
    )
    assert wanted.monitor.slo is not None
    queries = promql.queries(wanted.monitor.slo, promql.parameters(wanted.monitor, wanted.use)).all
    vectors: dict[str, slo.Vector] = {query: await prometheus.query(query) for query in queries}
    return slo.judge(wanted, vectors, now)


@pytest.mark.parametrize("route", ["bursting", "healthy"])
async def test_what_was_counted_before_prometheus_looked_is_no_evidence(
    before: dict[str, MonitorResult], route: str
) -> None:
    assert before[route].verdict is Verdict.INCONCLUSIVE
    assert before[route].reason in (reasons.NO_DATA, reasons.TOO_FEW_SAMPLES)


async def test_errors_in_the_very_first_burst_are_seen(prometheus: Prometheus, after: None) -> None:
    result = await judge(prometheus, "error-rate", "bursting")
    assert (result.verdict, result.reason) == (Verdict.FAIL, reasons.OUTSIDE_LIMITS)
    assert (result.samples, result.value) == (200, "0.1")


async def test_the_errors_of_copies_are_the_candidates(prometheus: Prometheus, after: None) -> None:
    result = await judge(prometheus, "error-rate", "shadowed", mirrored=True)
    assert (result.verdict, result.value) == (Verdict.FAIL, "0.25")


async def test_a_tail_of_slow_answers_is_seen(prometheus: Prometheus, after: None) -> None:
    result = await judge(prometheus, "latency-p99", "slow")
    assert (result.verdict, result.reason) == (Verdict.FAIL, reasons.OUTSIDE_LIMITS)
    # A tenth of them are between 500 and 1000 ms, and for all that the buckets say spread evenly there.
    assert (result.samples, result.value) == (200, "950")


@pytest.mark.parametrize(("name", "value", "stable"), [("latency-p50", "75", "17.5"), ("latency-p95", "97.5", "24.25")])
async def test_a_model_that_is_slower_than_stable_is_seen_below_every_limit(
    prometheus: Prometheus, after: None, name: str, value: str, stable: str
) -> None:
    result = await judge(prometheus, name, "slower")
    assert (result.verdict, result.reason) == (Verdict.FAIL, reasons.WORSE_THAN_STABLE)
    assert (result.value, result.stable_value) == (value, stable)


@pytest.mark.parametrize("name", ["error-rate", "latency-p50", "latency-p95", "latency-p99"])
async def test_a_good_candidate_passes_beside_old_errors_of_its_route(
    prometheus: Prometheus, after: None, name: str
) -> None:
    result = await judge(prometheus, name, "healthy")
    assert (result.verdict, result.value) == (Verdict.PASS, result.stable_value), result.message


async def test_a_model_that_nobody_asks_any_more_is_below_the_floor(prometheus: Prometheus, after: None) -> None:
    result = await judge(prometheus, "throughput-floor", "silent")
    assert (result.verdict, result.reason, result.value) == (Verdict.FAIL, reasons.OUTSIDE_LIMITS, "0")


async def test_a_model_that_is_asked_is_above_the_floor(prometheus: Prometheus, after: None) -> None:
    result = await judge(prometheus, "throughput-floor", "healthy")
    assert (result.verdict, result.value) == (Verdict.PASS, "200")


async def test_of_a_backend_that_never_had_a_request_the_floor_says_nothing(
    prometheus: Prometheus, after: None
) -> None:
    result = await judge(prometheus, "throughput-floor", "nowhere")
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, reasons.NO_DATA)


async def test_prometheus_own_words_tell_what_is_wrong_with_a_query(prometheus: Prometheus) -> None:
    with pytest.raises(QueryRejectedError, match="unclosed left parenthesis"):
        await prometheus.query("sum(up")


async def test_a_metric_that_does_not_exist_is_an_empty_answer_not_an_error(prometheus: Prometheus) -> None:
    assert await prometheus.query("rate(envoy_clutser_upstream_rq_xx[1m])") == []
