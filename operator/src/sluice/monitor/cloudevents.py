"""CloudEvents in binary mode, as KServe's logger sends them: attributes in headers, payload in the body."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sluice.monitor.origin import shortened

REQUEST = b"org.kubeflow.serving.inference.request"
RESPONSE = b"org.kubeflow.serving.inference.response"
MAX_ATTRIBUTE = 256
"""Longest identifier accepted, in bytes. Kubernetes names end at 253, KServe's ids are UUIDs."""
MAX_METADATA = 4096
"""Longest ``ce-metadata`` that is looked at, in bytes. It holds the headers that the logger was told to copy."""


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
    metadata: bytes = b""
    """Request headers that the logger copied, as JSON: ``{"X-Request-Id": ["…"]}``."""

    @property
    def key(self) -> Key:
        """The revision it speaks of."""
        return _key(self.namespace, self.revision)


class MalformedEventError(ValueError):
    """The headers do not make an inference event."""


class _Metadata(msgspec.Struct):
    x_request_id: list[str] = msgspec.field(name="X-Request-Id", default_factory=list)


_METADATA = msgspec.json.Decoder(_Metadata)


def read_event(headers: Mapping[bytes, bytes], body: bytes) -> Event:
    """The event in one HTTP request, whose header names are lower-case.

    Raises:
        MalformedEventError: an attribute is missing, too long, or not ASCII, or the type is unknown.
    """
    try:
        kind = headers[b"ce-type"]
        namespace = headers[b"ce-namespace"]
        revision = headers[b"ce-inferenceservicename"]
        identity = headers[b"ce-id"]
    except KeyError as missing:
        raise MalformedEventError(f"header {missing.args[0].decode()} is missing") from None
    is_request = kind == REQUEST
    if not is_request and kind != RESPONSE:
        raise MalformedEventError("ce-type is neither an inference request nor a response")
    if not (namespace and revision and identity):
        raise MalformedEventError("ce-namespace, ce-inferenceservicename or ce-id is empty")
    time = headers.get(b"ce-time", b"")
    attributes = namespace + revision + identity + time
    if not attributes.isascii():
        raise MalformedEventError("an attribute is not ASCII")
    if len(attributes) > MAX_ATTRIBUTE and max(map(len, (namespace, revision, identity, time))) > MAX_ATTRIBUTE:
        raise MalformedEventError(f"an attribute is longer than {MAX_ATTRIBUTE} bytes")
    metadata = headers.get(b"ce-metadata", b"")
    return Event(
        is_request, namespace, revision, identity, time, body, metadata if len(metadata) <= MAX_METADATA else b""
    )


def read_request_id(event: Event) -> bytes:
    """The id by which one request is known everywhere, its mirrored copy included.

    The gateway's ``X-Request-Id`` where the logger copied it, else the event's own id, which a client may
    have set and which at least tells the rows of one request from those of another.
    """
    if event.metadata:
        try:
            given = _METADATA.decode(event.metadata).x_request_id
        except (msgspec.DecodeError, UnicodeDecodeError):
            given = []
        if given and given[0]:
            return shortened(given[0].encode())
    return shortened(event.id)


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


@lru_cache(maxsize=4096)
def _key(namespace: bytes, revision: bytes) -> Key:
    return Key(namespace.decode("ascii"), revision.decode("ascii"))
