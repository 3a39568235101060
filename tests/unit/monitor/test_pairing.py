"""Halves of inferences in every order, and halves that stay alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.monitor.cloudevents import Event
from sluice.monitor.pairing import Oddity, Pair, Pairer


def half(identity: str, *, request: bool, revision: str = "r1", body: bytes = b"{}", time: bytes = b"") -> Event:
    return Event(request, b"models", revision.encode(), identity.encode(), time, body)


def pairer(*, timeout: float = 30, max_events: int = 100, max_bytes: int = 10_000) -> Pairer:
    return Pairer(timeout=timeout, max_events=max_events, max_bytes=max_bytes)


def test_a_pair_is_the_same_whichever_half_comes_first() -> None:
    request, response = half("a", request=True), half("a", request=False)
    for first, second in ((request, response), (response, request)):
        waiting = pairer()
        assert waiting.add(first, 0) is None
        assert waiting.add(second, 1) == (request, response, first is response)
        assert (len(waiting), waiting.bytes) == (0, 0)


def test_revisions_that_share_an_id_are_not_joined() -> None:
    waiting = pairer()
    waiting.add(half("a", request=True, revision="r1"), 0)
    assert waiting.add(half("a", request=False, revision="r2"), 0) is None
    assert len(waiting) == 2


def test_a_half_sent_twice_counts_once() -> None:
    waiting = pairer()
    waiting.add(half("a", request=True, body=b"first"), 0)
    assert waiting.add(half("a", request=True, body=b"again"), 0) is Oddity.DUPLICATE
    pair = waiting.add(half("a", request=False), 0)
    assert isinstance(pair, Pair)
    assert pair.request.body == b"first"
    assert waiting.bytes == 0


def test_a_half_sent_again_after_its_pair_was_made_is_known() -> None:
    waiting = pairer()
    for request in (True, False):
        waiting.add(half("a", request=request, time=b"1"), 0)
    for request in (True, False):
        assert waiting.add(half("a", request=request, time=b"1"), 1) is Oddity.DUPLICATE
    assert list(waiting.expired(1_000)) == []


def test_an_id_that_a_client_uses_again_is_another_inference() -> None:
    waiting = pairer()
    pairs = []
    for moment in (b"1", b"2", b"3"):
        waiting.add(half("always-the-same", request=True, time=moment), 0)
        pairs.append(waiting.add(half("always-the-same", request=False, time=moment), 0))
    assert all(isinstance(pair, Pair) for pair in pairs)


def test_of_two_inferences_of_one_id_at_the_same_time_the_second_is_left_out() -> None:
    waiting = pairer()
    first = half("a", request=True, time=b"1")
    waiting.add(first, 0)
    assert waiting.add(half("a", request=True, time=b"2"), 0) is Oddity.ID_IN_USE
    pair = waiting.add(half("a", request=False, time=b"3"), 0)
    assert isinstance(pair, Pair)
    assert pair.request is first


def test_a_half_that_comes_after_its_other_half_was_given_up_is_late_and_no_loss_of_its_own() -> None:
    for request in (True, False):
        waiting = pairer(timeout=30)
        waiting.add(half("a", request=request, time=b"1"), 0)
        assert len(list(waiting.expired(30))) == 1
        assert waiting.add(half("a", request=not request, time=b"2"), 31) is Oddity.LATE
        assert waiting.add(half("a", request=not request, time=b"2"), 32) is Oddity.DUPLICATE
        assert len(waiting) == 0


def test_a_failed_request_that_a_client_repeats_under_its_id_is_another_inference() -> None:
    waiting = pairer(timeout=30)
    waiting.add(half("a", request=True, time=b"1"), 0)
    assert len(list(waiting.expired(30))) == 1
    assert waiting.add(half("a", request=True, time=b"40"), 40) is None
    assert isinstance(waiting.add(half("a", request=False, time=b"41"), 41), Pair)


def test_no_more_ids_are_remembered_than_may_wait() -> None:
    waiting = pairer(max_events=2)
    for identity in "abc":
        for request in (True, False):
            waiting.add(half(identity, request=request), 0)
    assert waiting.add(half("c", request=True), 0) is Oddity.DUPLICATE
    assert waiting.add(half("a", request=True), 0) is None


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
    assert [event.id for event in many.crowded()] == [b"a"]
    large = pairer(max_bytes=10)
    for identity in "abc":
        large.add(half(identity, request=True, body=b"12345"), 0)
    assert [event.id for event in large.crowded()] == [b"a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_every_half_is_paired_ignored_or_waits_and_bytes_add_up(arrivals: list[tuple[str, bool]]) -> None:
    waiting = pairer(timeout=1)
    for identity, request in arrivals:
        pair = waiting.add(half(identity, request=request), 0)
        if isinstance(pair, Pair):
            assert pair.request.is_request
            assert not pair.response.is_request
            assert pair.request.id == pair.response.id
        assert waiting.bytes == 2 * len(waiting)
    assert len(list(waiting.expired(1))) <= 3
    assert waiting.bytes == 0
