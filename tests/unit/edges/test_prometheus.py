"""Instant queries: what comes back, and who is to blame if nothing does."""

from __future__ import annotations

import json
import math

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from sluice.core.slo import Sample
from sluice.edges import prometheus
from sluice.edges.prometheus import Prometheus, PrometheusUnavailableError, QueryRejectedError
from tests.unit.edges.servers import serving


def success(kind: str, result: object) -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}})


async def test_a_vector_has_a_sample_for_every_series() -> None:
    result = [{"metric": {"revision": "r1"}, "value": [1.5, "2.5"]}, {"metric": {}, "value": [1.5, "NaN"]}]
    async with serving(text=success("vector", result)) as (server, session):
        first, second = await Prometheus(f"{server.url}", session).query("up")
        assert first == Sample({"revision": "r1"}, 2.5)
        assert second.labels == {}
        assert math.isnan(second.value)


async def test_a_query_is_posted_however_long_it_is() -> None:
    query = "sum(up) + " * 2_000 + "1"
    async with serving(text=success("vector", [])) as (server, session):
        assert await Prometheus(f"{server.url}/", session).query(query) == []
        assert server.asked == [("POST", "/api/v1/query", {"query": query})]


async def test_a_scalar_is_a_vector_of_one() -> None:
    async with serving(text=success("scalar", [1.5, "+Inf"])) as (server, session):
        assert await Prometheus(server.url, session).query("1 / 0") == [Sample({}, math.inf)]


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        pytest.param(
            400, '{"status": "error", "errorType": "bad_data", "error": "parse error at 3"}', "parse error", id="syntax"
        ),
        pytest.param(
            422,
            '{"status": "error", "errorType": "execution", "error": "many-to-many"}',
            "many-to-many",
            id="execution",
        ),
        pytest.param(200, success("matrix", []), "gives a matrix; an instant vector is needed", id="a-range"),
        pytest.param(200, success("string", [1, "x"]), "gives a string", id="a-string"),
        pytest.param(
            200, success("vector", [{"metric": {}, "histogram": [1, {}]}]), "gives histograms", id="histograms"
        ),
    ],
)
async def test_a_wrong_query_is_said_in_prometheus_words(status: int, text: str, message: str) -> None:
    async with serving(status=status, text=text) as (server, session):
        with pytest.raises(QueryRejectedError, match=message):
            await Prometheus(server.url, session).query("up[")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param(503, '{"status": "error", "errorType": "timeout", "error": "too slow"}', id="timed-out-inside"),
        pytest.param(500, "{}", id="broken"),
        pytest.param(502, "<html>Bad Gateway</html>", id="a-proxy-before-it"),
        pytest.param(400, "<html>Bad Request</html>", id="a-proxys-own-400"),
        pytest.param(400, "[]", id="a-400-that-is-not-its"),
        pytest.param(401, "{}", id="not-allowed-in"),
        pytest.param(404, "null", id="another-service"),
        pytest.param(200, "", id="empty"),
        pytest.param(200, "[]", id="a-list"),
        pytest.param(200, '{"status": "success"}', id="no-data"),
        pytest.param(200, '{"status": "success", "data": {"resultType": "vector", "result": [{}]}}', id="no-series"),
        pytest.param(200, success("vector", [{"metric": {}, "value": [1, "many"]}]), id="no-number"),
    ],
)
async def test_whatever_else_comes_back_it_is_away_not_wrong(status: int, text: str) -> None:
    async with serving(status=status, text=text) as (server, session):
        with pytest.raises(PrometheusUnavailableError, match="Prometheus"):
            await Prometheus(server.url, session).query("up")


async def test_nobody_there_is_away() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(PrometheusUnavailableError, match="does not answer at http"):
            await Prometheus(f"http://127.0.0.1:{unused_port()}", session).query("up")


async def test_too_slow_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    async with serving(delay=0.5) as (server, session):
        with pytest.raises(PrometheusUnavailableError, match="TimeoutError"):
            await Prometheus(server.url, session).query("up")
