"""Lease: one process leads. The same rules as Kubernetes' own components, on one ``coordination.k8s.io`` object.

The client library has an election too; it waits for a hung API server longer than the Lease lasts, ends at
the first refused connection, and keeps the Lease when its process is told to stop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

from sluice.core.objects import Object
from sluice.edges.kinds import LEASES, Kind
from sluice.edges.kube import KubeError, NotFound

log = logging.getLogger(__name__)

DURATION = 15
"""Seconds that others wait, after the last renewal they saw, before they take over."""
DEADLINE = 10.0
"""Seconds without a renewal after which the leader gives up: sooner than others take over."""
PERIOD = 2.0
"""Seconds between two tries."""


class LeaseLostError(Exception):
    """Another process leads, or may soon: this one must end at once."""


class Leases(Protocol):
    """What the election needs of the API server."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object: ...

    async def create(self, kind: Kind, item: Object) -> Object: ...

    async def merge_patch(self, kind: Kind, seen: Object, patch: Object) -> Object: ...


class Lease:
    """One candidate for one Lease. ``clock`` counts seconds; the times in the object are for people only.

    Clocks of different machines are never compared: a Lease has expired when this process has seen the same
    version of it for as long as it lasts.
    """

    def __init__(
        self,
        kube: Leases,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._namespace, self._name, self._identity = namespace, name, identity
        self._clock = clock
        self._holder: str | None = None
        self._seen: tuple[str, float] = ("", clock())

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the Lease, then do the work while renewing it. Gives it back when the work ends or fails.

        Raises:
            LeaseLostError: it could not be renewed in time, or another has it. The work is cancelled, not waited for.
        """
        while not await self.acquire():  # noqa: ASYNC110 - another process has it, which tells nobody
            await asyncio.sleep(PERIOD)
        working, renewing = asyncio.ensure_future(work()), asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            renewing.cancel()
        if renewing.done() and not renewing.cancelled():
            renewing.result()
        await self.release()
        await working

    async def acquire(self, patience: float = PERIOD) -> bool:
        """Take or renew the Lease if that is allowed; False if another has it, or nothing is known in time."""
        try:
            return await asyncio.wait_for(self._try(), patience)
        except (KubeError, TimeoutError) as error:
            log.warning("the Lease %s/%s cannot be had: %r", self._namespace, self._name, error)
            return False

    async def release(self) -> None:
        """Let another take over at once. Best effort: after ``DURATION`` it may anyway."""
        try:
            async with asyncio.timeout(PERIOD):
                live = await self._kube.get(LEASES, self._namespace, self._name)
                if live["spec"].get("holderIdentity") == self._identity:
                    given_back = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}
                    await self._kube.merge_patch(LEASES, live, given_back)
        except (KubeError, TimeoutError) as error:
            log.warning("the Lease %s/%s is not given back: %r", self._namespace, self._name, error)

    async def _renew(self) -> None:
        renewed = self._clock()
        while (left := renewed + DEADLINE - self._clock()) > 0:
            await asyncio.sleep(min(PERIOD, left))
            began = self._clock()  # what counts is when the renewal was asked for, not when it was answered
            if await self.acquire(max(0.1, min(PERIOD, renewed + DEADLINE - began))):
                renewed = began
            elif self._holder != self._identity:
                raise LeaseLostError(f"the Lease {self._namespace}/{self._name} was taken by {self._holder}")
        raise LeaseLostError(f"the Lease {self._namespace}/{self._name} was not renewed for {DEADLINE:.0f} s")

    async def _try(self) -> bool:
        try:
            live = await self._kube.get(LEASES, self._namespace, self._name)
        except NotFound:
            metadata = {"name": self._name, "namespace": self._namespace}
            spec = self._spec() | {"acquireTime": _now()}
            item = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
            await self._kube.create(LEASES, item)
            self._holder = self._identity
            return True
        holder = live["spec"].get("holderIdentity")
        if holder not in (None, "", self._identity) and not self._expired(live):
            self._holder = holder
            return False
        taken = {} if holder == self._identity else {"acquireTime": _now()}
        await self._kube.merge_patch(LEASES, live, {"spec": self._spec() | taken})
        self._holder = self._identity
        return True

    def _expired(self, live: Object) -> bool:
        version = live["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        lasts: float = live["spec"].get("leaseDurationSeconds", DURATION)
        return self._clock() - self._seen[1] > lasts

    def _spec(self) -> Object:
        return {"holderIdentity": self._identity, "leaseDurationSeconds": DURATION, "renewTime": _now()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
