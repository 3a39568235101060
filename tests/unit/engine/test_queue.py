"""The work queue, with a clock that moves when told."""

from __future__ import annotations

import asyncio

import pytest

from sluice.engine.queue import FIRST_BACKOFF, LONGEST_BACKOFF, Queue


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue[str]:
    return Queue(clock)


def test_it_is_idle_while_nothing_is_due_or_in_work(queue: Queue[str], clock: Clock) -> None:
    assert queue.idle
    queue.add("a", 5)
    assert queue.idle, "not due yet"
    clock.now += 5
    assert not queue.idle, "due"
    assert queue.pop() == "a"
    assert not queue.idle, "in work"
    queue.done("a")
    assert queue.idle


def test_a_key_added_twice_is_worked_on_once(queue: Queue[str]) -> None:
    queue.add("a")
    queue.add("a")
    assert (queue.pop(), queue.pop()) == ("a", None)


def test_keys_come_in_the_order_in_which_they_were_added(queue: Queue[str]) -> None:
    for key in "bac":
        queue.add(key)
    assert [queue.pop(), queue.pop(), queue.pop()] == ["b", "a", "c"]


def test_a_delayed_key_is_not_due_before_its_time(queue: Queue[str], clock: Clock) -> None:
    queue.add("a", after=10)
    assert queue.pop() is None
    assert len(queue) == 0
    clock.now += 10
    assert len(queue) == 1
    assert queue.pop() == "a"


@pytest.mark.parametrize("delays", [(10, 3), (3, 10)], ids=["sooner-last", "sooner-first"])
def test_the_earlier_of_two_delays_holds(queue: Queue[str], clock: Clock, delays: tuple[float, float]) -> None:
    for delay in delays:
        queue.add("a", after=delay)
    clock.now += 3
    assert queue.pop() == "a"
    queue.done("a")
    clock.now += 20
    assert queue.pop() is None


def test_a_key_in_work_is_not_given_to_a_second_worker(queue: Queue[str], clock: Clock) -> None:
    queue.add("a")
    assert queue.pop() == "a"
    queue.add("a")
    queue.add("a", after=1)
    clock.now += 5
    assert queue.pop() is None
    queue.done("a")
    assert queue.pop() == "a"


def test_a_key_in_work_does_not_hold_up_the_others(queue: Queue[str], clock: Clock) -> None:
    queue.add("a")
    queue.pop()
    queue.add("a", after=1)
    queue.add("b", after=2)
    clock.now += 5
    assert queue.pop() == "b"


def test_what_is_added_during_work_is_done_once_more_after_it(queue: Queue[str]) -> None:
    queue.add("a")
    queue.pop()
    queue.add("a")
    queue.add("a")
    queue.done("a")
    assert queue.pop() == "a"
    queue.done("a")
    assert queue.pop() is None


def test_a_failing_key_waits_twice_as_long_each_time_up_to_a_limit(queue: Queue[str], clock: Clock) -> None:
    waits = []
    queue.add("a")
    for _ in range(12):
        assert queue.pop() == "a"
        queue.done("a", failed=True)
        began = clock.now
        while len(queue) == 0:
            clock.now += FIRST_BACKOFF / 2
        waits.append(clock.now - began)
    assert waits[:4] == pytest.approx([FIRST_BACKOFF * 2**n for n in range(4)], abs=FIRST_BACKOFF)
    assert waits[-1] == pytest.approx(LONGEST_BACKOFF, abs=FIRST_BACKOFF)


def test_success_forgets_the_failures(queue: Queue[str], clock: Clock) -> None:
    for failed in (True, True, True, False, True):
        queue.add("a")
        assert queue.pop() == "a"
        queue.done("a", failed=failed)
    clock.now += FIRST_BACKOFF
    assert queue.pop() == "a"


def test_news_does_not_wait_for_the_backoff(queue: Queue[str]) -> None:
    queue.add("a")
    queue.pop()
    queue.done("a", failed=True)
    assert queue.pop() is None
    queue.add("a")
    assert queue.pop() == "a"


def test_superseded_deadlines_do_not_pile_up(queue: Queue[str]) -> None:
    # A rollout of hours that is looked at every few seconds asks for its deadline anew each time.
    for _ in range(10_000):
        queue.add("a", after=14_400)
        queue.add("a")
        assert queue.pop() == "a"
        queue.done("a")
    assert len(queue._heap) < 200


async def test_a_waiting_worker_is_woken_by_a_new_key(queue: Queue[str]) -> None:
    waiting = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(waiting, 1) == "a"


async def test_of_two_waiting_workers_each_gets_one_key(queue: Queue[str]) -> None:
    waiting = [asyncio.create_task(queue.next()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    assert set(await asyncio.wait_for(asyncio.gather(*waiting), 1)) == {"a", "b"}
