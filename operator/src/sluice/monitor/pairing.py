"""Pairing: the request and the response of one inference, joined by id in whatever order they arrive."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from sluice.monitor.cloudevents import Event

PairId = tuple[bytes, bytes, bytes]
"""Namespace, revision and event id: a client may set the id itself, and mirrored requests then share it."""


class Pair(NamedTuple):
    """Both halves of one inference."""

    request: Event
    response: Event
    reordered: bool = False
    """Whether the response came first."""


class Oddity(StrEnum):
    """Why a half neither makes a pair nor waits for one. It is left out; what is counted once stays so."""

    DUPLICATE = "duplicate"
    """The very event has been here: a proxy sent it again."""
    ID_IN_USE = "id-in-use"
    """Another inference of the same id has not ended: a client that always sets the same ``Ce-Id``."""
    LATE = "late"
    """Its other half has been given up."""


class Waiting(NamedTuple):
    """One half, and when it came."""

    event: Event
    since: float


class Pairer:
    """Holds halves until the other half comes, their time is up, or there is no room.

    Time is whatever monotonic clock the caller counts by. Bodies are kept undecoded: a half that
    never finds its other costs no decoding. The ids of the last inferences that ended are remembered, as
    many as halves may wait, to know duplicates and latecomers by.
    """

    def __init__(self, *, timeout: float, max_events: int, max_bytes: int) -> None:
        self.timeout = timeout
        """Seconds a half waits."""
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: OrderedDict[PairId, Waiting] = OrderedDict()
        self._ended: OrderedDict[PairId, tuple[bytes | None, bytes | None]] = OrderedDict()
        """Times of the request and the response, by which an event sent again is told from another one that
        bears the same id. None for a half that never came."""
        self.bytes = 0
        """Size of the bodies that wait."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: Event, now: float) -> Pair | Oddity | None:
        """The pair that this event completes, or why it is left out; None when it waits."""
        identity = (event.namespace, event.revision, event.id)
        other = self._waiting.get(identity)
        if other is None:
            if identity in self._ended and (oddity := self._recall(identity, event)):
                return oddity
            self._waiting[identity] = Waiting(event, now)
            self.bytes += len(event.body)
            return None
        if other.event.is_request == event.is_request:
            return Oddity.DUPLICATE if other.event.time == event.time else Oddity.ID_IN_USE
        del self._waiting[identity]
        self.bytes -= len(other.event.body)
        pair = Pair(other.event, event) if other.event.is_request else Pair(event, other.event, reordered=True)
        self._remember(identity, pair.request.time, pair.response.time)
        return pair

    def expired(self, now: float) -> Iterator[Event]:
        """Removes and yields, oldest first, the halves whose time is up."""
        while self._waiting:
            identity, oldest = next(iter(self._waiting.items()))
            if now - oldest.since < self.timeout:
                return
            yield self._give_up(identity)

    def crowded(self) -> Iterator[Event]:
        """Removes and yields, oldest first, the halves that there is no room for."""
        while len(self._waiting) > self._max_events or self.bytes > self._max_bytes:
            yield self._give_up(next(iter(self._waiting)))

    def abandon(self) -> None:
        """Forgets every half, for a process that ends: what still waits is neither failed nor lost."""
        self._waiting.clear()
        self.bytes = 0

    def _give_up(self, identity: PairId) -> Event:
        event = self._waiting.pop(identity).event
        self.bytes -= len(event.body)
        self._remember(identity, *((event.time, None) if event.is_request else (None, event.time)))
        return event

    def _remember(self, identity: PairId, asked: bytes | None, answered: bytes | None) -> None:
        self._ended.pop(identity, None)  # an id that is used again is young again
        self._ended[identity] = asked, answered
        if len(self._ended) > self._max_events:
            self._ended.popitem(last=False)

    def _recall(self, identity: PairId, event: Event) -> Oddity | None:
        """What is odd about a half of an inference that has ended; None when it begins another one."""
        asked, answered = self._ended[identity]
        mine = asked if event.is_request else answered
        if mine == event.time:
            return Oddity.DUPLICATE
        if mine is not None:
            return None
        self._ended[identity] = (event.time, answered) if event.is_request else (asked, event.time)
        return Oddity.LATE
