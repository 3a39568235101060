"""The load keeps its pace, counts every answer once, and stays at home."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from hack.demo.load import NEWEST, NO_ANSWER, NO_REVISION, REVISION_HEADER, Answer, Load, Tally, Target

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[Target]:
    app = web.Application()
    app.router.add_post("/v1/models/california:predict", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield Target(f"{host}:{port}", "california.models.example.com")
    finally:
        await runner.cleanup()


async def test_predictions_are_kept_by_the_revision_that_made_them() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"predictions": [0.25]}, headers={REVISION_HEADER: "r2"})

    async with answering(answer) as target, Load(target, [b"{}"], rate=20) as load:
        await asyncio.sleep(0.3)
    assert set(load.tally.revisions["r2"].predictions) == {0.25}


async def test_requests_leave_at_the_rate_with_the_models_host_and_an_id_of_their_own() -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.host, request.headers["x-request-id"]))
        return web.json_response({"predictions": [0.5]}, headers={REVISION_HEADER: "california-r1"})

    began = time.monotonic()
    async with answering(answer) as target, Load(target, [b"{}"], rate=50) as load:
        await asyncio.sleep(1)
        most = 50 * (time.monotonic() - began) + 1
    assert 3 <= load.tally.sent <= most  # few, on a machine that is busy
    assert {host for host, _ in seen} == {"california.models.example.com"}
    assert len({identity for _, identity in seen}) == len(seen) == load.tally.sent
    assert load.tally.revisions["california-r1"].statuses == {200: load.tally.sent}


async def test_a_slow_model_is_counted_late_and_does_not_slow_the_pace() -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(2)
        return web.json_response({})

    async with answering(answer) as target, Load(target, [b"{}"], rate=100) as load:
        await asyncio.sleep(1)
        assert load.tally.sent >= 10
        assert load.tally.revisions == {}
    assert load.tally.revisions[NO_REVISION].answers == load.tally.sent  # stopping waits for all answers


async def test_what_the_bound_on_flight_holds_back_is_counted() -> None:
    asked_enough = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await asked_enough.wait()
        return web.json_response({})

    async with answering(answer) as target, Load(target, [b"{}"], rate=100, in_flight=5) as load:
        await asyncio.sleep(1)
        sent, held_back = load.tally.sent, load.tally.held_back
        asked_enough.set()
    assert sent == 5
    assert held_back > 0


async def test_a_refused_or_cut_connection_is_a_failure_without_a_status() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with answering(answer) as target, Load(target, [b"{}"], rate=20) as load:
        await asyncio.sleep(0.3)
    assert load.tally.failures == load.tally.sent > 0
    assert load.tally.revisions[NO_REVISION].statuses.keys() == {NO_ANSWER}


async def test_who_listens_hears_of_each_request_once_with_what_came_or_why_nothing_did() -> None:
    async def answer(request: web.Request) -> web.Response:
        if await request.read() == b"cut":
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=500, text="no", headers={REVISION_HEADER: "r2"})

    heard: list[Answer] = []
    async with answering(answer) as target, Load(target, [b"cut", b"a"], rate=20, heard=heard.append) as load:
        await asyncio.sleep(0.4)
    assert len(heard) == load.tally.sent > 2
    assert {(each.revision, each.status, each.content, each.trouble) for each in heard} == {
        (NO_REVISION, NO_ANSWER, b"", "ServerDisconnectedError"),
        ("r2", 500, b"no", ""),
    }
    assert all(each.arrived >= each.sent and not each.good for each in heard)


async def test_bodies_are_replayed_in_order_and_over_again() -> None:
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.read())
        return web.json_response({})

    async with answering(answer) as target, Load(target, [b"a", b"b"], rate=10):
        await asyncio.sleep(0.35)
    assert seen[:3] == [b"a", b"b", b"a"]


@pytest.mark.parametrize("gateway", ["8.8.8.8", "93.184.216.34:80"])
def test_a_public_address_is_refused(gateway: str) -> None:
    with pytest.raises(ValueError, match="public address"):
        Target(gateway, "california.models.example.com")


@pytest.mark.parametrize("gateway", ["10.96.0.20", "127.0.0.1:8080"])
def test_the_clusters_own_addresses_are_taken(gateway: str) -> None:
    assert Target(gateway, "h").url == f"http://{gateway}/v1/models/california:predict"


def recorded(*answers: tuple[str, int, float]) -> Tally:
    tally = Tally()
    for revision, status, now in answers:
        tally.record(revision, status, 0.01, now)
    return tally


def test_shares_are_of_the_latest_answers_only() -> None:
    tally = recorded(("r1", 200, 1.0), ("r2", 200, 9.0), ("r1", 200, 9.5), ("r1", 200, 9.6), ("r1", 200, 9.7))
    assert tally.share("r2", now=10.0, seconds=2.0) == 0.25
    assert tally.share("r2", now=12.0, seconds=2.0) == 0.0
    assert tally.share("r1", now=1.5, seconds=1.0) == 1.0


def test_first_and_last_answer_are_kept_by_revision() -> None:
    tally = recorded(("r1", 200, 1.0), ("r2", 500, 2.0), ("r1", 200, 3.0))
    assert (tally.revisions["r1"].first, tally.revisions["r1"].last) == (1.0, 3.0)
    assert tally.failures == 1


@pytest.mark.parametrize(("status", "failed"), [(200, 0), (204, 0), (404, 1), (500, 1), (NO_ANSWER, 1)])
def test_everything_but_a_success_is_a_failure(status: int, failed: int) -> None:
    assert recorded(("r1", status, 1.0)).failures == failed


def test_percentiles_are_by_nearest_rank() -> None:
    tally = Tally()
    for milliseconds in range(1, 101):
        tally.record("r1", 200, milliseconds / 1000, float(milliseconds))
    seen = tally.revisions["r1"]
    assert (seen.percentile(50), seen.percentile(99), seen.percentile(100)) == (0.05, 0.099, 0.1)
    assert math.isnan(type(seen)(0, 0).percentile(50))


def test_memory_for_latencies_is_bounded_and_the_count_stays_exact() -> None:
    tally = Tally()
    started = time.monotonic()
    for number in range(NEWEST + 5_000):
        tally.record("r1", 200, 0.01, started + number)
    assert len(tally.revisions["r1"].latencies) <= NEWEST
    assert tally.revisions["r1"].answers == NEWEST + 5_000
