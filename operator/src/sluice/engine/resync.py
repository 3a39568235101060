"""Resync: what the watch cannot be trusted to tell, looked up from time to time.

An informer keeps an object for good if it was deleted while the watch was broken (410 Gone), and nobody
tells that an API was installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from sluice.core.objects import Object
from sluice.edges.kinds import HTTP_ROUTES, INFERENCE_SERVICES, REPORTS, WATCHED, Kind
from sluice.edges.kube import Kube, Listing, NotFound
from sluice.engine.store import Store

News = Callable[[Kind, Object, bool], None]
"""Called with an object that changed, and whether it is gone."""


@dataclass
class Offers:
    """Which APIs the cluster has."""

    kserve: bool = True
    gateway_api: bool = True
    open_reports: bool = False
    """Nothing depends on it: it is looked for at every resync only."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing that a release needs."""
        return self.kserve and self.gateway_api


class Resync:
    """Full lists, compared with the store."""

    def __init__(self, kube: Kube, store: Store, offers: Offers, namespaces: tuple[str, ...], news: News) -> None:
        """``namespaces`` is where to look; empty for everywhere."""
        self._kube = kube
        self._store = store
        self._offers = offers
        self._namespaces = namespaces
        self._news = news

    async def all(self) -> None:
        """Put the store right, and see what the cluster offers.

        Raises:
            KubeError: the API server cannot be asked; what was listed before is put right.
        """
        await self.look_for_apis()
        for kind in WATCHED:
            for namespace in self._namespaces if kind.namespaced and self._namespaces else (None,):
                found = await self._snapshot(kind, namespace)
                for item, there in self._store.replace(kind, found.items, found.resource_version, namespace):
                    self._news(kind, item, not there)

    async def look_for_apis(self) -> bool:
        """See what the cluster offers; True if that changed."""
        before = (self._offers.kserve, self._offers.gateway_api)
        self._offers.kserve = await self._kube.serves(INFERENCE_SERVICES)
        self._offers.gateway_api = await self._kube.serves(HTTP_ROUTES)
        self._offers.open_reports = await self._kube.serves(REPORTS)
        return before != (self._offers.kserve, self._offers.gateway_api)

    async def _snapshot(self, kind: Kind, namespace: str | None) -> Listing:
        try:
            return await self._kube.snapshot(kind, namespace)
        except NotFound:  # the cluster has no such kind (any more)
            return Listing([], sys.maxsize)
