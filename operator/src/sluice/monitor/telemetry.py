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

_PREFIX = "sluice_monitor_"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Every metric of one monitor, in a registry of its own so that two can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.received = self._counter("events_received", "Events accepted for work.", "type")
        self.dropped = self._counter("events_dropped", "Events answered and thrown away for want of room.", "reason")
        self.malformed = self._counter("events_malformed", "Events refused or unreadable.", "reason")
        self.refused = self._counter("events_refused", "Events of senders that are not known.", "reason")
        self.odd = self._counter("events_odd", "Events that were left out: sent twice, or come too late.", "reason")
        self.ignored = self._counter("events_ignored", "Events without a body, such as GETs.")
        self.evaluations = self._counter(
            "evaluation_requests", "Golden rows asked of a model, left out of its traffic."
        )
        self.paired = self._counter("pairs", "Requests joined with their response.")
        self.reordered = self._counter("pairs_reordered", "Pairs of which the response came first.")
        self.unpaired = self._counter("events_unpaired", "Halves whose other half did not come in time.", "type")
        self.untimed = self._counter("events_untimed", "Events filed by when they came: their own time is no good.")
        self.schema_changes = self._counter("schema_changes", "Inferences with columns that were new to a revision.")
        self.volume_errors = self._counter("volume_errors", "Reads and writes of the volume that failed.")
        self.verdicts = self._counter("verdicts", "Answers to POST /v1/drift.", "verdict", "reason")
        self.appraisals = self._counter("appraisals", "Answers to POST /v1/performance.", "verdict", "reason")
        self.labels = self._counter("labels", "Labels by whether the answer they are of was found.", "outcome")
        self.references_evicted = self._counter(
            "references_evicted", "References that made room although they were asked for within two days."
        )
        self.reports = self._counter("reports", "Reports by how they ended.", "outcome")
        self.queue = self._gauge("queue_events", "Events that wait to be worked off.")
        self.unfinished = self._gauge("unfinished_bytes", "Bytes of bodies that have begun to arrive.")
        self.waiting = self._gauge("waiting_events", "Halves that wait for their other half.")
        self.rows = self._gauge("rows_kept", "Rows held in memory.")
        self.row_bytes = self._gauge("rows_bytes", "Memory held by rows.")
        self.outcomes = self._gauge("outcomes_kept", "Labelled answers held in memory.")
        self.series = self._gauge("revisions", "Revisions followed.")
        self.evicted = self._gauge("rows_evicted", "Rows dropped for want of memory since the start.")
        self.unstored = self._gauge("unstored_seconds", "Age of the oldest row that a crash would lose.")
        self.store_seconds = self._histogram("store_seconds", "Time to store what changed since the last time.")
        self.verdict_seconds = self._histogram("verdict_seconds", "Time to a verdict.")
        self.report_seconds = self._histogram("report_seconds", "Time to render a report.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(_PREFIX + name, text, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(_PREFIX + name, text, buckets=_SECONDS, registry=self.registry)


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
