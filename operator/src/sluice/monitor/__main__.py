"""``python -m sluice.monitor``, also installed as ``sluice-monitor``."""

from __future__ import annotations

import os
import sys

from sluice.monitor.settings import Settings, read_settings


def main() -> None:
    """Runs the monitor until SIGTERM or SIGINT."""
    _run(read_settings(sys.argv[1:], os.environ))


def _run(settings: Settings) -> None:
    # Imported late: --help and the report process, which imports this module, need none of it.
    from sluice.monitor.app import build_app
    from sluice.monitor.protocol import Arrivals
    from sluice.monitor.server import serve
    from sluice.monitor.service import Service
    from sluice.monitor.telemetry import configure_logging

    configure_logging(settings.log_level)
    service = Service(settings)
    app = build_app(service, max_body_bytes=settings.max_body_bytes)
    serve(app, settings.host, settings.port, Arrivals(app, service.metrics).protocol)


if __name__ == "__main__":
    main()
