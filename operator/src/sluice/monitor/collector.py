"""Collector: a bounded queue between the answer and the work, and the loop that works it off.

KServe's logger sits beside the model and has no back-pressure: a sink that is slow makes the agent pile
up memory and take the predictions down. So :meth:`Collector.offer` only queues, and when there is no
room it throws away; the sender never waits for decoding.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections import deque
from collections.abc import Callable

from sluice.api.sender import EVALUATION
from sluice.monitor.cloudevents import Event, read_request_id, read_time
from sluice.monitor.pairing import Oddity, Pair, Pairer
from sluice.monitor.payload import UnreadableBodyError, read_request, read_response
from sluice.monitor.reservoir import LayoutFullError
from sluice.monitor.senders import Senders
from sluice.monitor.store import SeriesLimitError, Store
from sluice.monitor.telemetry import Metrics

MAX_QUEUE_EVENTS = 16_384
MAX_QUEUE_BYTES = 16 << 20
CLOCK_TOLERANCE = 300.0
"""Seconds a sender's clock may be off before the time of receipt stands in for its own."""
SLICE_SECONDS = 0.002
"""Work done before the loop turns to the network again: an answer waits no longer than this for us."""
_EVALUATION = EVALUATION.encode()
GRACE_SECONDS = 2.0
"""Time an event may take from its happening to us, beyond the pair time-out, before its bucket closes."""

log = logging.getLogger(__name__)


class Collector:
    """Takes events, pairs them, and puts their rows into the store. Lives on the event loop."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        senders: Senders,
        *,
        pair_timeout: float,
        clock: Callable[[], float] = time.time,
        max_events: int = MAX_QUEUE_EVENTS,
        max_bytes: int = MAX_QUEUE_BYTES,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._senders = senders
        self._clock = clock
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._queue: deque[Event] = deque()
        self._queue_bytes = 0
        self._wake = asyncio.Event()
        self._pairer = Pairer(timeout=pair_timeout, max_events=max_events, max_bytes=max_bytes)
        # Looked up once: labels() costs as much as all the rest of offer().
        self._received = {
            True: metrics.received.labels("request"),
            False: metrics.received.labels("response"),
        }
        self._odd = {oddity: metrics.odd.labels(oddity) for oddity in Oddity}
        metrics.queue.set_function(lambda: len(self._queue))
        metrics.waiting.set_function(lambda: len(self._pairer))

    @property
    def closing_delay(self) -> float:
        """How long after its end a bucket may still be written to, in seconds."""
        return self._pairer.timeout + GRACE_SECONDS

    def offer(self, event: Event) -> None:
        """Queues an event, or throws it away when there is no room. Never blocks."""
        if not event.body:  # a GET, such as the readiness of a model
            self._metrics.ignored.inc()
            return
        if not self._admits(event):
            self._metrics.dropped.labels("queue").inc()
            return
        self._received[event.is_request].inc()
        self._queue.append(event)
        self._queue_bytes += len(event.body)
        self._wake.set()

    async def run(self) -> None:
        """Works the queue off until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                self.work(until=time.perf_counter() + SLICE_SECONDS)
                await asyncio.sleep(0)

    def work(self, until: float = float("inf")) -> None:
        """Works the queue off, or until ``time.perf_counter`` says so."""
        while self._queue and time.perf_counter() < until:
            event = self._queue.popleft()
            self._queue_bytes -= len(event.body)
            found = self._pairer.add(event, self._clock())
            if isinstance(found, Pair):
                self._keep(found)
            elif found is not None:
                self._odd[found].inc()
        for _ in self._pairer.crowded():
            self._metrics.dropped.labels("waiting").inc()

    def expire(self) -> None:
        """Counts the halves whose other half has not come in time."""
        for event in self._pairer.expired(self._clock()):
            if self._is_of_evaluation(event):
                continue
            self._metrics.unpaired.labels("request" if event.is_request else "response").inc()
            try:
                tally = self._store.tally(event.key, self._moment(event))
            except SeriesLimitError:
                self._metrics.dropped.labels("revisions").inc()
                continue
            if event.is_request:
                tally.failed += 1
            else:
                tally.orphaned += 1

    def finish(self) -> None:
        """Works off what is queued, for a process that ends. Halves still waiting are not counted as lost."""
        self.work()
        self._pairer.abandon()

    def _admits(self, event: Event) -> bool:
        """Sheds by id, so that both halves of an inference share its fate, more as the queue fills.

        Up to half full everything is taken, then every second id, above three quarters every eighth,
        and nothing when full. The ids are random, so what is kept stays a fair sample of both revisions.
        """
        fill = max(len(self._queue) / self._max_events, self._queue_bytes / self._max_bytes)
        if fill < 0.5:
            return True
        if fill >= 1:
            return False
        return zlib.crc32(event.id) % (8 if fill >= 0.75 else 2) == 0

    def _is_of_evaluation(self, event: Event) -> bool:
        """Whether it asks golden rows, which are nobody's traffic."""
        if _EVALUATION not in event.metadata:  # as good as always, and quickly seen
            return False
        found = self._senders.know_evaluation(read_request_id(event), event.namespace)
        if found:
            self._metrics.evaluations.inc()
        return found

    def _keep(self, pair: Pair) -> None:
        if self._is_of_evaluation(pair.request):
            return
        self._metrics.paired.inc()
        if pair.reordered:
            self._metrics.reordered.inc()
        key, moment = pair.request.key, self._moment(pair.request)
        try:
            tally = self._store.tally(key, moment)
        except SeriesLimitError:
            self._metrics.dropped.labels("revisions").inc()
            return
        tally.paired += 1
        try:
            request, response = read_request(pair.request.body), read_response(pair.response.body)
            if len(request.rows) != len(response.rows):
                tally.mismatched += 1
                self._metrics.malformed.labels("row-count").inc()
                return
            if self._store.add(key, moment, request, response, read_request_id(pair.request)):
                self._metrics.schema_changes.inc()
                log.info("columns changed", extra={"namespace": key.namespace, "revision": key.revision})
        except (UnreadableBodyError, LayoutFullError) as error:
            tally.unreadable += 1
            self._metrics.malformed.labels("body").inc()
            log.debug("unreadable inference", extra={"revision": key.revision, "error": str(error)})

    def _moment(self, event: Event) -> float:
        received = self._clock()
        moment = read_time(event.time, received=received, tolerance=CLOCK_TOLERANCE)
        if moment == received:
            self._metrics.untimed.inc()
        return moment
