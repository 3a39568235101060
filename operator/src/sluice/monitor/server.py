"""Server: an ASGI application on uvicorn, with the settings that the bench compares handlers under."""

from __future__ import annotations

import signal
import sys

import uvicorn
from starlette.types import ASGIApp

SWITCH_SECONDS = 0.001
"""How long a verdict's thread may hold the interpreter before the event loop gets its turn. Python's
default of 5 ms would be most of the time that an event's answer takes."""


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, then lets requests under way finish."""
    # uvicorn shuts down gracefully and then raises the signal again for whoever handled it before. By
    # default that would kill the process; a stop that was asked for ends with status 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    sys.setswitchinterval(SWITCH_SECONDS)
    uvicorn.run(
        app,
        host=host,
        port=port,
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        backlog=4096,
    )
