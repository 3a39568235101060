"""Ingress: the raw ASGI handler in front of the collector.

A framework's routing and request objects cost as much as the whole of this; one event costs one
dictionary of headers and one append to a queue.
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from sluice.monitor.cloudevents import MalformedEventError, read_event
from sluice.monitor.collector import Collector
from sluice.monitor.telemetry import Metrics

PATHS = frozenset({"/events", "/"})


class Ingress:
    """Takes events itself and passes every other request on to ``app``."""

    def __init__(self, app: ASGIApp, collector: Collector, metrics: Metrics, *, max_body_bytes: int) -> None:
        self._app = app
        self._collector = collector
        self._max_body_bytes = max_body_bytes
        self._malformed = metrics.malformed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(receive)
        except ClientDisconnect:
            return  # half an event is none
        if body is None:
            self._malformed.labels("size").inc()
            await _answer(send, 413, b"body too large\n")
            return
        try:
            event = read_event(scope["headers"], body)
        except MalformedEventError as error:
            self._malformed.labels("headers").inc()
            await _answer(send, 400, f"{error}\n".encode())
            return
        self._collector.offer(event)
        await _answer(send, 202)

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; None when it is too large, in which case the rest of it is not kept."""
        body = b""
        while len(body) <= self._max_body_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message["body"]
            if not message["more_body"]:
                return body if len(body) <= self._max_body_bytes else None
        return None


async def _answer(send: Send, status: int, body: bytes = b"") -> None:
    length = b"%d" % len(body)
    headers = [(b"content-length", length)]
    if status == 413:
        headers.append((b"connection", b"close"))  # the unread rest would be taken for the next request
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
