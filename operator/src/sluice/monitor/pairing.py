"""Pairing: the request and the response of one inference, joined by id in whatever order they arrive."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from sluice.monitor.cloudevents import Event

PairId = tuple[bytes, bytes, bytes]
"""Namespace, revision and event id: a client may set the id itself, and mirrored requests then share it."""


class Pair(NamedTuple):
    """Both halves of one inference."""

    request: Event
    response: Event


class Waiting(NamedTuple):
    """One half, and when it came."""

    event: Event
    since: float


class Pairer:
    """Holds halves until the other half comes, their time is up, or there is no room.

    Time is whatever monotonic clock the caller counts by. Bodies are kept undecoded: a half that
    never finds its other costs no decoding.
    """

    def __init__(self, *, timeout: float, max_events: int, max_bytes: int) -> None:
        self.timeout = timeout
        """Seconds a half waits."""
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: OrderedDict[PairId, Waiting] = OrderedDict()
        self.bytes = 0
        """Size of the bodies that wait."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: Event, now: float) -> Pair | None:
        """The pair that this event completes, if it does.

        The same half twice (a sender's retry) keeps the first and is otherwise ignored.
        """
        identity = (event.namespace, event.revision, event.id)
        other = self._waiting.get(identity)
        if other is None:
            self._waiting[identity] = Waiting(event, now)
            self.bytes += len(event.body)
            return None
        if other.event.is_request == event.is_request:
            return None
        del self._waiting[identity]
        self.bytes -= len(other.event.body)
        return Pair(other.event, event) if other.event.is_request else Pair(event, other.event)

    def expired(self, now: float) -> Iterator[Event]:
        """Removes and yields, oldest first, the halves whose time is up or that there is no room for."""
        while self._waiting:
            identity, oldest = next(iter(self._waiting.items()))
            crowded = len(self._waiting) > self._max_events or self.bytes > self._max_bytes
            if not crowded and now - oldest.since < self.timeout:
                return
            del self._waiting[identity]
            self.bytes -= len(oldest.event.body)
            yield oldest.event

    def abandon(self) -> None:
        """Forgets every half, for a process that ends: what still waits is neither failed nor lost."""
        self._waiting.clear()
        self.bytes = 0
