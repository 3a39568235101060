"""Model servers in this process, spoken to over HTTP, that answer as a test tells them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Predict = Callable[[list[list[Any]]], list[Any]]


@dataclass
class Model:
    """A model, what its server does beside answering, and what it was asked."""

    predict: Predict = list
    statuses: list[int] = field(default_factory=list)
    """Of the next answers; 200 after that."""
    text: str | None = None
    """Answered instead of predictions."""
    delay: float = 0.0
    url: str = ""
    asked: list[tuple[str, list[list[Any]]]] = field(default_factory=list)
    """Request ids and instances."""
    paths: set[str] = field(default_factory=set)
    busiest: int = 0
    """Requests that were under way at a time, at most."""
    _busy: int = 0

    def answer(self, path: str, request_id: str, body: bytes) -> tuple[int, str]:
        """Status and body."""
        instances = json.loads(body)["instances"]
        self.asked.append((request_id, instances))
        self.paths.add(path)
        status = self.statuses.pop(0) if self.statuses else 200
        if status != 200:
            return status, "it does not go"
        return 200, self.text if self.text is not None else json.dumps({"predictions": self.predict(instances)})

    async def handle(self, request: web.Request) -> web.Response:
        """The same for aiohttp."""
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        await asyncio.sleep(self.delay)
        status, text = self.answer(request.path, request.headers["x-request-id"], await request.read())
        self._busy -= 1
        return web.Response(status=status, text=text, content_type="application/json")


@asynccontextmanager
async def serving(*models: Model) -> AsyncIterator[None]:
    """Serves each model in this event loop."""
    servers = []
    for model in models:
        application = web.Application()
        application.router.add_post("/{path:.*}", model.handle)
        servers.append(TestServer(application))
        await servers[-1].start_server()
        model.url = str(servers[-1].make_url("")).rstrip("/")
    try:
        yield
    finally:
        for server in servers:
            await server.close()


@contextmanager
def in_a_thread(*models: Model) -> Iterator[None]:
    """Serves each model beside a program that has an event loop of its own."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(model)) for model in models]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True) for server in servers]
    for model, server, thread in zip(models, servers, threads, strict=True):
        model.url = f"http://127.0.0.1:{server.server_port}"
        thread.start()
    try:
        yield
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, text = model.answer(self.path, self.headers["x-request-id"], body)
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
