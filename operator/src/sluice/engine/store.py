"""Store: the latest known version of every object we watch, from events and from our own writes alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sluice.core import objects, ownership
from sluice.core.objects import Object
from sluice.edges.kinds import (
    DEPLOYMENTS,
    GOVERNANCE_EXCEPTIONS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DECISIONS,
    MODEL_DEPLOYMENTS,
    PODS,
    Kind,
)

_PREDICTOR = re.compile(r"(?P<deployment>.+)-r[0-9]+")
_ABOUT_A_RELEASE = (MODEL_DECISIONS, GOVERNANCE_EXCEPTIONS)
_EDITED_BY_OTHERS = (INFERENCE_SERVICES, HTTP_ROUTES)
"""Kinds of which it matters who else wrote."""
_JUDGED_BY_STATUS = (DEPLOYMENTS, PODS)
_REMEMBERED = 10_000
"""How many deleted objects are remembered, so that a late answer does not bring one back."""


class Key(NamedTuple):
    """A ModelDeployment's address."""

    namespace: str
    name: str


def owner_of(kind: Kind, item: Object) -> Key | None:
    """The deployment that an object belongs to, by our label or by the name that KServe derives from ours."""
    metadata = item["metadata"]
    if kind == MODEL_DEPLOYMENTS:
        return Key(metadata["namespace"], metadata["name"])
    if kind in _ABOUT_A_RELEASE:
        return Key(metadata["namespace"], item["spec"]["target"]["deployment"])
    labels = metadata.get("labels") or {}
    if objects.DEPLOYMENT_LABEL in labels:
        return Key(metadata["namespace"], labels[objects.DEPLOYMENT_LABEL])
    match = _PREDICTOR.fullmatch(labels.get("serving.kserve.io/inferenceservice", ""))
    return Key(metadata["namespace"], match["deployment"]) if match else None


def is_ours(item: Object, deployment: str, owner: str) -> bool:
    """Whether an object belongs to its owner (a uid), or to nobody while carrying the deployment's label.

    An object of the same name that someone else made must be neither read, nor overwritten, nor deleted.
    """
    metadata = item["metadata"]
    controller = next((o for o in metadata.get("ownerReferences", []) if o.get("controller")), None)
    if controller is not None:
        return bool(controller["uid"] == owner)
    return (metadata.get("labels") or {}).get(objects.DEPLOYMENT_LABEL) == deployment


class Store:
    """Objects by kind and name, and by the deployment that they belong to.

    Our own writes are put in as soon as the API server has answered, so that the next decision sees them
    even if the watch is slow. An event that is older than what is known is dropped: resource versions
    of one object only grow.
    """

    def __init__(self) -> None:
        self._items: dict[Kind, dict[tuple[str, str], Object]] = defaultdict(dict)
        self._owned: dict[tuple[Kind, Key], dict[str, Object]] = {}
        self._gone: dict[str, int] = {}
        """By uid, the resource version as of which an object was known to be gone."""

    def put(self, kind: Kind, item: Object) -> bool:
        """Take in a version of an object; False if it is no news."""
        metadata = item["metadata"]
        address = _address(item)
        known = self._items[kind].get(address)
        if _version(item) <= self._gone.get(metadata["uid"], -1) or (known is not None and not _newer(item, known)):
            return False
        if known is not None:
            self._disown(kind, known)
        slim = _slim(kind, item)
        self._items[kind][address] = slim
        if (owner := owner_of(kind, item)) is not None:
            self._owned.setdefault((kind, owner), {})[metadata["name"]] = slim
        return True

    def drop(self, kind: Kind, item: Object, version: int | None = None) -> None:
        """An object is gone, as of a resource version or its own. A later object of its name stays."""
        uid, address = item["metadata"]["uid"], _address(item)
        self._gone[uid] = _version(item) if version is None else version
        if len(self._gone) > _REMEMBERED:
            del self._gone[next(iter(self._gone))]
        known = self._items[kind].get(address)
        if known is not None and known["metadata"]["uid"] == uid:
            del self._items[kind][address]
            self._disown(kind, known)

    def replace(
        self, kind: Kind, listed: Iterable[Object], version: int, namespace: str | None = None
    ) -> list[tuple[Object, bool]]:
        """Take in a full list, of one namespace or of all. What is not on it is gone.

        Args:
            kind: what was listed.
            listed: the objects.
            version: the resource version of the list. What we learnt about later than that, such as an object
                that we just created, is not gone but too young to be on the list.
            namespace: where was listed; None for everywhere.

        Returns:
            What was news: each object, and whether it is there (True) or gone (False).
        """
        items = list(listed)
        there = {_address(item) for item in items}
        ghosts = [
            item
            for address, item in self._items[kind].items()
            if address not in there and namespace in (None, address[0]) and _version(item) <= version
        ]
        for ghost in ghosts:
            self.drop(kind, ghost, version)
        return [(ghost, False) for ghost in ghosts] + [(item, True) for item in items if self.put(kind, item)]

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, if it is known. Cluster-scoped kinds have the namespace ``""``."""
        return self._items[kind].get((namespace, name))

    def all(self, kind: Kind) -> Iterator[Object]:
        """All known objects of a kind."""
        yield from list(self._items[kind].values())

    def of(self, kind: Kind, owner: Key) -> list[Object]:
        """The objects of a kind that belong to one deployment."""
        return list(self._owned.get((kind, owner), {}).values())

    def _disown(self, kind: Kind, item: Object) -> None:
        owner = owner_of(kind, item)
        if owner is not None and (owned := self._owned.get((kind, owner))) is not None:
            owned.pop(item["metadata"]["name"], None)
            if not owned:
                del self._owned[kind, owner]


def _address(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _slim(kind: Kind, item: Object) -> Object:
    """What decisions look at: a pod is tens of kilobytes, and only what became of it matters."""
    kept = {key: value for key, value in item.items() if key != "spec" or kind not in _JUDGED_BY_STATUS}
    kept["metadata"] = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    if kind in _EDITED_BY_OTHERS:
        kept["metadata"]["managedFields"] = ownership.slim(item["metadata"].get("managedFields", []))
    return kept


def _newer(item: Object, known: Object) -> bool:
    if item["metadata"]["uid"] != known["metadata"]["uid"]:
        # Another object of the same name: the one made later is the one there is.
        return bool(item["metadata"]["creationTimestamp"] >= known["metadata"]["creationTimestamp"])
    return _version(item) > _version(known)


def _version(item: Object) -> int:
    # Opaque to clients once; since Kubernetes 1.35 they are promised to be numbers that only grow.
    return int(item["metadata"]["resourceVersion"])
