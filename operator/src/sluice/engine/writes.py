"""Writes: every write of the engine goes through here, is counted, and is in the store before anyone decides again."""

from __future__ import annotations

from sluice.core.objects import Object
from sluice.edges import metrics
from sluice.edges.kinds import WATCHED, Kind
from sluice.edges.kube import Conflict, KubeError, Writer
from sluice.engine.store import Store


class Writes:
    """A writer with a memory."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer
        self.count = 0
        """Writes so far that changed something."""

    async def live(self, kind: Kind, namespace: str, name: str) -> Object:
        """An object as it is now, with its managed fields, which the store leaves out."""
        return await self._writer.get(kind, namespace, name)

    async def status(self, kind: Kind, namespace: str, name: str, status: Object) -> None:
        """Write a status onto the version that was decided on.

        Raises:
            Conflict: there is another version by now, or none.
        """
        seen = self._store.get(kind, namespace, name)
        if seen is None:
            raise Conflict(409, f"{kind.kind} {name} is gone")
        self._keep(kind, "apply_status", seen, await self._writer.apply_status(kind, seen, status))

    async def create(self, kind: Kind, item: Object) -> None:
        """Create an object.

        Raises:
            Conflict: there is one of that name; it is in the store now.
        """
        try:
            answer = await self._writer.create(kind, item)
        except Conflict:
            if kind not in WATCHED:
                raise
            await self._learn(kind, item["metadata"]["namespace"], item["metadata"]["name"])
            raise
        self._keep(kind, "create", None, answer)

    async def apply(self, kind: Kind, item: Object) -> Object:
        """Server-side apply; returns the object as it is then."""
        seen = self._store.get(kind, item["metadata"]["namespace"], item["metadata"]["name"])
        answer = await self._writer.apply(kind, item)
        self._keep(kind, "apply", seen, answer)
        return answer

    async def patch(self, kind: Kind, seen: Object, patch: Object) -> Object:
        """Merge-patch the version that was seen; returns the object as it is then."""
        answer = await self._writer.merge_patch(kind, seen, patch)
        self._keep(kind, "merge_patch", seen, answer)
        return answer

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object, if it is there and not being deleted already."""
        seen = self._store.get(kind, namespace, name)
        if seen is None or "deletionTimestamp" in seen["metadata"]:
            return
        left = await self._writer.delete(kind, seen)
        self._count(kind, "delete")
        if left is None:
            self._store.drop(kind, seen)
        else:
            self._store.put(kind, left)

    async def _learn(self, kind: Kind, namespace: str, name: str) -> None:
        try:
            self._store.put(kind, await self._writer.get(kind, namespace, name))
        except KubeError:
            return  # gone again, or the next try learns it

    def _keep(self, kind: Kind, verb: str, seen: Object | None, answer: Object) -> None:
        if kind in WATCHED:  # what nobody decides on is not remembered
            self._store.put(kind, answer)
        # A write that changes nothing gives the version that was there.
        if seen is None or seen["metadata"]["resourceVersion"] != answer["metadata"]["resourceVersion"]:
            self._count(kind, verb)

    def _count(self, kind: Kind, verb: str) -> None:
        self.count += 1
        metrics.WRITES.labels(kind.kind, verb).inc()
