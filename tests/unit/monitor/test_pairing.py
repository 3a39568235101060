"""Halves of inferences in every order, and halves that stay alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.monitor.cloudevents import Event
from sluice.monitor.pairing import Pairer


def half(identity: str, *, request: bool, revision: str = "r1", body: bytes = b"{}") -> Event:
    return Event(request, b"models", revision.encode(), identity.encode(), b"", body)


def pairer(*, timeout: float = 30, max_events: int = 100, max_bytes: int = 10_000) -> Pairer:
    return Pairer(timeout=timeout, max_events=max_events, max_bytes=max_bytes)


def test_a_pair_is_the_same_whichever_half_comes_first() -> None:
    request, response = half("a", request=True), half("a", request=False)
    for first, second in ((request, response), (response, request)):
        waiting = pairer()
        assert waiting.add(first, 0) is None
        assert waiting.add(second, 1) == (request, response)
        assert (len(waiting), waiting.bytes) == (0, 0)


def test_revisions_that_share_an_id_are_not_joined() -> None:
    waiting = pairer()
    waiting.add(half("a", request=True, revision="r1"), 0)
    assert waiting.add(half("a", request=False, revision="r2"), 0) is None
    assert len(waiting) == 2


def test_a_half_sent_twice_counts_once() -> None:
    waiting = pairer()
    waiting.add(half("a", request=True, body=b"first"), 0)
    assert waiting.add(half("a", request=True, body=b"again"), 0) is None
    pair = waiting.add(half("a", request=False), 0)
    assert pair
    assert pair.request.body == b"first"
    assert waiting.bytes == 0


def test_a_half_waits_for_its_time_and_no_longer() -> None:
    waiting = pairer(timeout=30)
    lonely = half("a", request=True)
    waiting.add(lonely, 100)
    assert list(waiting.expired(129.9)) == []
    assert list(waiting.expired(130)) == [lonely]
    assert list(waiting.expired(131)) == []


def test_the_oldest_halves_make_room_when_there_are_too_many_or_they_are_too_large() -> None:
    many = pairer(max_events=2)
    for identity in "abc":
        many.add(half(identity, request=True), 0)
    assert [event.id for event in many.expired(0)] == [b"a"]
    large = pairer(max_bytes=10)
    for identity in "abc":
        large.add(half(identity, request=True, body=b"12345"), 0)
    assert [event.id for event in large.expired(0)] == [b"a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_every_half_is_paired_ignored_or_waits_and_bytes_add_up(arrivals: list[tuple[str, bool]]) -> None:
    waiting = pairer(timeout=1)
    for identity, request in arrivals:
        pair = waiting.add(half(identity, request=request), 0)
        if pair:
            assert pair.request.is_request
            assert not pair.response.is_request
            assert pair.request.id == pair.response.id
        assert waiting.bytes == 2 * len(waiting)
    assert len(list(waiting.expired(1))) <= 3
    assert waiting.bytes == 0
