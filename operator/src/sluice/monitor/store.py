"""Store: what is kept of every revision, in buckets of time, within one memory budget.

Single-threaded: only the event loop touches it. Readers in other threads get immutable chunks.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sluice.monitor.cloudevents import Key
from sluice.monitor.origin import UNKNOWN
from sluice.monitor.payload import Table
from sluice.monitor.reservoir import Chunk, Layout, Reservoir, with_ranks
from sluice.monitor.tally import Tally


@dataclass(slots=True, eq=False)
class Bucket:
    """One revision's rows of one span of time. Closed buckets change no more, but for their tally."""

    start: float
    reservoir: Reservoir
    layout: Layout
    tally: Tally = field(default_factory=Tally)
    closed: bool = False
    word: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    """Tells its file from those of other processes, and of a second bucket of the same span."""
    version: int = 0
    """Goes up with every change."""
    stored: int = -1
    """The version that the file has."""

    @property
    def file(self) -> str:
        """The name of its file, wherever rows are stored and whether or not there is one yet."""
        return f"{self.start:017.3f}-{self.word}.parquet"

    @property
    def is_stored(self) -> bool:
        """Whether the file has all of it."""
        return self.stored == self.version

    def chunk(self) -> Chunk:
        """The rows as they are now."""
        rows, origins = self.reservoir.rows, self.reservoir.origins
        if not self.closed:
            rows, origins = rows.copy(), origins.copy()
        return Chunk(self.start, self.reservoir.seen, rows, self.layout, origins)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A bucket at one moment, for another thread to store."""

    bucket: Bucket
    """Not to be read there, only to be told of the outcome."""
    version: int
    file: str
    chunk: Chunk
    tally: Tally


@dataclass(slots=True)
class Series:
    """The buckets of one revision, oldest first by creation."""

    layout: Layout = field(default_factory=Layout)
    buckets: list[Bucket] = field(default_factory=list)
    open: dict[float, Bucket] = field(default_factory=dict)
    """Buckets that still take rows, by start."""
    has_rows: bool = False
    """Whether there ever was a row: from then on, columns that are new are a change of schema."""
    complete_since: float = -math.inf
    """Before this moment rows have been dropped for want of room and of a volume."""


class SeriesLimitError(ValueError):
    """No further revision can be followed."""


@dataclass(frozen=True, slots=True)
class Held:
    """What memory holds of one revision's window."""

    chunks: list[Chunk]
    tally: Tally
    paths: frozenset[str]
    """The files of the buckets above, stored already or not: they are not to be read as well."""
    complete_since: float


