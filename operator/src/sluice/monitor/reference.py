"""Reference: the rows of the first time after a promotion, which what serves is compared with from then on.

It grows while that time lasts, for a week is longer than rows are kept: each question takes in what came since the one
before. Like every sample it is of bounded size, and each row of the whole time is as likely to be in it as any other.
It is kept apart from other rows, for as long as somebody asks for it: in the depot, or in memory where there is none.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from sluice.monitor.cloudevents import Key
from sluice.monitor.depot import Depot, Stored
from sluice.monitor.parquet import NotRowsError, read_files, to_bytes
from sluice.monitor.reservoir import Chunk, Layout
from sluice.monitor.spool import Spool
from sluice.monitor.tally import Tally
from sluice.monitor.telemetry import Metrics
from sluice.monitor.window import condense

FOLDER = "references/"
"""Where references are in a depot."""
KEPT_SECONDS = 30 * 86_400.0
"""A reference that nobody asked for in this time is deleted: its revision serves no more, or a release takes weeks."""
MOST_LOST = 0.1
"""Beyond this share of its time without rows, a reference is another time's: of a day, its evening."""
RENEWED_SECONDS = 86_400.0
"""How old the mark may be that a reference is asked for."""
HELD_BYTES = 32 << 20
"""Memory for references without a depot, eight of 25 columns; the one that was not asked for longest makes room."""
WANTED_SECONDS = 2 * RENEWED_SECONDS
"""One that makes room so soon after somebody asked for it is missed: there is not room for all that serve."""

log = logging.getLogger(__name__)


