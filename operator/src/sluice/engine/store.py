"""Store: the latest known version of every object we watch, from events and from our own writes alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from sluice.core import objects
from sluice.core.objects import Object
from sluice.edges.kinds import MODEL_DEPLOYMENTS, Kind

_PREDICTOR = re.compile(r"(?P<deployment>.+)-r[0-9]+")


class Key(NamedTuple):
    """A ModelDeployment's address."""

    namespace: str
    name: str


def owner_of(kind: Kind, item: Object) -> Key | None:
    """The deployment that an object belongs to, by our label or by the name that KServe derives from ours."""
    metadata = item["metadata"]
    if kind == MODEL_DEPLOYMENTS:
        return Key(metadata["namespace"], metadata["name"])
    labels = metadata.get("labels") or {}
    if objects.DEPLOYMENT_LABEL in labels:
        return Key(metadata["namespace"], labels[objects.DEPLOYMENT_LABEL])
    match = _PREDICTOR.fullmatch(labels.get("serving.kserve.io/inferenceservice", ""))
    return Key(metadata["namespace"], match["deployment"]) if match else None


class Store:
    """Objects by kind and name, and by the deployment that they belong to.

    Our own writes are put in as soon as the API server has answered, so that the next decision sees them
    even if the watch is slow. An event that is older than what is known is dropped: resource versions
    of one object only grow.
    """

    def __init__(self) -> None:
        self._items: dict[Kind, dict[tuple[str, str], Object]] = defaultdict(dict)
        self._owned: dict[tuple[Kind, Key], dict[str, Object]] = defaultdict(dict)

    def put(self, kind: Kind, item: Object) -> bool:
        """Take in a version of an object; False if it is no news."""
        metadata = item["metadata"]
        address = (metadata.get("namespace", ""), metadata["name"])
        known = self._items[kind].get(address)
        if known is not None and not _newer(item, known):
            return False
        slim = {**item, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
        self._items[kind][address] = slim
        if (owner := owner_of(kind, item)) is not None:
            self._owned[kind, owner][metadata["name"]] = slim
        return True

    def drop(self, kind: Kind, item: Object) -> None:
        """An object is gone. A later object of the same name is not it, and stays."""
        metadata = item["metadata"]
        address = (metadata.get("namespace", ""), metadata["name"])
        known = self._items[kind].get(address)
        if known is None or known["metadata"]["uid"] != metadata["uid"]:
            return
        del self._items[kind][address]
        if (owner := owner_of(kind, known)) is not None:
            self._owned[kind, owner].pop(metadata["name"], None)

    def replace(self, kind: Kind, listed: list[Object]) -> set[Key]:
        """Take in a full list; what is not on it is gone. Returns the deployments for which that was news."""
        there = {(item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in listed}
        ghosts = [item for address, item in self._items[kind].items() if address not in there]
        changed = [item for item in listed if self.put(kind, item)]
        for ghost in ghosts:
            self.drop(kind, ghost)
        return {owner for item in [*ghosts, *changed] if (owner := owner_of(kind, item)) is not None}

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, if it is known."""
        return self._items[kind].get((namespace, name))

    def all(self, kind: Kind) -> Iterator[Object]:
        """All known objects of a kind."""
        yield from list(self._items[kind].values())

    def of(self, kind: Kind, owner: Key) -> list[Object]:
        """The objects of a kind that belong to one deployment."""
        return list(self._owned[kind, owner].values())


def _newer(item: Object, known: Object) -> bool:
    if item["metadata"]["uid"] != known["metadata"]["uid"]:
        # Another object of the same name: the one made later is the one there is.
        return bool(item["metadata"]["creationTimestamp"] >= known["metadata"]["creationTimestamp"])
    return int(item["metadata"]["resourceVersion"]) > int(known["metadata"]["resourceVersion"])
