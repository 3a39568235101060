"""Aliases: where MLflow's aliases point just now. MLflow tells nobody when one moves, so it is asked again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from sluice.api.modeldeployment import ModelReference
from sluice.edges.kinds import MODEL_DEPLOYMENTS
from sluice.edges.registry import Registry
from sluice.engine.store import Key, Store


class Aliases:
    """The aliases that deployments name, as last looked up."""

    def __init__(self, store: Store, registry: Registry, wake: Callable[[Key], None]) -> None:
        """``wake`` is called for a deployment whose alias moved."""
        self._store = store
        self._registry = registry
        self._wake = wake
        self._versions: dict[tuple[str, str], str] = {}

    def version(self, model: ModelReference) -> str | None:
        """The version that a reference's alias points at, if it has one and that is known."""
        return self._versions.get((model.name, model.alias or ""))

    async def look_up(self) -> None:
        """Ask for every alias in use. One after the other: a new release that waits for MLflow comes first."""
        users: dict[tuple[str, str], list[Key]] = defaultdict(list)
        for item in self._store.all(MODEL_DEPLOYMENTS):
            model = item.get("spec", {}).get("model", {})
            if isinstance(model.get("name"), str) and isinstance(model.get("alias"), str):
                users[model["name"], model["alias"]].append(
                    Key(item["metadata"]["namespace"], item["metadata"]["name"])
                )
        for (name, alias), keys in users.items():
            version = await self._registry.version_of_alias(ModelReference(name=name, alias=alias))
            if version is not None and version != self._versions.get((name, alias)):
                self._versions[name, alias] = version
                for key in keys:
                    self._wake(key)
