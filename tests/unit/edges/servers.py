"""A real HTTP server in this process that answers as a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class Answering:
    """What to answer to every request, and what was asked."""

    status: int = 200
    text: str = "{}"
    delay: float = 0.0
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    """Method, path, and the form or the JSON document."""
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Any request."""
        body = await request.json() if request.content_type == "application/json" else dict(await request.post())
        self.asked.append((request.method, request.path, body))
        await asyncio.sleep(self.delay)
        return web.Response(status=self.status, text=self.text, content_type="application/json")


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[Answering, aiohttp.ClientSession]]:
    """A server, and a session to ask it with."""
    answering = Answering(**settings)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answering.answer)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        answering.url = str(server.make_url(""))
        yield answering, session
