"""Ingress: what becomes of an event before any work: known, well-formed and queued, or refused.

Speaks no protocol of its own. :mod:`sluice.monitor.protocol` hands it whole requests, and on connections
that carry other requests too, its ASGI face does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from sluice.monitor.cloudevents import MalformedEventError, read_event
from sluice.monitor.collector import Collector
from sluice.monitor.senders import Senders
from sluice.monitor.telemetry import Metrics

PATH = "/events"


class Reply(NamedTuple):
    """What a sender is told."""

    status: int
    text: str = ""


ACCEPTED = Reply(202)
TOO_LARGE = Reply(413, "body too large\n")
UNKNOWN_SENDER = Reply(401, "the URL lacks this revision's token\n")


class Ingress:
    """Takes events, and as an ASGI application passes every other request on to ``app``."""

    def __init__(
        self, app: ASGIApp, collector: Collector, metrics: Metrics, senders: Senders, *, max_body_bytes: int
    ) -> None:
        self._app = app
        self._collector = collector
        self._senders = senders
        self.max_body_bytes = max_body_bytes
        """Largest body taken."""
        self._malformed = metrics.malformed
        self._refused = metrics.refused.labels("token")

    def take(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """Queues the event of a request to a path for which :func:`is_event_path` holds."""
        if len(body) > self.max_body_bytes:
            return self.too_large()
        try:
            event = read_event(headers, body)
        except MalformedEventError as error:
            self._malformed.labels("headers").inc()
            return Reply(400, f"{error}\n")
        if self._senders.are_checked:
            token = path[len(PATH) + 1 :].encode("utf-8", "replace")
            if not self._senders.know(token, event.namespace, event.revision):
                self._refused.inc()
                return UNKNOWN_SENDER
        self._collector.offer(event)
        return ACCEPTED

    def too_large(self) -> Reply:
        """Counts a body that was too large, read or not."""
        self._malformed.labels("size").inc()
        return TOO_LARGE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "POST" or not is_event_path(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(receive)
        except ClientDisconnect:
            return  # half an event is none
        reply = self.take(scope["path"], dict(scope["headers"]), body)
        await _answer(send, reply)

    async def _body(self, receive: Receive) -> bytes:
        """The body, up to the chunk in which it becomes too large."""
        body = b""
        while len(body) <= self.max_body_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message["body"]
            if not message["more_body"]:
                break
        return body


def is_event_path(path: str) -> bool:
    """Whether events are posted there: ``/events``, ``/events/<token>``, or ``/``, to which brokers post."""
    return path in (PATH, "/") or path.startswith(PATH + "/")


async def _answer(send: Send, reply: Reply) -> None:
    body = reply.text.encode()
    headers = [(b"content-length", b"%d" % len(body))]
    if reply is TOO_LARGE:
        headers.append((b"connection", b"close"))  # the unread rest would be taken for the next request
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
