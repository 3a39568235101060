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
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from sluice import __version__
from sluice.api.sender import WeakKeyError, read_keys
from sluice.core.examination import Equipment
from sluice.edges import anchor, courier, metrics
from sluice.edges.evidence import EvidenceReader
from sluice.edges.kinds import MODEL_DEPLOYMENTS
from sluice.edges.kube import Kube, own_namespace
from sluice.edges.lease import Lease, LeaseLostError
from sluice.edges.registry import Registry
from sluice.edges.signing import KeyFileError, Signer
from sluice.edges.storage import ForkServer, Storage
from sluice.engine.operator import Operator, Settings
from sluice.engine.sealer import Sealing
from sluice.engine.surroundings import SETTINGS, Surroundings
from sluice.watch import watch

log = logging.getLogger("sluice")

SIGNING_KEY = SETTINGS / "signing" / "key.pem"
"""Where the chart mounts it."""

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
        "--sender-keys",
        default=environment("SENDER_KEYS", ""),
        help="file of keys by which sluice-monitor knows loggers, one a line; empty for none",
    )
    option(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI", "http://mlflow.mlflow.svc:5000"),
        help="MLflow (environment: MLFLOW_TRACKING_URI)",
    )
    option(
        "--anchor-url",
        default=environment("ANCHOR_URL", ""),
        help="write-once store for the heads of records: s3://bucket/prefix?endpoint=… or file:///directory",
    )
    option(
        "--signing-key",
        type=Path,
        default=environment("SIGNING_KEY", ""),
        help=f"PEM file with the private key that records are signed with (default: {SIGNING_KEY}, if there is one)",
    )
    option(
        "--webhook-hosts",
        default=environment("WEBHOOK_HOSTS", ""),
        help="hosts that webhook monitors and watch hooks may name, commas between, * for anything; empty for none",
    )
    option(
        "--webhook-key",
        default=environment("WEBHOOK_KEY", ""),
        help="file with the key that questions to webhooks are signed with (whsec_…); empty for no signature",
    )
    option(
        "--operator-image",
        default=environment("OPERATOR_IMAGE", ""),
        help="this image, with which evaluations fetch golden data and log runs; empty for no evaluations",
    )
    option(
        "--monitor-image",
        default=environment("MONITOR_IMAGE", ""),
        help="image of sluice-monitor, with which evaluations ask golden data; empty for no evaluations",
    )
    option("--image-pull-policy", default=environment("IMAGE_PULL_POLICY", ""), help="of both, in evaluations")
    option(
        "--image-pull-secrets",
        default=environment("IMAGE_PULL_SECRETS", ""),
        help="names of Secrets for both, commas between; evaluations need them in the models' namespaces",
    )
    option(
        "--storage-env",
        default=environment("STORAGE_ENV", ""),
        help="environment of what reads and writes artifacts in evaluations: a JSON list as in a container",
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
    """Run until told to stop. Any other end is exit code 1: a new process starts from what is on record."""
    options = parser().parse_args()
    handler = logging.StreamHandler(sys.stdout)
    if options.log_format == "json":
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=options.log_level.upper(), handlers=[handler])
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        sealing = sealing_of(options)
    except (KeyFileError, anchor.AnchorURLError) as error:
        sys.exit(f"records cannot be sealed as asked: {error}")
    asyncio.run(serve(options, sealing))


def sealing_of(options: argparse.Namespace) -> Sealing:
    """What records are sealed with.

    Raises:
        KeyFileError: the key cannot be used.
        AnchorURLError: the URL names no store.
    """
    stated: Path | None = options.signing_key if str(options.signing_key) not in ("", ".") else None
    key = stated or (SIGNING_KEY if SIGNING_KEY.exists() else None)
    if key is not None:
        Signer.load(key)
    return Sealing(key, anchor.connect(options.anchor_url) if options.anchor_url else None)


