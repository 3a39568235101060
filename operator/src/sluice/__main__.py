"""``python -m sluice``: the operator."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import socket
import sys
import time
from datetime import UTC, datetime

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sluice import __version__
from sluice.edges import metrics
from sluice.edges.kube import Kube, own_namespace
from sluice.edges.registry import Registry
from sluice.engine.operator import Operator, Settings
from sluice.watch import watch

log = logging.getLogger("sluice")

_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what was given as ``extra`` becomes fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD and value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def parser() -> argparse.ArgumentParser:
    """The command line. Every option can be given as SLUICE_<NAME> in the environment."""

    def environment(name: str, default: str) -> str:
        return os.environ.get(f"SLUICE_{name}", default)

    found = argparse.ArgumentParser("python -m sluice", description="The Sluice operator.")
    option = found.add_argument
    option("--version", action="version", version=__version__)
    option("--namespace", action="append", help="watch this namespace only (repeatable; default: all)")
    option("--prometheus-url", default=environment("PROMETHEUS_URL", "http://prometheus.monitoring.svc:9090"))
    option("--monitor-url", default=environment("MONITOR_URL", "http://sluice-monitor.sluice-system.svc"))
    option(
        "--logger-url",
        default=environment("LOGGER_URL", "http://sluice-monitor.sluice-system.svc/events"),
        help="where KServe sends requests and responses; empty for nowhere",
    )
    option(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI", "http://mlflow.mlflow.svc:5000"),
        help="MLflow (environment: MLFLOW_TRACKING_URI)",
    )
    option("--tick", type=float, default=float(environment("TICK", "5")), help="seconds between rounds of verdicts")
    option("--resync", type=float, default=float(environment("RESYNC", "300")), help="seconds between full lists")
    option("--workers", type=int, default=int(environment("WORKERS", "8")), help="reconciles at a time")
    option("--lease", default=environment("LEASE", "sluice-operator"), help="name of the Lease; empty to lead at once")
    option("--lease-namespace", default=environment("LEASE_NAMESPACE", own_namespace()))
    option("--port", type=int, default=int(environment("PORT", "8080")), help="of /metrics and /healthz")
    option("--log-level", default=environment("LOG_LEVEL", "INFO"))
    option("--log-format", choices=("json", "text"), default=environment("LOG_FORMAT", "json"))
    return found


def main() -> None:
    """Run until told to stop, or until the Lease is lost."""
    options = parser().parse_args()
    handler = logging.StreamHandler(sys.stdout)
    if options.log_format == "json":
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=options.log_level.upper(), handlers=[handler])
    logging.getLogger("kopf").setLevel(logging.WARNING)
    asyncio.run(serve(options))
    # Only a lost Lease, a failed loop or a signal lead here; a new process starts from what is on record.
    logging.shutdown()
    os._exit(1)


async def serve(options: argparse.Namespace) -> None:
    """Serve metrics and probes at once, and operate while the Lease is held."""
    namespaces = tuple(options.namespace or filter(None, os.environ.get("SLUICE_NAMESPACES", "").split(",")))
    settings = Settings(
        prometheus_url=options.prometheus_url,
        monitor_url=options.monitor_url,
        logger_url=options.logger_url or None,
        tick=options.tick,
        resync=options.resync,
        workers=options.workers,
        namespaces=namespaces,
    )
    kube = await Kube.connect()
    async with aiohttp.ClientSession() as session:
        operator = Operator(kube, session, settings, Registry(options.tracking_uri))
        await _serve_probes(operator, options.port, options.resync)

        async def operate() -> None:
            metrics.LEADER.set(1)
            log.info("leading", extra={"version": __version__})
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(operator.run())
                    group.create_task(watch(operator, namespaces))
            except BaseException:
                log.exception("the operator ends")
                logging.shutdown()
                os._exit(1)

        if options.lease:
            identity = f"{socket.gethostname()}-{os.getpid()}"
            await kube.lead(options.lease, options.lease_namespace, identity, operate)
            log.error("the Lease %s is lost; this process ends so that only one leads", options.lease)
        else:
            await operate()


async def _serve_probes(operator: Operator, port: int, resync: float) -> None:
    async def healthz(_: web.Request) -> web.Response:
        # A process that does not lead is healthy; one that leads must have compared itself with reality lately.
        last = operator.last_resync
        stale = last is not None and time.monotonic() - last > 3 * resync + 60
        return web.Response(status=500 if stale else 200, text="no resync lately" if stale else "ok")

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/metrics", expose)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - the kubelet and Prometheus come from outside


if __name__ == "__main__":
    main()
