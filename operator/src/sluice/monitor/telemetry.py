"""Telemetry: the metrics of the monitor, and its log lines as JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Every metric of one monitor, in a registry of its own so that two can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        prefix = "sluice_monitor"
        self.received = Counter(
            f"{prefix}_events_received_total", "Events accepted for work.", ["type"], registry=self.registry
        )
        self.dropped = Counter(
            f"{prefix}_events_dropped_total",
            "Events answered and thrown away: too busy, or no room.",
            ["reason"],
            registry=self.registry,
        )
        self.malformed = Counter(
            f"{prefix}_events_malformed_total",
            "Events refused or unreadable.",
            ["reason"],
            registry=self.registry,
        )
        self.ignored = Counter(
            f"{prefix}_events_ignored_total", "Events without a body, such as GETs.", registry=self.registry
        )
        self.paired = Counter(f"{prefix}_pairs_total", "Requests joined with their response.", registry=self.registry)
        self.unpaired = Counter(
            f"{prefix}_events_unpaired_total",
            "Halves whose other half did not come in time.",
            ["type"],
            registry=self.registry,
        )
        self.queue = Gauge(f"{prefix}_queue_events", "Events that wait to be worked off.", registry=self.registry)
        self.waiting = Gauge(
            f"{prefix}_waiting_events", "Halves that wait for their other half.", registry=self.registry
        )
        self.rows = Gauge(f"{prefix}_rows_kept", "Rows held in memory.", registry=self.registry)
        self.row_bytes = Gauge(f"{prefix}_rows_bytes", "Memory held by rows.", registry=self.registry)
        self.series = Gauge(f"{prefix}_revisions", "Revisions followed.", registry=self.registry)
        self.evicted = Gauge(
            f"{prefix}_rows_evicted",
            "Rows dropped for want of memory since the start.",
            registry=self.registry,
        )
        self.volume_errors = Counter(
            f"{prefix}_volume_errors_total",
            "Reads and writes of the volume that failed.",
            registry=self.registry,
        )
        self.verdicts = Counter(
            f"{prefix}_verdicts_total",
            "Answers to POST /v1/drift.",
            ["verdict", "reason"],
            registry=self.registry,
        )
        self.verdict_seconds = Histogram(
            f"{prefix}_verdict_seconds", "Time to a verdict.", buckets=_SECONDS, registry=self.registry
        )
        self.report_seconds = Histogram(
            f"{prefix}_report_seconds", "Time to render a report.", buckets=_SECONDS, registry=self.registry
        )
        self.reports = Counter(
            f"{prefix}_reports_total", "Reports by how they ended.", ["outcome"], registry=self.registry
        )


class JSONFormatter(logging.Formatter):
    """One JSON object a line. What a caller passes as ``extra`` becomes fields."""

    _STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in self._STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Sends every log line of the process to stdout as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