async def serve(options: argparse.Namespace, sealing: Sealing) -> NoReturn:
    """Serve metrics and probes at once, operate while the Lease is held, and end the process."""
    namespaces = tuple(options.namespace or filter(None, os.environ.get("SLUICE_NAMESPACES", "").split(",")))
    settings = Settings(
        prometheus_url=options.prometheus_url,
        monitor_url=options.monitor_url,
        logger_url=options.logger_url or None,
        sender_key=_read_sender_key(options.sender_keys),
        webhook_hosts=tuple(filter(None, options.webhook_hosts.split(","))),
        webhook_key=_webhook_key(options.webhook_key),
        equipment=equipment_of(options),
        tick=options.tick,
        resync=options.resync,
        workers=options.workers,
        namespaces=namespaces,
    )
    kube = await Kube.connect()
    # No cookies: what a webhook's service sets is for nobody else.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        keys = SETTINGS / "trusted-keys"
        server, trusted = ForkServer(), keys if keys.is_dir() else None
        evidence = EvidenceReader(options.tracking_uri, trusted_keys=trusted, storage=Storage(server))
        registry = Registry(options.tracking_uri, storage=Storage(server))
        surroundings = Surroundings(kube, evidence)
        operator = Operator(kube, session, settings, registry, surroundings=surroundings, sealing=sealing)
        metrics.BUILD.info({"version": __version__})
        REGISTRY.register(metrics.Deployments(lambda: operator.store.all(MODEL_DEPLOYMENTS)))
        await _serve_probes(operator, options.port, options.resync)
        try:
            await _lead(kube, options, lambda: _operate(operator, namespaces))
        except LeaseLostError as error:
            log.error("%s; this process ends so that only one leads", error)
            _end(1)
        except BaseException:
            log.exception("the operator fails")
            _end(1)
    log.info("told to stop")
    _end(0)


def _read_sender_key(path: str) -> bytes | None:
    """The key that tokens are made with: the first of the file. No file, no key; a bad one ends the process."""
    if not path:
        return None
    try:
        return read_keys(Path(path).read_text())[0]
    except (OSError, WeakKeyError) as error:
        sys.exit(f"sender keys: {error}")


def _webhook_key(path: str) -> Path | None:
    """The file of the key for webhooks, tried once; a bad one ends the process."""
    if not path:
        return None
    try:
        courier.read_key(Path(path))
    except courier.WebhookKeyError as error:
        sys.exit(f"webhook key: {error}")
    return Path(path)


def equipment_of(options: argparse.Namespace) -> Equipment | None:
    """What evaluations are made of; None without images. An environment that is none ends the process."""
    if not (options.operator_image and options.monitor_image):
        return None
    try:
        given = json.loads(options.storage_env or "[]")
        if not all(isinstance(variable["name"], str) for variable in given):
            raise TypeError("a name is a text")
    except (ValueError, LookupError, TypeError) as error:
        sys.exit(f"the storage environment is no JSON list of variables with names: {error!r}")
    tracking = {"name": "MLFLOW_TRACKING_URI", "value": options.tracking_uri}
    return Equipment(
        operator_image=options.operator_image,
        monitor_image=options.monitor_image,
        pull_policy=options.image_pull_policy,
        pull_secrets=tuple(filter(None, options.image_pull_secrets.split(","))),
        environment=(tracking, *given),
    )


async def _lead(kube: Kube, options: argparse.Namespace, operate: Callable[[], Awaitable[None]]) -> None:
    if not options.lease:
        await operate()
        return
    # A restarted container has the name and number of the one before it, and so goes on without waiting.
    identity = f"{socket.gethostname()}-{os.getpid()}"
    await Lease(kube, namespace=options.lease_namespace, name=options.lease, identity=identity).lead(operate)


async def _operate(operator: Operator, namespaces: tuple[str, ...]) -> None:
    """Run the engine and its watch until a signal stops the watch, or one of them fails."""
    metrics.LEADER.set(1)
    log.info("leading", extra={"version": __version__})
    running = asyncio.create_task(operator.run())
    watching = asyncio.create_task(watch(operator, namespaces))
    await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
    if running.done() and not running.cancelled():
        running.result()
    await watching  # when told to stop, kopf cancels what runs in this loop, the engine too, and then ends


def _end(code: int) -> NoReturn:
    # At once: tasks that are slow to be cancelled must not write any more.
    logging.shutdown()
    os._exit(code)


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
