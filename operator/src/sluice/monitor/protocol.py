"""Protocol: HTTP/1.1 for events alone, parsed by the same parser as uvicorn's and answered on the spot.

A task, a scope and two coroutines a request cost more than all that is done with an event. KServe's logger
keeps connections on which nothing but events come, so those are served here, without any of that. The first
request that is no event turns its connection over to uvicorn, for good.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from sluice.monitor.ingress import ACCEPTED, Ingress, Reply, is_event_path
from sluice.monitor.telemetry import Metrics

BEGINNINGS = (b"POST /events ", b"POST /events/", b"POST /events?", b"POST / ")
"""What a request that is served here begins with."""
MAX_HEAD_BYTES = 32 << 10
"""Largest request line with headers."""
MAX_UNFINISHED_BYTES = 32 << 20
"""Most bytes of bodies that have begun to arrive, over all connections."""
MAX_CONNECTIONS = 8_192
IDLE_SECONDS = 75.0
"""A connection on which nothing came for so long is closed, before twice that; so is a request that is
still not whole."""
LINGER_SECONDS = 0.5
"""How long a sender whose request is refused may go on sending it before the connection closes."""

_ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BUSY = Reply(503, "too many events arrive at once\n")
_ENDLESS = Reply(431, "headers too large\n")
_BROKEN = Reply(400, "this is not HTTP/1.1\n")
_NO_EVENT = Reply(404, "only events can be pipelined\n")


class Arrivals:
    """What arrives over all connections of a server, within bounds."""

    def __init__(self, ingress: Ingress, metrics: Metrics) -> None:
        self.ingress = ingress
        self.unfinished_bytes = 0
        """Bytes of bodies whose end has not come."""
        self.dropped = metrics.dropped
        self.malformed = metrics.malformed
        metrics.unfinished.set_function(lambda: self.unfinished_bytes)

    def protocol(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any
    ) -> EventProtocol:
        """What uvicorn is to make for each connection."""
        return EventProtocol(self, config, server_state, app_state, _loop)


class EventProtocol(asyncio.Protocol):
    """One connection. Its callbacks with ``on_`` are the parser's."""

    def __init__(
        self,
        arrivals: Arrivals,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._arrivals = arrivals
        self._for_uvicorn = (config, server_state, app_state, loop)
        self._connections = cast("set[object]", server_state.connections)
        self._loop = loop or asyncio.get_event_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._held = b""
        """The beginning of a request of which it cannot be said yet who serves it."""
        self._is_idle = True
        """Whether the next byte begins a request."""
        self._has_news = False
        """Whether something came since the timer last looked."""
        self._is_closing = False
        """Whether nothing that comes is looked at any more."""
        self._is_last = False
        """Whether the connection ends with the request under way."""
        self._begun = self._begun_before = 0
        """Requests so far, now and when the timer last looked."""
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._has_head = False
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Joins the server's connections, or turns back when there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._arrivals.dropped.labels("connections").inc()
            transport.abort()  # type: ignore[attr-defined]  # a transport of a socket
            return
        self._connections.add(self)
        self._timer = self._loop.call_later(IDLE_SECONDS, self._look)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Half an event is none."""
        self._leave()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, which calls back, or turns the connection over to uvicorn."""
        if self._is_closing:
            return
        self._has_news = True
        if self._is_idle:
            data = self._held + data
            if not data.startswith(BEGINNINGS):
                if any(beginning.startswith(data) for beginning in BEGINNINGS):
                    self._held = data
                else:
                    self._hand_over(data)
                return
            self._held = b""
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_closing:
                self._arrivals.malformed.labels("http").inc()
                self._refuse(_BROKEN)
            return
        if not self._has_head and not self._is_idle and self._head_bytes > MAX_HEAD_BYTES:
            self._arrivals.malformed.labels("size").inc()
            self._refuse(_ENDLESS)

    def pause_writing(self) -> None:
        """A sender that does not read its answers is not read from."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self._transport.resume_reading()

    def shutdown(self) -> None:
        """Ends between two requests, as uvicorn asks of its connections when it stops."""
        if self._is_idle:
            self._is_closing = True
            self._transport.close()
        self._is_last = True

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begun += 1
        self._is_idle = self._has_head = False
        self._url = b""
        self._headers = {}
        self._body = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Refuses what can be refused before the body comes."""
        self._has_head = True
        if self._is_closing:
            return
        if self._parser.get_method() != b"POST" or not is_event_path(self._path()):
            self._refuse(_NO_EVENT)
        elif b"expect" in self._headers and not self._declares_too_much():
            self._transport.write(_CONTINUE)
        elif self._declares_too_much():
            self._refuse(self._arrivals.ingress.too_large())

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._is_closing:
            return
        self._body.append(body)
        self._body_bytes += len(body)
        self._arrivals.unfinished_bytes += len(body)
        if self._body_bytes > self._arrivals.ingress.max_body_bytes:
            self._refuse(self._arrivals.ingress.too_large())
        elif self._arrivals.unfinished_bytes > MAX_UNFINISHED_BYTES:
            self._arrivals.dropped.labels("unfinished").inc()
            self._refuse(_BUSY)

    def on_message_complete(self) -> None:
        """The whole request is there: queues the event and answers."""
        self._is_idle = True
        self._head_bytes = 0
        if self._is_closing:
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._let_go()
        reply = self._arrivals.ingress.take(self._path(), self._headers, body)
        if self._is_last or not self._parser.should_keep_alive():
            self._refuse(reply)
        elif reply is ACCEPTED:
            self._transport.write(_ACCEPTED)
        else:
            self._transport.write(_response(reply))

    def _path(self) -> str:
        return self._url.partition(b"?")[0].decode("ascii", "replace")

    def _declares_too_much(self) -> bool:
        length = self._headers.get(b"content-length", b"0")
        return len(length) > 18 or int(length) > self._arrivals.ingress.max_body_bytes  # the parser checked the digits

    def _refuse(self, reply: Reply) -> None:
        """Answers and closes: what follows would be taken for the next request."""
        self._is_closing = True
        self._let_go()
        self._transport.write(_response(reply, close=True))
        if self._is_idle:
            self._transport.close()
        else:  # to close on a sender in mid-sentence would take the answer from it
            self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def _let_go(self) -> None:
        """Of the body."""
        self._arrivals.unfinished_bytes -= self._body_bytes
        self._body = []
        self._body_bytes = 0

    def _hand_over(self, data: bytes) -> None:
        config, server_state, app_state, loop = self._for_uvicorn
        self._leave()
        successor = HttpToolsProtocol(config, server_state, app_state, loop)
        self._transport.set_protocol(successor)
        successor.connection_made(self._transport)
        successor.data_received(data)

    def _leave(self) -> None:
        self._is_closing = True
        self._let_go()
        self._connections.discard(self)
        if self._timer:
            self._timer.cancel()

    def _look(self) -> None:
        """Closes a connection on which nothing came since the last look, or one request still comes."""
        is_stuck = not self._is_idle and self._begun == self._begun_before
        if not self._has_news or is_stuck:
            self._transport.close()
            return
        self._has_news, self._begun_before = False, self._begun
        self._timer = self._loop.call_later(IDLE_SECONDS, self._look)


def _response(reply: Reply, *, close: bool = False) -> bytes:
    body = reply.text.encode()
    phrase = HTTPStatus(reply.status).phrase
    ending = "connection: close\r\n" if close else ""
    return f"HTTP/1.1 {reply.status} {phrase}\r\ncontent-length: {len(body)}\r\n{ending}\r\n".encode() + body
