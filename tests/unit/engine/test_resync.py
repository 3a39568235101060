"""Full lists heal the store, and tell whom that concerns."""

from __future__ import annotations

import sys
from typing import Any

from sluice.core.objects import Object
from sluice.edges.kinds import HTTP_ROUTES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS, MODEL_REVISIONS, PODS, REPORTS, Kind
from sluice.edges.kube import Kube, Listing, NotFound
from sluice.engine.resync import Offers, Resync
from sluice.engine.store import Store
from tests.unit.engine.test_store import item


class ListedKube(Kube):
    """An API server that only lists."""

    def __init__(self) -> None:
        self.absent: set[Kind] = set()
        self.lists: dict[Kind, list[Object]] = {}
        self.asked: list[tuple[Kind, str | None]] = []

    async def serves(self, kind: Kind) -> bool:
        return kind not in self.absent

    async def snapshot(self, kind: Kind, namespace: str | None = None) -> Listing:
        self.asked.append((kind, namespace))
        if kind in self.absent:
            raise NotFound(404, "no such resource")
        return Listing(self.lists.get(kind, []), 100)


class Healing:
    """A store that is compared with lists."""

    def __init__(self, *namespaces: str) -> None:
        self.kube, self.store, self.offers = ListedKube(), Store(), Offers()
        self.news: list[tuple[str, bool]] = []
        self.resync = Resync(self.kube, self.store, self.offers, namespaces, self._note)

    def _note(self, _kind: Kind, item: Object, gone: bool) -> None:
        self.news.append((item["metadata"]["name"], gone))


async def test_a_ghost_is_dropped_and_told() -> None:
    healing = Healing()
    healing.store.put(MODEL_REVISIONS, item(10))
    await healing.resync.all()
    assert healing.news == [("scorer-r1", True)]
    assert healing.store.get(MODEL_REVISIONS, "risk", "scorer-r1") is None


async def test_what_was_missed_is_put_in_and_told() -> None:
    healing = Healing()
    healing.kube.lists[MODEL_REVISIONS] = [item(10)]
    await healing.resync.all()
    await healing.resync.all()
    assert healing.news == [("scorer-r1", False)]


async def test_an_api_that_was_removed_takes_its_objects_with_it() -> None:
    healing = Healing()
    healing.store.put(HTTP_ROUTES, item(sys.maxsize - 1))
    healing.kube.absent = {HTTP_ROUTES}
    await healing.resync.all()
    assert not healing.offers.complete
    assert healing.news == [("scorer-r1", True)]


async def test_reports_are_offered_where_their_api_is_and_missed_by_no_release_where_it_is_not() -> None:
    healing = Healing()
    await healing.resync.all()
    assert healing.offers.open_reports
    healing.kube.absent = {REPORTS}
    await healing.resync.all()
    assert (healing.offers.open_reports, healing.offers.complete) == (False, True)


async def test_an_api_that_appears_is_noticed() -> None:
    healing = Healing()
    healing.kube.absent = {INFERENCE_SERVICES}
    assert await healing.resync.look_for_apis()
    assert not await healing.resync.look_for_apis()
    healing.kube.absent = set()
    assert await healing.resync.look_for_apis()
    assert healing.offers.complete


async def test_only_the_namespaces_in_scope_are_listed() -> None:
    healing = Healing("risk", "gateways")
    await healing.resync.all()
    places: dict[Any, set[str | None]] = {}
    for kind, namespace in healing.kube.asked:
        places.setdefault(kind.plural, set()).add(namespace)
    assert places[MODEL_DEPLOYMENTS.plural] == {"risk", "gateways"}
    assert places["clustermodelmonitors"] == {None}
    assert PODS.label == "serving.kserve.io/inferenceservice"