class Store:
    """Buckets by revision and time."""

    def __init__(
        self,
        *,
        bucket_seconds: float,
        bucket_rows: int,
        max_series: int,
        max_bytes: int,
        seed: int,
        lossless: bool = False,
    ) -> None:
        """``lossless``: what is not stored does not make room; whoever adds stores it soon, or adds no more."""
        self._lossless = lossless
        self.bucket_seconds = bucket_seconds
        """Length of a bucket."""
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
        bucket = self._bucket(key, moment)
        bucket.version += 1
        return bucket.tally

    def add(
        self,
        key: Key,
        moment: float,
        request: Table,
        response: Table,
        request_id: bytes = UNKNOWN,
        *,
        first: int = 0,
        size: int = 0,
    ) -> bool:
        """Offers every row of one inference to the sample of its bucket.

        ``size`` and ``first`` are for tables that have a part only of a request's rows: how many it had, and the place
        of the first of these. Such are not ranked.

        Returns whether they had columns, or types of them, that no earlier row of the revision had.

        Raises:
            SeriesLimitError: the revision is new and there are too many.
            LayoutFullError: the revision has too many columns; the rows before the one that did not fit are kept.
        """
        bucket = self._bucket(key, moment)
        bucket.version += 1
        series, reservoir, layout = self._series[key], bucket.reservoir, bucket.layout
        bytes_before, kept_before, columns_before = reservoir.nbytes, reservoir.kept, layout.columns
        try:
            encode = layout.encoder(request, response)
            ranked, ranks = not size and len(request.rows) > 1, None
            size = size or len(request.rows)
            for index, (asked, answered) in enumerate(zip(request.rows, response.rows, strict=True), first):
                slot = reservoir.choose()
                if slot is None:
                    continue
                values = encode(asked, answered)
                if ranked:
                    ranks = layout.rank(response) if ranks is None else ranks
                    values = with_ranks(values, ranks, index)
                reservoir.put(slot, values, request_id, index=index, size=size)
        finally:
            self.bytes += reservoir.nbytes - bytes_before
            self.rows += reservoir.kept - kept_before
            changed = series.has_rows and layout.columns > columns_before
            series.has_rows = True
        if self.bytes > self._max_bytes:
            self._evict(spare=bucket)
        return changed

    def window(self, key: Key, since: float, until: float = math.inf) -> Held:
        """What memory holds of a revision in the buckets that begin in a span of time; nothing, for a revision never
        heard of."""
        series = self._series.get(key)
        tally = Tally()
        if series is None:
            return Held([], tally, frozenset(), -math.inf)
        buckets = [bucket for bucket in series.buckets if since <= bucket.start < until]
        for bucket in buckets:
            tally.add(bucket.tally)
        return Held(
            [bucket.chunk() for bucket in buckets if bucket.reservoir.kept],
            tally,
            frozenset(bucket.file for bucket in buckets),
            series.complete_since,
        )

    def complete_since(self, key: Key) -> float:
        """From when on no row of a revision was dropped for want of room and of a volume."""
        series = self._series.get(key)
        return series.complete_since if series is not None else -math.inf

    def is_full(self, key: Key, moment: float) -> bool:
        """Whether a row would have to take another's place in the sample of its bucket."""
        series = self._series.get(key)
        bucket = series.open.get(self._start(moment)) if series is not None else None
        return bucket is not None and bucket.reservoir.kept >= self._bucket_rows

    def keys(self, namespace: str) -> list[Key]:
        """The revisions of a namespace that are followed."""
        return [key for key in self._series if key.namespace == namespace]

    def first_bucket(self, since: float) -> float:
        """The first bucket that begins at or after a moment: an earlier one holds rows of the step before."""
        return math.ceil(since / self.bucket_seconds) * self.bucket_seconds

    def close(self, before: float) -> list[tuple[Key, Bucket]]:
        """Closes the buckets that end before a moment. A row that comes later starts a second one."""
        closed = []
        for key, series in self._series.items():
            for start in [start for start in series.open if start + self.bucket_seconds <= before]:
                bucket = series.open.pop(start)
                bucket.closed = True
                closed.append((key, bucket))
        return closed

    def unstored(self) -> list[tuple[Key, Snapshot]]:
        """The buckets that changed since they were last stored, oldest first, as they are now."""
        found = [
            (key, bucket) for key, series in self._series.items() for bucket in series.buckets if not bucket.is_stored
        ]
        found.sort(key=lambda held: held[1].start)
        return [
            (key, Snapshot(bucket, bucket.version, bucket.file, bucket.chunk(), replace(bucket.tally)))
            for key, bucket in found
        ]

    def forget(self, before: float) -> None:
        """Drops the closed buckets that began before a moment, and revisions that have none left."""
        for key, series in list(self._series.items()):
            for bucket in [bucket for bucket in series.buckets if bucket.closed and bucket.start < before]:
                self._drop(series, bucket)
            if not series.buckets and series.complete_since <= before:  # what was lost lately is to be known
                del self._series[key]

    def _bucket(self, key: Key, moment: float) -> Bucket:
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= self._max_series:
                raise SeriesLimitError(f"more than {self._max_series} revisions")
            series = self._series[key] = Series()
        start = self._start(moment)
        bucket = series.open.get(start)
        if bucket is None:
            rng = random.Random(f"{self._seed}/{key.namespace}/{key.revision}/{start}")  # noqa: S311 - a sample
            bucket = series.open[start] = Bucket(start, Reservoir(self._bucket_rows, rng), series.layout)
            series.buckets.append(bucket)
        return bucket

    def _start(self, moment: float) -> float:
        """When the bucket of a moment begins."""
        return math.floor(moment / self.bucket_seconds) * self.bucket_seconds

    def _evict(self, spare: Bucket) -> None:
        """Drops the oldest buckets until a tenth is free, so that not every row has to look for room.

        ``spare`` is being written to and stays. What its file lacks of a bucket is lost, unless no loss is allowed.
        """
        for series, bucket in sorted(self._all(), key=lambda held: held[1].start):
            if self.bytes <= 0.9 * self._max_bytes:
                return
            if bucket is spare or (self._lossless and not bucket.is_stored):
                continue
            if not bucket.is_stored:
                self.evicted_rows += bucket.reservoir.kept
                series.complete_since = max(series.complete_since, bucket.start + self.bucket_seconds)
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
