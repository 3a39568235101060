"""Queue: which deployments to reconcile, and when. A key is in it at most once and with one worker at a time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 60.0
_SLACK = 64


class Queue(Generic[K]):
    """A deduplicating work queue with delays and exponential backoff. Times are the clock's seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._count = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """How many keys are due now."""
        now = self._clock()
        return sum(1 for due in self._due.values() if due <= now)

    @property
    def idle(self) -> bool:
        """Whether nothing is in work and nothing is due."""
        return not self._busy and not len(self)

    def add(self, key: K, after: float = 0.0) -> None:
        """Ask for a key to be worked on ``after`` seconds from now; the earlier of two askings holds."""
        if key in self._busy and after <= 0:
            self._again.add(key)  # it may have read what just changed; once more when it is done
            return
        due = self._clock() + after
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            # Superseded entries would stay until they are due, which may be hours: a deadline, a rollback window.
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        self._changed.set()

    def pop(self) -> K | None:
        """The next key that is due, now in work until :meth:`done`; None if none is due."""
        blocked: list[tuple[float, int, K]] = []
        found: K | None = None
        while self._heap and self._heap[0][0] <= self._clock():
            entry = heapq.heappop(self._heap)
            due, _, key = entry
            if self._due.get(key) != due:
                continue  # superseded by an earlier asking
            if key in self._busy:
                blocked.append(entry)
                continue
            found = key
            break
        for entry in blocked:
            heapq.heappush(self._heap, entry)
        if found is not None:
            del self._due[found]
            self._busy.add(found)
        return found

    async def next(self) -> K:
        """Wait for the next key that is due."""
        while (key := self.pop()) is None:
            self._changed.clear()
            idle = [due for due, _, key in self._heap if key not in self._busy]
            patience = max(0.0, min(idle) - self._clock()) if idle else None
            try:
                await asyncio.wait_for(self._changed.wait(), patience)
            except TimeoutError:
                continue
        return key

    def done(self, key: K, *, failed: bool = False) -> None:
        """Work on a key ended. After a failure it comes back by itself, later each time."""
        self._busy.discard(key)
        if failed:
            count = self._failures[key] = self._failures.get(key, 0) + 1
            self.add(key, min(FIRST_BACKOFF * 2 ** (count - 1), LONGEST_BACKOFF))
        else:
            self._failures.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        self._changed.set()
