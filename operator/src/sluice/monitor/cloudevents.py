"""CloudEvents in binary mode, as KServe's logger sends them: attributes in headers, payload in the body."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

REQUEST = b"org.kubeflow.serving.inference.request"
RESPONSE = b"org.kubeflow.serving.inference.response"
MAX_ATTRIBUTE = 256
"""Longest identifier accepted, in bytes. Kubernetes names end at 253, KServe's ids are UUIDs."""


class Key(NamedTuple):
    """Which revision an event speaks of. Sluice runs one InferenceService per revision."""

    namespace: str
    revision: str


class Event(NamedTuple):
    """One half of an inference, as received. Attributes stay bytes: most are only compared."""

    is_request: bool
    namespace: bytes
    revision: bytes
    id: bytes
    """Joins request and response. KServe mints it anew per revision, so a mirrored request has two."""
    time: bytes
    """When it happened, RFC 3339 with nanoseconds; empty when not given."""
    body: bytes

    @property
    def key(self) -> Key:
        """The revision it speaks of."""
        return Key(self.namespace.decode("ascii"), self.revision.decode("ascii"))


class MalformedEventError(ValueError):
    """The headers do not make an inference event."""


def read_event(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Event:
    """The event in one HTTP request; header names are lower-case, as ASGI gives them.

    Raises:
        MalformedEventError: an attribute is missing, too long, or not ASCII, or the type is unknown.
    """
    attributes = dict(headers)
    try:
        kind = attributes[b"ce-type"]
        event = Event(
            kind == REQUEST,
            attributes[b"ce-namespace"],
            attributes[b"ce-inferenceservicename"],
            attributes[b"ce-id"],
            attributes.get(b"ce-time", b""),
            body,
        )
    except KeyError as missing:
        raise MalformedEventError(f"header {missing.args[0].decode()} is missing") from None
    if not event.is_request and kind != RESPONSE:
        raise MalformedEventError("ce-type is neither an inference request nor a response")
    for value in event[1:5]:
        if len(value) > MAX_ATTRIBUTE or not value.isascii():
            raise MalformedEventError("an attribute is not ASCII or is too long")
    if not (event.namespace and event.revision and event.id):
        raise MalformedEventError("ce-namespace, ce-inferenceservicename or ce-id is empty")
    return event


def read_time(text: bytes, *, received: float, tolerance: float) -> float:
    """Seconds since the epoch of an event's time.

    A time that cannot be read, or is more than ``tolerance`` seconds from when the event was received,
    is a sender's clock gone wrong: the time of receipt stands in.
    """
    try:
        # fromisoformat drops digits below the microsecond.
        moment = datetime.fromisoformat(text.decode("ascii"))
        happened = moment.timestamp() if moment.tzinfo else received
    except ValueError:
        return received
    return happened if abs(happened - received) <= tolerance else received
