"""Service: the parts of the monitor put together, and the housekeeping that runs beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from sluice.monitor.appraisal import PerformanceService
from sluice.monitor.collector import Collector
from sluice.monitor.depot import open_depot
from sluice.monitor.drift import DriftService
from sluice.monitor.evidence import Evidence
from sluice.monitor.labels import Labels
from sluice.monitor.outcome import every
from sluice.monitor.reference import HeldReferences, StoredReferences
from sluice.monitor.saver import Saver
from sluice.monitor.senders import Senders
from sluice.monitor.settings import Settings
from sluice.monitor.spool import Spool
from sluice.monitor.store import Store
from sluice.monitor.telemetry import Metrics

HOUSEKEEPING_SECONDS = 1.0
OUTCOME_BUCKET_SECONDS = 3600.0
"""Labels are filed by the hour that they came in: a window of months is some hundred files."""
OUTCOME_ROWS = 50_000
"""Most labelled answers of one revision and hour; more than a verdict looks at."""
OUTCOMES_MIB = 32
"""Memory for labelled answers, some 300,000; older ones are read from the volume."""
MEBIBYTE = 1 << 20

log = logging.getLogger(__name__)


class Service:
    """One monitor. :meth:`running` is its life."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics()
        self.store = Store(
            bucket_seconds=settings.bucket_seconds,
            bucket_rows=settings.bucket_rows,
            max_series=settings.max_series,
            max_bytes=settings.memory_mib * MEBIBYTE,
            seed=settings.seed,
        )
        self.senders = Senders(settings.sender_keys)
        self.collector = Collector(self.store, self.metrics, self.senders, pair_timeout=settings.pair_timeout)
        self.spool = (
            Spool(open_depot(settings.rows_url), self.metrics, max_bytes=settings.volume_mib * MEBIBYTE)
            if settings.rows_url
            else None
        )
        self.saver = (
            Saver(self.store, self.spool, self.metrics, seconds=settings.checkpoint_seconds) if self.spool else None
        )
        self.outcomes = Store(
            bucket_seconds=OUTCOME_BUCKET_SECONDS,
            bucket_rows=OUTCOME_ROWS,
            max_series=settings.max_series,
            max_bytes=OUTCOMES_MIB * MEBIBYTE,
            seed=settings.seed,
            lossless=bool(settings.rows_url),
        )
        self.archive = (
            Spool(open_depot(settings.rows_url), self.metrics, "outcomes/", thin=every) if settings.rows_url else None
        )
        self.clerk = Saver(self.outcomes, self.archive, self.metrics, seconds=1) if self.archive else None
        self.labels = Labels(self.store, self.spool, self.outcomes, self.clerk, self.metrics)
        self.evidence = Evidence(
            settings.reports_dir, self.metrics, kept=settings.reports_kept, idle_seconds=settings.renderer_idle
        )
        self.references = (
            StoredReferences(open_depot(settings.rows_url), self.metrics)
            if settings.rows_url
            else HeldReferences(settings.references_memory_mib * MEBIBYTE, self.metrics)
        )
        self.drift = DriftService(
            self.store,
            self.spool,
            self.evidence,
            self.metrics,
            self.references,
            max_rows=settings.max_rows,
            seed=settings.seed,
            late_seconds=self.collector.closing_delay,
            retention_seconds=settings.retention_seconds,
        )
        self.performance = PerformanceService(
            self.outcomes,
            self.archive,
            self.evidence,
            self.metrics,
            max_rows=settings.max_rows,
            row_seconds=settings.bucket_seconds,
        )
        self.ready = False
        """Whether events and questions are taken."""
        self.healthy = True
        """Whether every background task still runs; if not, only a restart helps."""
        self._settings = settings
        self.metrics.rows.set_function(lambda: self.store.rows)
        self.metrics.row_bytes.set_function(lambda: self.store.bytes)
        self.metrics.outcomes.set_function(lambda: self.outcomes.rows)
        if self.saver:
            saver = self.saver
            self.metrics.unstored.set_function(lambda: saver.unstored_seconds)
        self.metrics.series.set_function(lambda: len(self.store))
        self.metrics.evicted.set_function(lambda: self.store.evicted_rows)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Collects, keeps house and renders while the context is open; then stores what memory holds.

        Raises:
            OSError: the reports directory cannot be written.
        """
        self.evidence.open()
        for spool in filter(None, (self.spool, self.archive)):
            spool.open()
        tasks = [
            asyncio.create_task(self.collector.run(), name="collector"),
            asyncio.create_task(self.evidence.run(), name="evidence"),
            asyncio.create_task(self._keep_house(), name="housekeeping"),
        ]
        if self.saver:
            tasks.append(asyncio.create_task(self.saver.run(), name="saver"))
        for task in tasks:
            task.add_done_callback(self._on_done)
        self.ready = True
        try:
            yield
        finally:
            self.ready = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.drift.close()
            self.labels.close()
            self.performance.close()
            self.collector.finish()
            for saver in filter(None, (self.saver, self.clerk)):
                await saver.finish()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.ready = self.healthy = False
            log.error("%s ended", task.get_name(), exc_info=error)

    async def _keep_house(self) -> None:
        tidied_at = time.monotonic()
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            now = time.time()
            self.collector.expire()
            self.senders.reload()
            self.store.close(before=now - self.collector.closing_delay)
            oldest = now - self._settings.retention_seconds
            self.store.forget(oldest)
            self.outcomes.close(before=now)
            self.outcomes.forget(now - self._settings.outcome_seconds)
            if self.spool and self.archive and time.monotonic() - tidied_at >= self.spool.tidy_seconds:
                tidied_at = time.monotonic()
                await asyncio.to_thread(self._expire, self.spool, oldest, self._settings.volume_mib)
                oldest_label = now - self._settings.outcome_seconds
                await asyncio.to_thread(self._expire, self.archive, oldest_label, self._settings.outcomes_mib)
                if isinstance(self.references, StoredReferences):
                    room = self._settings.references_mib * MEBIBYTE
                    await asyncio.to_thread(self._tidy, partial(self.references.expire, room))

    def _expire(self, spool: Spool, oldest: float, mebibytes: int) -> None:
        self._tidy(partial(spool.expire, before=oldest, max_bytes=mebibytes * MEBIBYTE))

    def _tidy(self, expire: Callable[[], object]) -> None:
        try:
            expire()
        except OSError as error:
            self.metrics.volume_errors.inc()
            log.warning("volume not tidied", extra={"error": str(error)})
