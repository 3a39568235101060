"""Children: InferenceServices and HTTPRoutes kept as they were asked for, and nobody else's touched.

Server-side apply alone does not undo a field that someone *added*, and applying at every decision would be
a write at rest. So the answer to our own apply is remembered: the API server counts an object's
``generation`` up at every change of its spec, and one that moved without us is a hand edit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

from sluice.core import identity, mergepatch, ownership
from sluice.core.objects import Object
from sluice.core.plan import Event, EventType
from sluice.core.world import HandEdit
from sluice.edges.kinds import INFERENCE_SERVICES, Kind
from sluice.edges.kube import FIELD_MANAGER, Conflict, KubeError
from sluice.engine.refusals import Refusals
from sluice.engine.store import Key, Store, is_ours
from sluice.engine.writes import Writes

Tell = Callable[[Key, Event], None]
"""Tells people that something happened to a deployment."""


class NameTakenError(KubeError):
    """There is an object of that name which is not ours."""


class ContestedError(KubeError):
    """Something else changes an object as fast as we set it right."""


_CORRECTIONS, _PEACE_SECONDS = 5, 300.0
"""How often an object is set right in how many seconds, before it is left for a while."""


@dataclass(frozen=True)
class _Applied:
    """What our last apply of an object asked for (a digest) and what the API server made of it."""

    uid: str
    asked: str
    generation: int
    spec: Object
    marks: Object
    """Those of its labels and annotations that were asked for, by ``metadata`` field."""


class Children:
    """The objects that Sluice makes for a deployment."""

    def __init__(
        self,
        store: Store,
        writes: Writes,
        refusals: Refusals,
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._writes = writes
        self._refusals = refusals
        self._tell = tell
        self._clock = clock
        self._applied: dict[Key, dict[tuple[Kind, str], _Applied]] = {}
        self._corrected: dict[tuple[Key, Kind, str], deque[float]] = {}
        """When each object was last set right, by the clock."""

    async def ensure(self, kind: Kind, wanted: Object, key: Key, owner: str, corrected: str) -> None:
        """Make an object so. One that is as we left it is not written; one edited by hand is set right.

        Args:
            kind: what it is.
            wanted: what it must say.
            key: the deployment that it is for.
            owner: uid of its owner.
            corrected: the reason under which a correction is told.

        Raises:
            KubeError: the API server does not take it; also noted in the refusals.
        """
        name = wanted["metadata"]["name"]
        live = self._store.get(kind, key.namespace, name)
        if live is not None and "deletionTimestamp" in live["metadata"]:
            return  # its end wakes us
        try:
            if live is not None and not is_ours(live, key.name, owner):
                raise NameTakenError(409, _taken(kind, name, key))
            await self._ensure(kind, wanted, live, key, corrected)
        except Conflict:
            raise
        except KubeError as error:
            self._refusals.note(kind, key.namespace, name, error)
            raise
        self._refusals.clear(kind, key.namespace, name)

    async def remove(self, kind: Kind, key: Key, name: str, owner: str) -> None:
        """Delete an object, if there is one of ours."""
        self._refusals.clear(kind, key.namespace, name)
        self._applied.get(key, {}).pop((kind, name), None)
        live = self._store.get(kind, key.namespace, name)
        if live is not None and is_ours(live, key.name, owner):
            await self._writes.delete(kind, key.namespace, name)

    def forget(self, key: Key) -> None:
        """A deployment is gone, and Kubernetes removes what was its own."""
        for kind, name in self._applied.pop(key, {}):
            self._refusals.clear(kind, key.namespace, name)
            self._corrected.pop((key, kind, name), None)

    def edits(self, key: Key) -> tuple[HandEdit, ...]:
        """What was changed by hand since we left the objects of a deployment, as far as the store knows.

        A write of ours that is under way, or whose answer was lost, is no such thing: nobody knows then what is whose.
        """
        found = (self._edit(key, kind, name) for kind, name in sorted(self._applied.get(key, {}), key=str))
        return tuple(edit for edit in found if edit is not None)

    def _edit(self, key: Key, kind: Kind, name: str) -> HandEdit | None:
        done, live = self._applied[key][kind, name], self._store.get(kind, key.namespace, name)
        revision = name if kind == INFERENCE_SERVICES else None
        if live is None or live["metadata"]["uid"] != done.uid or "deletionTimestamp" in live["metadata"]:
            return HandEdit(kind.kind, name, "was deleted by hand", revision=revision)
        lost, changed = list(_lost(done, live)), mergepatch.paths(_changes(done, live), "spec.")
        if not lost and not changed:
            return None
        part = "f:spec" if changed else "f:metadata"
        by = ownership.author(live["metadata"].get("managedFields", []), FIELD_MANAGER, part)
        return HandEdit(kind.kind, name, "was changed by hand", (*changed, *lost), by, revision)

    async def _ensure(self, kind: Kind, wanted: Object, live: Object | None, key: Key, corrected: str) -> None:
        asked, slot = identity.digest(wanted), (kind, wanted["metadata"]["name"])
        done = self._applied.get(key, {}).get(slot)
        edit = self._edit(key, *slot) if done is not None else None
        if live is None or done is None or done.uid != live["metadata"]["uid"]:
            await self._apply(key, slot, asked, wanted)
        elif done.asked == asked and edit is None:
            return
        else:
            # What we want anew goes out in any case; what was is asked back no more often than is decent.
            if done.asked == asked:
                self._check_peace(key, slot, corrected)
            if edit is not None:
                await self._undo(done, key, slot)
            if done.asked != asked or list(_lost(done, live)):
                await self._apply(key, slot, asked, wanted)
            if edit is not None:
                self._corrected.setdefault((key, *slot), deque(maxlen=_CORRECTIONS)).append(self._clock())
        if edit is not None:
            self._tell_of(edit, key, corrected)

    async def _apply(self, key: Key, slot: tuple[Kind, str], asked: str, wanted: Object) -> None:
        answer = await self._surely(key, slot, self._writes.apply(slot[0], wanted))
        metadata = answer["metadata"]
        marks = {
            field: {name: (metadata.get(field) or {}).get(name) for name in wanted["metadata"].get(field, {})}
            for field in ("labels", "annotations")
        }
        applied = _Applied(metadata["uid"], asked, metadata["generation"], answer["spec"], marks)
        self._applied.setdefault(key, {})[slot] = applied

    async def _undo(self, done: _Applied, key: Key, slot: tuple[Kind, str]) -> None:
        """Give the spec back what we left in it; server-side apply does not take away what others added."""
        kind, name = slot
        live = await self._writes.live(kind, key.namespace, name)
        if patch := mergepatch.diff(live["spec"], done.spec):
            live = await self._surely(key, slot, self._writes.patch(kind, live, {"spec": patch}))
        left = replace(done, generation=live["metadata"]["generation"], spec=live["spec"])
        self._applied.setdefault(key, {})[slot] = left

    async def _surely(self, key: Key, slot: tuple[Kind, str], write: Awaitable[Object]) -> Object:
        """Write. While nobody knows what came of it, nobody knows either what of the object is whose."""
        before = self._applied.get(key, {}).pop(slot, None)
        try:
            return await write
        except KubeError as error:
            if before is not None and _nothing_written(error):
                self._applied.setdefault(key, {})[slot] = before
            raise

    def _contested(self, key: Key, slot: tuple[Kind, str]) -> bool:
        recent = self._corrected.get((key, *slot), deque())
        return len(recent) == _CORRECTIONS and self._clock() - recent[0] < _PEACE_SECONDS

    def _check_peace(self, key: Key, slot: tuple[Kind, str], corrected: str) -> None:
        """Do not set an object right more often than is decent: another controller would never tire."""
        kind, name = slot
        if self._contested(key, slot):
            message = (
                f"{kind.kind} {name} is changed again and again by something else, and is left as it is for now; see "
                f"`kubectl get {kind.plural} {name} -n {key.namespace} -o yaml --show-managed-fields`"
            )
            if self._refusals.of(kind, key.namespace, name) is None:
                self._tell(key, Event(EventType.WARNING, corrected, message))
            raise ContestedError(409, message)

    def _tell_of(self, edit: HandEdit, key: Key, corrected: str) -> None:
        message = (
            f"{edit.text}; Sluice has set it right. "
            f"Change the ModelDeployment instead: kubectl edit md {key.name} -n {key.namespace}"
        )
        self._tell(key, Event(EventType.WARNING, corrected, message[:1024]))


def _changes(done: _Applied, live: Object) -> Object:
    """The patch that gives an object's spec back what we left in it; empty if nobody changed it."""
    return mergepatch.diff(live["spec"], done.spec) if live["metadata"]["generation"] > done.generation else {}


def _lost(done: _Applied, live: Object) -> Iterator[str]:
    """Labels and annotations of ours that are not as we left them; they do not count into the generation."""
    for field, left in done.marks.items():
        there = live["metadata"].get(field) or {}
        for name, value in left.items():
            if there.get(name) != value:
                yield f"metadata.{field}.{name}"


def _nothing_written(error: KubeError) -> bool:
    return 400 <= error.status < 500


def _taken(kind: Kind, name: str, key: Key) -> str:
    return (
        f"there is a {kind.kind} {name} already that Sluice did not make; delete it "
        f"(`kubectl delete {kind.plural} {name} -n {key.namespace}`) or give the ModelDeployment another name"
    )
