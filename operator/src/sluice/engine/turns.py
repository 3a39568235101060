"""Turns: when each deployment is decided about anew after something changed for all of them, such as a policy.

Each decision costs the better part of a tenth of a second and may write a status, so with many deployments that takes a
while. Releases in progress come first. The others get their turn one by one, whenever nothing else is due or in work:
what happens meanwhile stands behind one of them at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sluice.core.objects import Object
from sluice.engine.queue import Queue
from sluice.engine.store import Key

PACE = 0.02
"""Seconds between two looks at whether the queue is idle, and so between two deployments at rest at least."""
PATIENCE = 50
"""After so many looks in vain the next one gets its turn all the same: an operator that is never idle must not leave
a policy unheeded."""


class Turns:
    """Deployments at rest that wait for their turn."""

    def __init__(self, queue: Queue[Key]) -> None:
        self._queue = queue
        self._waiting: dict[Key, None] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self, deployments: Iterable[Object]) -> None:
        """Something changed for all these ModelDeployments."""
        for item in deployments:
            key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
            if item.get("status", {}).get("candidateRevision"):
                self._queue.add(key)
            else:
                self._waiting[key] = None
        self._news.set()

    async def run(self) -> None:
        """Give turns until cancelled."""
        in_vain = 0
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()  # news may concern nobody at rest
            in_vain = 0 if self._queue.idle or in_vain >= PATIENCE else in_vain + 1
            if not in_vain:
                key = next(iter(self._waiting))
                del self._waiting[key]
                self._queue.add(key)
            await asyncio.sleep(PACE)
