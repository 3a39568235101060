"""``python -m sluice.monitor``, also installed as ``sluice-monitor``."""

from __future__ import annotations

import os
import signal
import sys

from sluice.monitor.settings import Settings, read_settings


def main() -> None:
    """Runs the monitor until SIGTERM or SIGINT."""
    settings = read_settings(sys.argv[1:], os.environ)
    _serve(settings)


def _serve(settings: Settings) -> None:
    # Imported late: --help and the report process, which imports this module, need none of it.
    import uvicorn

    from sluice.monitor.app import build_app
    from sluice.monitor.service import Service
    from sluice.monitor.telemetry import configure_logging

    configure_logging(settings.log_level)
    # uvicorn shuts down gracefully and then raises the signal again for whoever handled it before. By
    # default that would kill the process; a stop that was asked for ends with status 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    # A verdict's thread may hold the interpreter for as long as this before an event is answered. The
    # default of 5 ms would be most of the answer's time.
    sys.setswitchinterval(0.001)
    uvicorn.run(
        build_app(Service(settings), max_body_bytes=settings.max_body_bytes),
        host=settings.host,
        port=settings.port,
        http="httptools",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        backlog=4096,
    )


if __name__ == "__main__":
    main()
