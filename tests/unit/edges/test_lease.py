"""The election: who leads, when a leader gives up, and that no two lead at a time."""

from __future__ import annotations

import asyncio

import pytest

from sluice.core.objects import Object
from sluice.edges.kinds import LEASES, Kind
from sluice.edges.kube import Unavailable
from sluice.edges.lease import DEADLINE, DURATION, PERIOD, Lease, LeaseLostError
from tests.unit.engine.fakes import FakeKube

_sleep = asyncio.sleep


class Clock:
    """Seconds; sleeping makes them pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await _sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("sluice.edges.lease.asyncio.sleep", made.sleep)
    return made


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


def candidate(kube: FakeKube, clock: Clock, identity: str) -> Lease:
    return Lease(kube, namespace="sluice-system", name="sluice", identity=identity, clock=clock)


def holder(kube: FakeKube) -> str:
    return str(kube.objects[LEASES, "sluice-system", "sluice"]["spec"]["holderIdentity"])


async def test_the_first_to_ask_leads_and_the_second_waits(kube: FakeKube, clock: Clock) -> None:
    assert await candidate(kube, clock, "one").acquire()
    assert not await candidate(kube, clock, "two").acquire()
    assert holder(kube) == "one"


async def test_a_lease_that_is_renewed_is_never_taken(kube: FakeKube, clock: Clock) -> None:
    one, two = candidate(kube, clock, "one"), candidate(kube, clock, "two")
    for _ in range(20):
        assert await one.acquire()
        assert not await two.acquire()
        clock.now += DURATION - 1


async def test_one_that_is_not_renewed_is_taken_after_it_has_expired_by_the_own_clock(
    kube: FakeKube, clock: Clock
) -> None:
    await candidate(kube, clock, "one").acquire()
    clock.now += 1000  # before the second was started: how old the Lease is, it cannot know
    two = candidate(kube, clock, "two")
    assert not await two.acquire()
    clock.now += DURATION
    assert not await two.acquire()
    clock.now += 0.1
    assert await two.acquire()
    assert holder(kube) == "two"


async def test_of_two_that_take_an_expired_lease_one_fails(kube: FakeKube, clock: Clock) -> None:
    await candidate(kube, clock, "one").acquire()
    rivals = [candidate(kube, clock, name) for name in ("two", "three")]
    for rival in rivals:
        await rival.acquire()
    clock.now += DURATION + 1
    assert sorted(await asyncio.gather(*(rival.acquire() for rival in rivals))) == [False, True]


async def test_the_same_identity_goes_on_at_once(kube: FakeKube, clock: Clock) -> None:
    await candidate(kube, clock, "pod-1").acquire()
    assert await candidate(kube, clock, "pod-1").acquire()


async def test_a_lease_given_back_is_free_at_once(kube: FakeKube, clock: Clock) -> None:
    one = candidate(kube, clock, "one")
    await one.acquire()
    await one.release()
    assert await candidate(kube, clock, "two").acquire()


async def test_a_lease_that_another_has_is_not_given_back(kube: FakeKube, clock: Clock) -> None:
    await candidate(kube, clock, "one").acquire()
    await candidate(kube, clock, "two").release()
    assert holder(kube) == "one"


async def test_work_that_ends_gives_the_lease_back(kube: FakeKube, clock: Clock) -> None:
    async def work() -> None:
        assert holder(kube) == "one"

    await candidate(kube, clock, "one").lead(work)
    assert holder(kube) == ""


async def test_work_that_fails_gives_the_lease_back_and_is_heard(kube: FakeKube, clock: Clock) -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await candidate(kube, clock, "one").lead(work)
    assert holder(kube) == ""


class AwayKube(FakeKube):
    """Answers until told not to."""

    away = False

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        if self.away:
            raise Unavailable(0, "connection refused")
        return await super().get(kind, namespace, name)


async def test_an_api_server_that_is_away_for_a_moment_costs_nothing(clock: Clock) -> None:
    kube = AwayKube()

    async def work() -> None:
        await clock.sleep(1)
        kube.away = True
        for _ in range(3):
            await _sleep(0)
        kube.away = False
        for _ in range(50):
            await _sleep(0)

    await candidate(kube, clock, "one").lead(work)
    assert holder(kube) == ""


async def test_a_leader_that_cannot_renew_gives_up_before_others_may_take_over(clock: Clock) -> None:
    kube = AwayKube()
    cancelled = False

    async def work() -> None:
        nonlocal cancelled
        kube.away = True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(LeaseLostError):
        await candidate(kube, clock, "one").lead(work)
    await _sleep(0)
    assert cancelled
    assert clock.now <= DEADLINE < DURATION


async def test_a_leader_whose_lease_was_taken_gives_up_at_the_next_try(kube: FakeKube, clock: Clock) -> None:
    async def work() -> None:
        theft = {"holderIdentity": "two", "leaseDurationSeconds": 3600}
        kube.put(LEASES, {"metadata": {"name": "sluice", "namespace": "sluice-system"}, "spec": theft})
        await asyncio.Event().wait()

    with pytest.raises(LeaseLostError, match="was taken by two"):
        await candidate(kube, clock, "one").lead(work)
    assert holder(kube) == "two"
    assert clock.now <= PERIOD


async def test_an_api_server_that_hangs_does_not_hold_up_the_end(
    kube: FakeKube, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> Object:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(kube, "get", hang)
    assert not await candidate(kube, clock, "one").acquire(patience=0.01)
