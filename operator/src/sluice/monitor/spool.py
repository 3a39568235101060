"""Spool: buckets as files in a depot, one folder per revision.

Files are named by the bucket's start and a random word, so several processes, or one that was restarted,
share a depot without asking each other. Folders are named ``namespace=…/revision=…``, which tools that read
Parquet understand. Everything here blocks, and runs in worker threads.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from urllib.parse import quote, unquote

from sluice.monitor.cloudevents import Key
from sluice.monitor.depot import Depot, Stored
from sluice.monitor.horizon import Horizon, of_room, of_start
from sluice.monitor.parquet import NotRowsError, load, read_files, to_bytes
from sluice.monitor.reservoir import Chunk, Side
from sluice.monitor.store import Snapshot
from sluice.monitor.tally import Tally
from sluice.monitor.telemetry import Metrics

log = logging.getLogger(__name__)

READ_FILES = 64
"""Files fetched and read at a time, some 30 MiB."""
READ_THREADS = 8
"""Files asked for at the same time: a store's answer takes much longer than the reading."""
MAX_READ_ROWS = 200_000
"""Rows that one window brings into memory, 50 MiB at 25 columns. A longer window is thinned, evenly."""

OF_THIS_PROCESS = 600.0
"""Rows are filed by when they were asked, some minutes before a process began at most."""
NEARLY_FULL = 0.9
"""Of a depot that an earlier process left as full as this, nobody knows what was deleted."""

Bucketful = tuple[Chunk, Tally]
Thin = Callable[[Chunk, int, int], Chunk]
"""Thins a chunk to about one row of so many, of which it may have been thinned to one of some already."""

_NAMESPACE, _REVISION = "namespace=", "revision="


