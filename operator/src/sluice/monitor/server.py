"""Server: an ASGI application on uvicorn, with the settings that the bench compares handlers under."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SWITCH_SECONDS = 0.001
"""How long a verdict's thread may hold the interpreter before the event loop gets its turn. Python's
default of 5 ms would be most of the time that an event's answer takes."""


Protocol = Callable[..., asyncio.Protocol]


def serve(app: ASGIApp, host: str, port: int, protocol: Protocol = HttpToolsProtocol) -> None:
    """Serves until SIGTERM or SIGINT, then lets requests under way finish.

    ``protocol`` makes the handler of a connection from what uvicorn gives its own.
    """
    # uvicorn shuts down gracefully and then raises the signal again for whoever handled it before. By
    # default that would kill the process; a stop that was asked for ends with status 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    sys.setswitchinterval(SWITCH_SECONDS)
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=cast("type[asyncio.Protocol]", protocol),
        loop="uvloop",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        backlog=4096,
    )
