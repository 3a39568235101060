"""Service: the parts of the monitor put together, and the housekeeping that runs beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from sluice.monitor.cloudevents import Key
from sluice.monitor.collector import Collector
from sluice.monitor.drift import DriftService
from sluice.monitor.evidence import Evidence
from sluice.monitor.settings import Settings
from sluice.monitor.spool import Spool
from sluice.monitor.store import Bucket, Store
from sluice.monitor.telemetry import Metrics

HOUSEKEEPING_SECONDS = 1.0
EXPIRY_SECONDS = 60.0
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
        self.collector = Collector(self.store, self.metrics, pair_timeout=settings.pair_timeout)
        self.spool = Spool(settings.data_dir, self.metrics) if settings.data_dir else None
        self.evidence = Evidence(
            settings.reports_dir, self.metrics, kept=settings.reports_kept, idle_seconds=settings.renderer_idle
        )
        self.drift = DriftService(
            self.store,
            self.spool,
            self.evidence,
            self.metrics,
            max_rows=settings.max_rows,
            seed=settings.seed,
        )
        self.ready = False
        """Whether events and questions are taken."""
        self.healthy = True
        """Whether every background task still runs; if not, only a restart helps."""
        self._settings = settings
        self.metrics.rows.set_function(lambda: self.store.rows)
        self.metrics.row_bytes.set_function(lambda: self.store.bytes)
        self.metrics.series.set_function(lambda: len(self.store))
        self.metrics.evicted.set_function(lambda: self.store.evicted_rows)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Collects, keeps house and renders while the context is open; then stores what memory holds.

        Raises:
            OSError: the reports directory cannot be written.
        """
        self.evidence.open()
        tasks = [
            asyncio.create_task(self.collector.run(), name="collector"),
            asyncio.create_task(self.evidence.run(), name="evidence"),
            asyncio.create_task(self._keep_house(), name="housekeeping"),
        ]
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
            self.collector.finish()
            await self._store_closed(before=float("inf"))

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.ready = self.healthy = False
            log.error("%s ended", task.get_name(), exc_info=error)

    async def _keep_house(self) -> None:
        expired_at = time.monotonic()
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            now = time.time()
            self.collector.expire()
            await self._store_closed(before=now - self.collector.closing_delay)
            oldest = now - self._settings.retention_seconds
            self.store.forget(oldest)
            if self.spool and time.monotonic() - expired_at >= EXPIRY_SECONDS:
                expired_at = time.monotonic()
                await asyncio.to_thread(self._expire, self.spool, oldest)

    async def _store_closed(self, before: float) -> None:
        """Closes the buckets that ended before a moment and, where there is a volume, stores them."""
        closed = self.store.close(before)
        if self.spool and closed:
            await asyncio.to_thread(self._write, self.spool, closed)

    def _write(self, spool: Spool, closed: list[tuple[Key, Bucket]]) -> None:
        for key, bucket in closed:
            try:
                bucket.path = spool.write(key, bucket)
            except OSError as error:
                # The rows stay in memory for as long as there is room: a full volume costs history, no verdict.
                self.metrics.volume_errors.inc()
                log.warning("bucket not stored", extra={"revision": key.revision, "error": str(error)})

    def _expire(self, spool: Spool, oldest: float) -> None:
        try:
            spool.expire(before=oldest, max_bytes=self._settings.volume_mib * MEBIBYTE)
        except OSError as error:
            self.metrics.volume_errors.inc()
            log.warning("volume not tidied", extra={"error": str(error)})
