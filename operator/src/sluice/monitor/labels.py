"""Labels: the truth, once it is known, put beside the answers it is of.

A label names its request by the id that the gateway gave it. Whichever revisions answered that request, and have the
row in their sample still, get it: the answer and its label are kept together as an outcome, filed by when the label
came. Rows go after a day; what is known of the truth of them stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from sluice.monitor.cloudevents import Key
from sluice.monitor.collector import CLOCK_TOLERANCE
from sluice.monitor.contract import Label, LabelsAnswer, UnknownLabel
from sluice.monitor.origin import Origins, shortened
from sluice.monitor.outcome import truth
from sluice.monitor.payload import Cell, Table
from sluice.monitor.reservoir import Chunk, Kind, LayoutFullError, Side
from sluice.monitor.saver import Saver
from sluice.monitor.spool import Spool
from sluice.monitor.store import Held, SeriesLimitError, Store
from sluice.monitor.telemetry import Metrics

MAX_WAITING = 8
"""Deliveries of labels that may wait for the one that is worked on."""
_SLICE = 250
"""Labels kept before the loop turns to the network again."""

log = logging.getLogger(__name__)


class NotStoredError(OSError):
    """Labels could not be put where they outlive the process, or rows could not be read; send them again."""


class BusyError(RuntimeError):
    """Too many deliveries wait; send this one again."""


class Outcome(NamedTuple):
    """A row that was answered, and its label."""

    key: Key
    request: bytes
    row: int
    size: int
    answer: Table
    """One row."""
    asked: float
    """When, to the length of a bucket; in seconds since the epoch."""
    label: Cell


class Labels:
    """Joins labels with the rows of a store and its spool, and keeps the outcomes in a store of their own."""

    def __init__(
        self,
        rows: Store,
        spool: Spool | None,
        outcomes: Store,
        saver: Saver | None,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``saver`` stores outcomes. It is asked to at each delivery and must not run by itself."""
        self._rows = rows
        self._spool = spool
        self._outcomes = outcomes
        self._saver = saver
        self._metrics = metrics
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sluice-labels")
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._unsaved = False
        """Whether something is in memory that could not be written."""

    async def take(self, namespace: str, labels: Sequence[Label]) -> LabelsAnswer:
        """Joins and stores one delivery. What was joined is stored when this returns, where there is a spool.

        Raises:
            BusyError: too many wait already.
            NotStoredError: rows could not be read, or outcomes not be written. All may be sent again: of a row, the
                last label counts.
        """
        if self._waiting >= MAX_WAITING:
            raise BusyError(f"{self._waiting} deliveries wait already")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._take(namespace, labels)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Ends the worker thread once it is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _take(self, namespace: str, labels: Sequence[Label]) -> LabelsAnswer:
        if self._unsaved:
            await self._save()
        now = self._clock()
        held = {key: self._rows.window(key, float("-inf")) for key in self._rows.keys(namespace)}
        search = _Search(namespace, labels, now)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, search.run, held, self._spool)
        except OSError as error:
            raise NotStoredError(f"the rows cannot be read: {error}") from error
        known = set()
        for number, outcome in enumerate(found):
            if self._keep(outcome, now):
                known.add((outcome.request, outcome.row))
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)  # events are answered meanwhile
        if found:
            await self._save()
        unknown = tuple(
            UnknownLabel(label.request, label.row)
            for label in labels
            if (shortened(label.request.encode()), label.row) not in known
        )
        self._metrics.labels.labels("joined").inc(len(labels) - len(unknown))
        self._metrics.labels.labels("unknown").inc(len(unknown))
        return LabelsAnswer(len(labels) - len(unknown), unknown)

    async def _save(self) -> None:
        """Write what is not written yet, where there is somewhere to.

        Raises:
            NotStoredError: it cannot be. No more is taken then, for nothing of it would make room.
        """
        self._unsaved = self._saver is not None
        if self._saver is not None and not await self._saver.save():
            raise NotStoredError("the labels are in memory, but cannot be written")
        self._unsaved = False

    def _keep(self, outcome: Outcome, now: float) -> bool:
        """Whether there was room for it."""
        if self._outcomes.is_full(outcome.key, now):
            return False
        known = truth(outcome.label, arrived=now, asked=outcome.asked)
        try:
            self._outcomes.add(
                outcome.key, now, known, outcome.answer, outcome.request, first=outcome.row, size=outcome.size
            )
        except (SeriesLimitError, LayoutFullError) as error:
            log.warning("label not kept", extra={"revision": outcome.key.revision, "error": str(error)})
            return False
        return True


