"""Evidence: reports by id, queued for rendering, stored with digest and verdict, the oldest making room."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from sluice.monitor.contract import DriftAnswer, DriftRequest, ReportLink
from sluice.monitor.exhibit import Columns, Exhibit, Rendered, RenderJob, Shown
from sluice.monitor.renderer import Renderer, RendererError
from sluice.monitor.telemetry import Metrics

MAX_PENDING = 8
"""Reports that may wait. What they show is held in memory, and later verdicts matter more than reports."""
REPORT_ID = re.compile(r"[0-9a-f]{32}")

Answer = TypeVar("Answer", bound=msgspec.Struct)
"""An answer with a field ``report``, which is a link or None."""

log = logging.getLogger(__name__)


class ReportState(StrEnum):
    """How far a report is."""

    PENDING = "Pending"
    RENDERED = "Rendered"
    FAILED = "Failed"


class ReportRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept beside a report: the question, the answer, and the digest of the page.

    Question and answer as they were in JSON: a later version, which asks another way, still reads them.
    """

    id: str
    state: ReportState
    created: datetime
    request: dict[str, object]
    answer: dict[str, object]
    digest: str | None = None
    error: str | None = None


class Evidence:
    """The reports directory, and the queue in front of it."""

    def __init__(self, root: Path, metrics: Metrics, *, kept: int, idle_seconds: float) -> None:
        self._root = root
        self._metrics = metrics
        self._kept = kept
        self._idle_seconds = idle_seconds
        self._renderer = Renderer()
        self._queue: asyncio.Queue[tuple[ReportRecord, RenderJob]] = asyncio.Queue(MAX_PENDING)

    def submit(self, request: DriftRequest, answer: DriftAnswer, exhibits: Sequence[Exhibit]) -> DriftAnswer:
        """The answer about drift with the link to its report, as :meth:`attach` has it."""
        title = f"{request.subject} drift of {request.candidate} against {request.stable}"
        return self.attach(title, request, answer, Columns(request.min_effect, tuple(exhibits)))

    def attach(self, title: str, request: msgspec.Struct, answer: Answer, shown: Shown) -> Answer:
        """The answer with the link to its report, which is rendered later.

        Without a link when there is nothing to show, too much waits already, or the directory is full:
        a verdict does not depend on its report.

        Args:
            title: what the page is called.
            request: the question, which is kept beside the report.
            answer: likewise; its ``report`` is set.
            shown: what the report is of.
        """
        if not len(shown):
            return answer
        if self._queue.full():
            self._metrics.reports.labels("dropped").inc()
            return answer
        report_id = uuid.uuid4().hex
        answer = msgspec.structs.replace(answer, report=ReportLink(report_id, f"/v1/reports/{report_id}"))
        record = ReportRecord(
            id=report_id,
            state=ReportState.PENDING,
            created=datetime.now(UTC),
            request=msgspec.to_builtins(request),
            answer=msgspec.to_builtins(answer),
        )
        try:
            self._write(record)
        except OSError as error:
            self._metrics.reports.labels("failed").inc()
            log.warning("cannot store a report", extra={"error": str(error)})
            return msgspec.structs.replace(answer, report=None)
        self._queue.put_nowait((record, RenderJob(title, shown, self.page(report_id))))
        return answer

    def page(self, report_id: str) -> Path:
        """Where the page of a report is, or would be."""
        return self._root / f"{report_id}.html"

    def record(self, report_id: str) -> ReportRecord | None:
        """What is known of a report; None for an id that never was, or was too long ago."""
        if not REPORT_ID.fullmatch(report_id):
            return None
        try:
            return msgspec.json.decode(self._record_path(report_id).read_bytes(), type=ReportRecord)
        except FileNotFoundError:
            return None

    def open(self) -> None:
        """Makes the directory ready. Reports that an earlier process left unfinished become Failed.

        Raises:
            OSError: it cannot be written.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        for path in self._root.glob("*.json"):
            record = self.record(path.stem)
            if record and record.state is ReportState.PENDING:
                self._write(_ended(record, Rendered(error="the monitor ended before it was rendered")))

    async def run(self) -> None:
        """Renders one report after another until cancelled, and ends the process when there is none."""
        try:
            while True:
                try:
                    idle = self._idle_seconds if self._renderer.running else None
                    record, job = await asyncio.wait_for(self._queue.get(), idle)
                except TimeoutError:
                    self._renderer.end()
                    continue
                await asyncio.to_thread(self._render, record, job)
        finally:
            # Also wakes the worker thread, should it wait for a report: its pipe closes.
            self._renderer.end()

    def _render(self, record: ReportRecord, job: RenderJob, clock: Callable[[], float] = time.monotonic) -> None:
        begun = clock()
        try:
            rendered = self._renderer.render(job)
        except RendererError as error:
            rendered = Rendered(error=str(error))
        self._metrics.report_seconds.observe(clock() - begun)
        self._metrics.reports.labels("failed" if rendered.error else "rendered").inc()
        if rendered.error:
            log.warning("report not rendered", extra={"report": record.id, "error": rendered.error})
        try:
            self._write(_ended(record, rendered))
            self._retire()
        except OSError as error:
            log.warning("cannot store a report", extra={"report": record.id, "error": str(error)})

    def _retire(self) -> None:
        """Deletes the oldest reports beyond the number kept."""
        records = sorted(self._root.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in records[self._kept :]:
            self.page(path.stem).unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def _record_path(self, report_id: str) -> Path:
        return self._root / f"{report_id}.json"

    def _write(self, record: ReportRecord) -> None:
        path = self._record_path(record.id)
        draft = path.with_suffix(".draft-json")
        draft.write_bytes(msgspec.json.encode(record))
        draft.replace(path)


def _ended(record: ReportRecord, rendered: Rendered) -> ReportRecord:
    if rendered.error:
        return msgspec.structs.replace(record, state=ReportState.FAILED, error=rendered.error)
    return msgspec.structs.replace(record, state=ReportState.RENDERED, digest=rendered.digest)
