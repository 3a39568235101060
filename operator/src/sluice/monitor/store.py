"""Store: what is kept of every revision, in buckets of time, within one memory budget.

Single-threaded: only the event loop touches it. Readers in other threads get immutable chunks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sluice.monitor.cloudevents import Key
from sluice.monitor.payload import Table
from sluice.monitor.reservoir import Chunk, Layout, Reservoir, Side
from sluice.monitor.tally import Tally


@dataclass(slots=True, eq=False)
class Bucket:
    """One revision's rows of one span of time. Closed buckets change no more."""

    start: float
    reservoir: Reservoir
    layout: Layout
    tally: Tally = field(default_factory=Tally)
    closed: bool = False
    path: Path | None = None
    """Where the volume has it, once it has."""

    def chunk(self) -> Chunk:
        """The rows as they are now."""
        rows = self.reservoir.rows
        return Chunk(self.start, self.reservoir.seen, rows if self.closed else rows.copy(), self.layout)


@dataclass(slots=True)
class Series:
    """The buckets of one revision, oldest first by creation."""

    layout: Layout = field(default_factory=Layout)
    buckets: list[Bucket] = field(default_factory=list)
    open: dict[float, Bucket] = field(default_factory=dict)
    """Buckets that still take rows, by start."""
    complete_since: float = -math.inf
    """Before this moment rows have been dropped for want of room and of a volume."""


class SeriesLimitError(ValueError):
    """No further revision can be followed."""


@dataclass(frozen=True, slots=True)
class Held:
    """What memory holds of one revision's window."""

    chunks: list[Chunk]
    tally: Tally
    paths: frozenset[Path]
    """The files of the buckets above that the volume has too: they need not be read."""
    complete_since: float


class Store:
    """Buckets by revision and time."""

    def __init__(self, *, bucket_seconds: float, bucket_rows: int, max_series: int, max_bytes: int, seed: int) -> None:
        self._bucket_seconds = bucket_seconds
        self._bucket_rows = bucket_rows
        self._max_series = max_series
        self._max_bytes = max_bytes
        self._seed = seed
        self._series: dict[Key, Series] = {}
        self.bytes = 0
        """Memory held by rows."""
        self.rows = 0
        """Rows held in memory."""
        self.evicted_rows = 0
        """Rows that had to make room and that no volume has."""

    def __len__(self) -> int:
        return len(self._series)

    def tally(self, key: Key, moment: float) -> Tally:
        """The tally of the bucket that a moment falls in, to be counted up.

        Raises:
            SeriesLimitError: the revision is new and there are too many.
        """
        return self._bucket(key, moment).tally

    def add(self, key: Key, moment: float, request: Table, response: Table) -> None:
        """Offers every row of one inference to the sample of its bucket.

        Raises:
            SeriesLimitError: the revision is new and there are too many.
            LayoutFullError: its columns keep changing; the rows before the one that did not fit are kept.
        """
        bucket = self._bucket(key, moment)
        reservoir, layout = bucket.reservoir, bucket.layout
        bytes_before, kept_before = reservoir.nbytes, reservoir.kept
        try:
            for asked, answered in zip(request.rows, response.rows, strict=True):
                # Encoded before it is admitted: a row that does not fit must not be counted as kept.
                values: list[float] = []
                layout.encode(Side.INPUTS, request.names, asked, values)
                layout.encode(Side.OUTPUTS, response.names, answered, values)
                slot = reservoir.admit()
                if slot is not None:
                    reservoir.write(slot, values)
        finally:
            self.bytes += reservoir.nbytes - bytes_before
            self.rows += reservoir.kept - kept_before
        if self.bytes > self._max_bytes:
            self._evict(spare=bucket)

    def window(self, key: Key, since: float) -> Held:
        """What memory holds of a revision from a moment on; nothing, for a revision never heard of."""
        series = self._series.get(key)
        tally = Tally()
        if series is None:
            return Held([], tally, frozenset(), -math.inf)
        buckets = [bucket for bucket in series.buckets if bucket.start >= since]
        for bucket in buckets:
            tally.add(bucket.tally)
        return Held(
            [bucket.chunk() for bucket in buckets if bucket.reservoir.kept],
            tally,
            frozenset(bucket.path for bucket in buckets if bucket.path),
            series.complete_since,
        )

    def first_bucket(self, since: float) -> float:
        """The first bucket that begins at or after a moment: an earlier one holds rows of the step before."""
        return math.ceil(since / self._bucket_seconds) * self._bucket_seconds

    def close(self, before: float) -> list[tuple[Key, Bucket]]:
        """Closes the buckets that end before a moment. A row that comes later starts a second one."""
        closed = []
        for key, series in self._series.items():
            for start in [start for start in series.open if start + self._bucket_seconds <= before]:
                bucket = series.open.pop(start)
                bucket.closed = True
                closed.append((key, bucket))
        return closed

    def forget(self, before: float) -> None:
        """Drops the closed buckets that began before a moment, and revisions that have none left."""
        for key, series in list(self._series.items()):
            for bucket in [bucket for bucket in series.buckets if bucket.closed and bucket.start < before]:
                self._drop(series, bucket)
            if not series.buckets:
                del self._series[key]

    def _bucket(self, key: Key, moment: float) -> Bucket:
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= self._max_series:
                raise SeriesLimitError(f"more than {self._max_series} revisions")
            series = self._series[key] = Series()
        start = math.floor(moment / self._bucket_seconds) * self._bucket_seconds
        bucket = series.open.get(start)
        if bucket is None:
            rng = random.Random(f"{self._seed}/{key.namespace}/{key.revision}/{start}")  # noqa: S311 - a sample
            bucket = series.open[start] = Bucket(start, Reservoir(self._bucket_rows, rng), series.layout)
            series.buckets.append(bucket)
        return bucket

    def _evict(self, spare: Bucket) -> None:
        """Drops the oldest buckets until a tenth is free, so that not every row has to look for room.

        ``spare`` is being written to and stays.
        """
        for series, bucket in sorted(self._all(), key=lambda held: held[1].start):
            if self.bytes <= 0.9 * self._max_bytes:
                return
            if bucket is spare:
                continue
            if bucket.path is None:
                self.evicted_rows += bucket.reservoir.kept
                series.complete_since = max(series.complete_since, bucket.start + self._bucket_seconds)
            self._drop(series, bucket)

    def _all(self) -> Iterator[tuple[Series, Bucket]]:
        for series in self._series.values():
            for bucket in series.buckets:
                yield series, bucket

    def _drop(self, series: Series, bucket: Bucket) -> None:
        series.buckets.remove(bucket)
        if series.open.get(bucket.start) is bucket:
            del series.open[bucket.start]
        self.bytes -= bucket.reservoir.nbytes
        self.rows -= bucket.reservoir.kept