class Time(NamedTuple):
    """When the rows of a reference came, in seconds since the epoch."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Reference:
    """A sample of the rows that came from the beginning of its time up to a moment."""

    chunk: Chunk
    tally: Tally
    covered: float
    """Up to when rows have been taken in."""
    lost: float = 0.0
    """Seconds of it whose rows, or some of them, were gone before they were taken in."""

    @classmethod
    def begun(cls, since: float) -> Reference:
        """One without rows."""
        return cls(Chunk(since, 0, np.empty((0, 0)), Layout()), Tally(), since)

    @property
    def rows(self) -> int:
        """Rows of the sample."""
        return len(self.chunk.rows)

    def grown(
        self,
        chunks: Sequence[Chunk],
        tally: Tally,
        until: float,
        max_rows: int,
        rng: np.random.Generator,
        kept_since: float = -math.inf,
    ) -> Reference:
        """With the rows that came up to a moment since it last grew, thinned to one rate and to ``max_rows``.

        They are those from ``kept_since`` on. The time before that is lost.
        """
        both = Tally()
        both.add(self.tally)
        both.add(tally)
        lost = max(0.0, min(kept_since, until) - self.covered)
        chunk = condense([self.chunk, *chunks], max_rows, rng, self.chunk.start)
        return Reference(chunk, both, until, self.lost + lost)

    def is_lost(self, when: Time) -> bool:
        """Whether what is missing is too much for the rest to stand for all of its time."""
        return self.lost > MOST_LOST * (when.until - when.since)


class References(Protocol):
    """Keeps references. Every method blocks, and may raise an ``OSError``."""

    def find(self, key: Key, when: Time) -> Reference | None:
        """What was kept last; None where there is nothing, or not any more."""

    def keep(self, key: Key, when: Time, reference: Reference) -> None:
        """In place of what was kept before."""


class HeldReferences:
    """In memory: gone with the process."""

    def __init__(
        self, max_bytes: int = HELD_BYTES, metrics: Metrics | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._clock = clock
        self._held: dict[tuple[Key, Time], tuple[Reference, float]] = {}
        """With when they were last asked for."""

    def find(self, key: Key, when: Time) -> Reference | None:
        """See :class:`References`."""
        found = self._held.pop((key, when), None)
        if found is None:
            return None
        self._held[key, when] = found[0], self._clock()  # to the end: the first makes room
        return found[0]

    def keep(self, key: Key, when: Time, reference: Reference) -> None:
        """See :class:`References`."""
        self._held.pop((key, when), None)
        self._held[key, when] = reference, self._clock()
        while len(self._held) > 1 and sum(one.chunk.rows.nbytes for one, _ in self._held.values()) > self._max_bytes:
            evicted = next(iter(self._held))
            _, asked = self._held.pop(evicted)
            if self._clock() - asked <= WANTED_SECONDS:
                _missed(self._metrics, f"{evicted[0].namespace}/{evicted[0].revision}", "--references-memory-mib")


class _Name(NamedTuple):
    """What the name of a file says."""

    kept: float
    when: Time
    covered: float
    lost: float = 0.0
    """Not there where nothing is, or an earlier version did not know."""


class StoredReferences:
    """The files ``references/namespace=…/revision=…/<kept>-<since>-<until>-<covered>[-<lost>].parquet`` of a depot.

    A name begins with when the reference was last asked for, to a day: the oldest are nobody's any more.
    """

    def __init__(self, depot: Depot, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._depot = depot
        self._metrics = metrics
        self._clock = clock
        self.spool = Spool(depot, metrics, FOLDER)
        """Where they are, to be tidied."""

    def find(self, key: Key, when: Time) -> Reference | None:
        """See :class:`References`."""
        for again in (True, False):
            files = self._files(key, when)
            if not files:
                return None
            name, stored = max(files, key=lambda file: (file[0].covered, file[0].kept))
            try:
                [(chunk, tally)] = read_files([self._depot.fetch(stored)])
            except FileNotFoundError:
                if again:  # another process has put a later one in its place
                    continue
                raise
            except NotRowsError as error:
                self._metrics.volume_errors.inc()
                log.warning("not a reference of sluice-monitor", extra={"path": stored.name, "error": str(error)})
                self._depot.delete([stored.name])
                return None
            reference = Reference(chunk, tally, name.covered, name.lost)
            if self._clock() - name.kept > RENEWED_SECONDS:
                self.keep(key, when, reference)
            return reference
        return None  # pragma: no cover - the second time returns or raises

    def keep(self, key: Key, when: Time, reference: Reference) -> None:
        """See :class:`References`."""
        before = [stored.name for _, stored in self._files(key, when)]
        name = f"{self._clock():017.3f}-{when.since:.3f}-{when.until:.3f}-{reference.covered:.3f}"
        lost = f"-{reference.lost:.3f}" if reference.lost else ""
        path = f"{self.spool.folder(key)}{name}{lost}.parquet"
        self._depot.put(path, to_bytes(reference.chunk, reference.tally))
        self._depot.delete([old for old in before if old != path])

    def expire(self, max_bytes: float) -> None:
        """Deletes those that nobody asks for, and the ones not asked for longest until the rest fits."""
        now = self._clock()

        def losing(stored: Stored) -> None:
            name = _read(stored.name)
            if name is not None and now - name.kept <= WANTED_SECONDS:
                _missed(self._metrics, stored.name, "monitor.references.maxMiB")

        self.spool.expire(before=now - KEPT_SECONDS, max_bytes=max_bytes, losing=losing)

    def _files(self, key: Key, when: Time) -> list[tuple[_Name, Stored]]:
        named = [(_read(stored.name), stored) for stored in self._depot.list(self.spool.folder(key))]
        return [(name, stored) for name, stored in named if name is not None and name.when == _rounded(when)]


def _missed(metrics: Metrics | None, which: str, setting: str) -> None:
    if metrics is not None:
        metrics.references_evicted.inc()
    log.warning("a reference that is asked for made room; raise %s", setting, extra={"reference": which})


def _rounded(when: Time) -> Time:
    return Time(round(when.since, 3), round(when.until, 3))


def _read(path: str) -> _Name | None:
    with suppress(ValueError):
        facts = map(float, path.rpartition("/")[2].removesuffix(".parquet").split("-"))
        kept, since, until, covered, *lost = facts
        return _Name(kept, Time(since, until), covered, *lost) if len(lost) <= 1 else None
    return None