class _Search:
    """Looks for the rows that some labels are of. Runs in a thread, on immutable chunks."""

    def __init__(self, namespace: str, labels: Sequence[Label], now: float) -> None:
        self._namespace = namespace
        self._now = now
        self._labels: dict[tuple[bytes, int], Cell] = {
            (shortened(label.request.encode()), label.row): label.label for label in labels
        }
        self._ids = sorted({request for request, _ in self._labels})
        moments = [label.time.timestamp() if label.time is not None else None for label in labels]
        timed = [moment for moment in moments if moment is not None]
        everywhere = len(timed) < len(moments)
        self._since = float("-inf") if everywhere else min(timed) - 2 * CLOCK_TOLERANCE
        self._until = now if everywhere else min(now, max(timed) + 2 * CLOCK_TOLERANCE)

    def run(self, held: dict[Key, Held], spool: Spool | None) -> list[Outcome]:
        """The outcomes of all revisions of the namespace, each row of each once.

        A gateway that tries again sends a request twice, and a client may give several the same id: the last counts.

        Raises:
            OSError: the spool cannot be read.
        """
        every = {(one.key, one.request, one.row): one for one in self._all(held, spool)}
        return list(every.values())

    def _all(self, held: dict[Key, Held], spool: Spool | None) -> Iterator[Outcome]:
        for key, mine in held.items():
            for chunk in mine.chunks:
                yield from self._of(key, chunk)
        if spool is None:
            return
        for key in spool.revisions(self._namespace):
            known = held[key].paths if key in held else frozenset[str]()
            # Names of files sort as the times they begin with, from 0 on.
            since = max(self._since, 0.0)
            for chunk, _ in spool.window(key, since, self._until, known, Side.OUTPUTS, self._ids):
                yield from self._of(key, chunk)

    def _of(self, key: Key, chunk: Chunk) -> Iterator[Outcome]:
        origins = chunk.origins
        if origins is None or not len(origins):
            return
        for place in np.flatnonzero(np.isin(origins.requests, self._ids)).tolist():
            row = (bytes(origins.requests[place]), int(origins.index[place]))
            if row in self._labels:
                yield _outcome(key, chunk, place, origins, self._labels[row])


def _outcome(key: Key, chunk: Chunk, place: int, origins: Origins, label: Cell) -> Outcome:
    names, cells = _answer(chunk, place)
    request = bytes(origins.requests[place])
    row, size = int(origins.index[place]), int(origins.size[place])
    return Outcome(key, request, row, size, Table(names, (cells,)), chunk.start, label)


def _answer(chunk: Chunk, place: int) -> tuple[tuple[str, ...], tuple[Cell, ...]]:
    """What was answered in one row: its columns, and a number, a text or None for each."""
    cells: dict[str, Cell] = {}
    for column, plane in enumerate(chunk.layout.planes[: chunk.rows.shape[1]]):
        value = float(chunk.rows[place, column])
        if plane.side is not Side.OUTPUTS or plane.kind is Kind.LENGTH:
            continue
        if plane.kind is Kind.TEXT and value == value:
            cells[plane.name] = list(chunk.layout.vocabularies[column])[int(value)]
        elif value == value:
            cells[plane.name] = value
        else:
            cells.setdefault(plane.name, None)
    return tuple(cells), tuple(cells.values())
