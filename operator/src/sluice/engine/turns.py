"""Turns: when each deployment is decided about anew after something changed for all of them, such as a policy.

Each decision costs the better part of a tenth of a second and may write a status, so with many deployments that takes a
while. Each gets its turn whenever nothing else is due or in work, one by one, and releases in progress come first:
what happens to one deployment meanwhile, such as a new spec or a breach, stands behind one of these decisions at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sluice.core.objects import Object
from sluice.engine.queue import Queue
from sluice.engine.store import Key

PACE = 0.02
"""Seconds between two looks at whether the queue is idle, and so between two turns at least."""
PATIENCE = 50
"""After so many looks in vain the next one at rest gets its turn all the same: an operator that is never idle must not
leave a policy unheeded."""
RELEASE_PATIENCE = 5
"""The same for a release in progress, which a policy may have to hold."""


class Turns:
    """Deployments that wait for their turn."""

    def __init__(self, queue: Queue[Key]) -> None:
        self._queue = queue
        self._releases: dict[Key, None] = {}
        self._resting: dict[Key, None] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._releases) + len(self._resting)

    def take(self, deployments: Iterable[Object]) -> None:
        """Something changed for all these ModelDeployments."""
        for item in deployments:
            key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
            in_progress = bool(item.get("status", {}).get("candidateRevision"))
            (self._releases if in_progress else self._resting)[key] = None
        self._news.set()

    async def run(self) -> None:
        """Give turns until cancelled."""
        in_vain = 0
        while True:
            while not len(self):
                self._news.clear()
                await self._news.wait()  # news may concern nobody
            line, patience = (self._releases, RELEASE_PATIENCE) if self._releases else (self._resting, PATIENCE)
            in_vain = 0 if self._queue.idle or in_vain >= patience else in_vain + 1
            if not in_vain:
                key = next(iter(line))
                del line[key]
                self._queue.add(key)
            await asyncio.sleep(PACE)