class Spool:
    """The files ``namespace=<namespace>/revision=<revision>/<start>-<word>.parquet`` of a depot."""

    def __init__(
        self,
        depot: Depot,
        metrics: Metrics,
        top: str = "",
        thin: Thin | None = None,
        *,
        max_bytes: float = math.inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        depot: what holds files.
        metrics: where trouble is counted.
        top: the folder they are in, with its slash; a depot has room for several spools.
        thin: how a window is thinned that is too long; evenly by default.
        max_bytes: what it has room for.
        clock: the time, in seconds since the epoch.
        """
        self._max_bytes = max_bytes
        self._opened = clock()
        self._found: Horizon | None = None
        self._gone: dict[str, float] = {}
        """By folder, the newest bucket that made room."""
        self._thin = thin or _thinned
        self._depot = depot
        self._metrics = metrics
        self._top = top
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="sluice-fetch")

    @property
    def tidy_seconds(self) -> float:
        """How often :meth:`expire` is worth its cost."""
        return self._depot.tidy_seconds

    def open(self) -> None:
        """Gets ready to read and write. Nothing is asked of the depot yet: it may be down."""
        load()

    def write(self, key: Key, snapshot: Snapshot) -> str:
        """Stores a bucket as it was at some moment, in place of any earlier state, and returns its file's name.

        Raises:
            OSError: the depot is full, or cannot be written.
        """
        name = self.folder(key) + snapshot.file
        self._depot.put(name, to_bytes(snapshot.chunk, snapshot.tally))
        return name

    def window(
        self,
        key: Key,
        since: float,
        until: float,
        known: Set[str] = frozenset(),
        side: Side | None = None,
        requests: Sequence[bytes] | None = None,
    ) -> list[Bucketful]:
        """One revision's stored buckets that begin in a span of time, oldest first, without the known files.

        With ``side``, only the columns of that side, and with ``requests``, only the rows of these: the others are not
        read.

        Raises:
            OSError: the depot cannot be read.
        """
        wanted = self._wanted(self.folder(key), since, until, known)
        found: list[Bucketful] = []
        rows, stride = 0, 1
        while files := list(islice(wanted, READ_FILES)):
            for chunk, tally in self._read(files, side, requests):
                found.append((self._thin(chunk, stride, 1), tally))
                rows += len(found[-1][0].rows)
            while rows > MAX_READ_ROWS:
                stride *= 2
                found = [(self._thin(chunk, stride, stride // 2), tally) for chunk, tally in found]
                before, rows = rows, sum(len(chunk.rows) for chunk, _ in found)
                if rows == before:
                    break
        return found

    def expire(self, *, before: float, max_bytes: float, losing: Callable[[Stored], None] | None = None) -> int:
        """Deletes buckets that began before a moment, and the oldest until the rest fits.

        Returns how many. ``losing`` is told of those that are not too old.

        Raises:
            OSError: the depot cannot be read or written.
        """
        total, doomed = 0, []
        files = self._newest_first()
        if self._found is None:
            self._found = self._horizon_of(files)
        gone = {folder: start for folder, start in self._gone.items() if start >= before}
        for start, stored in files:
            total += stored.size
            if total > max_bytes or start < before:
                doomed.append(stored.name)
            if total > max_bytes and start >= before:
                folder = stored.name.rpartition("/")[0] + "/"
                gone[folder] = max(start, gone.get(folder, start))
                if losing is not None:
                    losing(stored)
        self._gone = gone  # first: some may be deleted even if not all can be
        self._depot.delete(doomed)
        return len(doomed)

    def horizons(self, key: Key) -> list[Horizon]:
        """From when on the files of a revision are all there, but for those that are too old.

        What was deleted for want of room before this process began nobody knows. If the depot was as good as full then,
        it may be whatever is older than the oldest file. If it was empty, it may be another than it was.

        Raises:
            OSError: the depot cannot be read.
        """
        if self._found is None:
            self._found = self._horizon_of(self._newest_first())
        found = [self._found]
        if (gone := self._gone.get(self.folder(key))) is not None:
            found.append(of_room(math.nextafter(gone, math.inf)))  # the next bucket is the first that is whole
        return found

    def _horizon_of(self, files: Sequence[tuple[float, Stored]]) -> Horizon:
        oldest = files[-1][0] if files else math.inf
        if oldest > self._opened - OF_THIS_PROCESS:
            return of_start(min(oldest, self._opened))
        is_full = sum(stored.size for _, stored in files) > NEARLY_FULL * self._max_bytes
        return of_room(oldest if is_full else -math.inf)

    def _newest_first(self) -> list[tuple[float, Stored]]:
        """All files, with when their bucket begins."""
        mine = [stored for stored in self._depot.list(self._top) if stored.name.startswith(self._top + _NAMESPACE)]
        mine.sort(key=lambda stored: stored.name.rpartition("/")[2], reverse=True)
        return [(start, stored) for stored in mine if (start := _start(stored)) is not None]

    def revisions(self, namespace: str) -> list[Key]:
        """The revisions of a namespace that have stored buckets. Looks at every file's name.

        Raises:
            OSError: the depot cannot be read.
        """
        folder = f"{self._top}{_NAMESPACE}{_quoted(namespace)}/"
        found = {
            stored.name.removeprefix(folder).partition("/")[0].removeprefix(_REVISION)
            for stored in self._depot.list(folder)
        }
        return [Key(namespace, unquote(revision)) for revision in sorted(found)]

    def folder(self, key: Key) -> str:
        """Where the files of a revision are, with its slash."""
        return f"{self._top}{_NAMESPACE}{_quoted(key.namespace)}/{_REVISION}{_quoted(key.revision)}/"

    def _wanted(self, folder: str, since: float, until: float, known: Set[str]) -> Iterator[Stored]:
        for stored in self._depot.list(folder, since=f"{since:017.3f}"):
            start = _start(stored)
            if start is None:
                self._pass_over(stored.name, "its name is not a time")
            elif start >= until:
                return
            elif since <= start and stored.name.removeprefix(folder) not in known:
                yield stored

    def _read(self, files: Sequence[Stored], side: Side | None, requests: Sequence[bytes] | None) -> list[Bucketful]:
        """Some files' buckets. When one is damaged or gone, the sound ones are still a sample of their times."""
        paths = list(filter(None, self._threads.map(self._fetch, files)))
        try:
            return read_files(paths, side, requests) if paths else []
        except (NotRowsError, FileNotFoundError):
            found = []
            for path in paths:
                try:
                    found += read_files([path], side, requests)
                except FileNotFoundError:
                    continue
                except NotRowsError as error:
                    self._pass_over(str(path), str(error))
            return found

    def _fetch(self, stored: Stored) -> Path | None:
        try:
            return self._depot.fetch(stored)
        except FileNotFoundError:
            return None  # expired between being listed and being read

    def _pass_over(self, name: str, error: str) -> None:
        self._metrics.volume_errors.inc()
        log.warning("not a bucket of sluice-monitor", extra={"path": name, "error": error})


def _quoted(name: str) -> str:
    # Names come from headers anyone may send; quoted, and with dots replaced, they cannot climb.
    return quote(name, safe="").replace(".", "%2E")


def _start(stored: Stored) -> float | None:
    try:
        return float(stored.name.rpartition("/")[2].partition("-")[0])
    except ValueError:
        return None


def _thinned(chunk: Chunk, stride: int, already: int) -> Chunk:
    """Every so many rows of a chunk, and at least one: a sample of a sample, of as many rows seen."""
    if stride == already or len(chunk.rows) <= 1:
        return chunk
    part = slice(None, None, stride // already)
    origins = chunk.origins.take(part) if chunk.origins is not None else None
    return Chunk(chunk.start, chunk.seen, chunk.rows[part], chunk.layout, origins)
