"""Events: what ``kubectl describe`` shows. Best effort; the record is in the objects' status."""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import datetime
from typing import Protocol

from sluice.api.base import format_time
from sluice.core.objects import Object
from sluice.core.plan import Event
from sluice.edges.kinds import EVENTS, Kind
from sluice.edges.kube import KubeError

log = logging.getLogger(__name__)
_MOST_WAITING = 100
"""Events that may wait to be posted; more are dropped rather than kept in memory while the API server is away."""


class Creator(Protocol):
    """What posting needs of the API server."""

    async def create(self, kind: Kind, item: Object) -> Object: ...


class Events:
    """Posts Events in the background."""

    def __init__(self, kube: Creator) -> None:
        self._kube = kube
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, about: Object, event: Event, now: datetime) -> None:
        """Tell people that something happened to an object."""
        if len(self._tasks) < _MOST_WAITING:
            task = asyncio.create_task(self._post(about, event, now))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _post(self, about: Object, event: Event, now: datetime) -> None:
        metadata = about["metadata"]
        time = format_time(now.replace(microsecond=0))
        item = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message,
            "source": {"component": "sluice-operator"},
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }
        try:
            await self._kube.create(EVENTS, item)
        except KubeError as error:
            log.debug("an Event was not posted: %s", error)
