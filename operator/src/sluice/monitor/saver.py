"""Saver: stores what memory holds, so often that a crash loses no more than the seconds that were declared."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sluice.monitor.cloudevents import Key
from sluice.monitor.spool import Spool
from sluice.monitor.store import Snapshot, Store
from sluice.monitor.telemetry import Metrics

WRITERS = 4
"""Files written at the same time: a store's answer takes much longer than the making of a file."""
LEAST_REST = 3.0
"""A round of writing is followed by a rest at least so many times as long: answers come first."""

log = logging.getLogger(__name__)


class Saver:
    """Writes the buckets that changed, closed or not, in rounds.

    A row that comes right after a round began is in the next one. So rounds begin at half the declared
    seconds, and the declaration holds as long as one takes no more than the other half. Where it takes
    longer, the rounds become rarer rather than the answers slower, and the metric ``unstored_seconds`` says
    what a crash would cost.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool,
        metrics: Metrics,
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._spool = spool
        self._metrics = metrics
        self._period = seconds / 2
        self._clock = clock
        self._threads = ThreadPoolExecutor(WRITERS, thread_name_prefix="sluice-save")
        self._writing: asyncio.Future[list[bool]] | None = None
        self._complete_at = clock()
        """Everything that came before this moment is stored."""

    @property
    def unstored_seconds(self) -> float:
        """Age of the oldest row that a crash would lose, at most."""
        return self._clock() - self._complete_at

    async def run(self) -> None:
        """Round after round, until cancelled."""
        while True:
            begun = self._clock()
            await self.save()
            took = self._clock() - begun
            await asyncio.sleep(max(self._period - took, LEAST_REST * took))

    async def save(self) -> bool:
        """One round, and whether all could be written. What could not be stays in memory for as long as there is room,
        for the next round."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait(
                [self._writing]
            )  # of a round that was given up: the same files must not be written twice
        begun = self._clock()
        changed = self._store.unstored()
        loop = asyncio.get_running_loop()
        with self._metrics.store_seconds.time():
            self._writing = asyncio.gather(
                *(loop.run_in_executor(self._threads, self._write, key, snapshot) for key, snapshot in changed)
            )
            outcomes = await asyncio.shield(self._writing)  # what a thread has begun it also ends
        for (_, snapshot), is_written in zip(changed, outcomes, strict=True):
            if is_written:
                snapshot.bucket.stored = snapshot.version
        if all(outcomes):
            self._complete_at = begun
        return all(outcomes)

    async def finish(self) -> None:
        """A last round, once the one under way is over."""
        if self._writing:
            await self._writing
        await self.save()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _write(self, key: Key, snapshot: Snapshot) -> bool:
        try:
            self._spool.write(key, snapshot)
        except OSError as error:
            # A full volume costs history, no verdict: the rows are still in memory.
            self._metrics.volume_errors.inc()
            log.warning("bucket not stored", extra={"revision": key.revision, "error": str(error)})
            return False
        return True
