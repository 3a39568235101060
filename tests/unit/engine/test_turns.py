"""A change that concerns every deployment, such as a policy's, and the releases that go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest import mock

import pytest

from sluice.core.objects import Object
from sluice.engine import turns
from sluice.engine.queue import Queue
from sluice.engine.store import Key
from sluice.engine.turns import Turns


def deployment(name: str, candidate: str | None = None) -> Object:
    status = {"candidateRevision": candidate} if candidate else {}
    return {"metadata": {"namespace": "risk", "name": name}, "status": status}


def key(name: str) -> Key:
    return Key("risk", name)


@asynccontextmanager
async def given(waiting: Turns) -> AsyncIterator[None]:
    """Turns are given, quickly, while the block lasts."""
    with mock.patch.object(turns, "PACE", 0.001):
        task = asyncio.create_task(waiting.run())
        yield
        assert not task.done(), "it goes on until it is cancelled"
        task.cancel()


def make() -> tuple[Queue[Key], Turns]:
    queue: Queue[Key] = Queue(asyncio.get_running_loop().time)
    return queue, Turns(queue)


async def pop(queue: Queue[Key]) -> Key:
    """Work on the next one, which takes no time."""
    async with asyncio.timeout(10):
        found = await queue.next()
    queue.done(found)
    return found


async def emptied(waiting: Turns) -> None:
    """Until nobody waits."""
    async with asyncio.timeout(10):
        while len(waiting):  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.001)


async def test_releases_in_progress_are_first_and_the_rest_follow_in_their_order() -> None:
    queue, waiting = make()
    waiting.take([deployment("a"), deployment("b"), deployment("c", "c-r2"), deployment("d")])
    assert (len(queue), len(waiting)) == (0, 4)
    async with given(waiting):
        assert [await pop(queue) for _ in range(4)] == [key("c"), key("a"), key("b"), key("d")]
    assert len(waiting) == 0


async def test_a_deployment_without_a_status_is_at_rest() -> None:
    queue, waiting = make()
    waiting.take([{"metadata": {"namespace": "risk", "name": "a"}}])
    assert (len(queue), len(waiting)) == (0, 1)


@pytest.mark.parametrize("candidate", [None, "r2"])
async def test_one_gets_its_turn_only_when_nothing_is_due(candidate: str | None) -> None:
    queue, waiting = make()
    waiting.take([deployment(f"m-{number}", candidate) for number in range(1000)])
    async with given(waiting):
        with mock.patch.multiple(turns, PATIENCE=10**6, RELEASE_PATIENCE=10**6):
            await asyncio.sleep(0.02)
        assert len(queue) == 1, "the others wait until somebody has worked on it"
        queue.add(key("m-999"))  # its spec is changed
        assert key("m-999") in {await pop(queue), await pop(queue)}


async def test_one_gets_its_turn_only_when_nothing_is_in_work() -> None:
    queue, waiting = make()
    waiting.take([deployment("a"), deployment("b")])
    async with given(waiting):
        async with asyncio.timeout(10):
            first = await queue.next()
        await asyncio.sleep(0.02)
        assert (len(queue), len(waiting)) == (0, 1), "the other waits until this one is done"
        queue.done(first)
        assert await pop(queue) == key("b")


async def test_news_that_concern_nobody_at_rest_end_nothing() -> None:
    queue, waiting = make()
    async with given(waiting):
        await asyncio.sleep(0.005)  # it waits, and nothing is due
        for nobody in ([], [deployment("a", "a-r2")], []):
            waiting.take(nobody)
            await asyncio.sleep(0.005)
        waiting.take([deployment("b")])
        assert {await pop(queue), await pop(queue)} == {key("a"), key("b")}


async def test_an_operator_that_is_never_idle_comes_to_those_at_rest_all_the_same() -> None:
    queue, waiting = make()
    queue.add(key("never-worked-on"))
    waiting.take([deployment("a"), deployment("b")])
    with mock.patch.object(turns, "PATIENCE", 3):
        async with given(waiting):
            await emptied(waiting)
    assert {await pop(queue) for _ in range(3)} == {key("never-worked-on"), key("a"), key("b")}


async def test_a_release_in_progress_is_not_left_waiting_as_long_as_one_at_rest() -> None:
    queue, waiting = make()
    queue.add(key("never-worked-on"))
    waiting.take([deployment("a", "a-r2"), deployment("b", "b-r2")])
    with mock.patch.object(turns, "PATIENCE", 10**6):
        async with given(waiting):
            await emptied(waiting)
    assert {await pop(queue) for _ in range(3)} == {key("never-worked-on"), key("a"), key("b")}


async def test_what_changes_twice_waits_once() -> None:
    _, waiting = make()
    for _ in range(2):
        waiting.take([deployment("a"), deployment("b")])
    assert len(waiting) == 2


async def test_turns_go_on_after_a_pause() -> None:
    queue, waiting = make()
    async with given(waiting):
        for name in ("a", "b"):
            waiting.take([deployment(name)])
            assert await pop(queue) == key(name)
