"""Aliases are looked up once each, however many deployments name them."""

from __future__ import annotations

from sluice.api.modeldeployment import ModelReference
from sluice.edges.kinds import MODEL_DEPLOYMENTS
from sluice.edges.registry import Registry
from sluice.engine.aliases import Aliases
from sluice.engine.store import Key, Store
from tests.unit.engine.fakes import FakeKube, deployment

CHAMPION = {"name": "scorer", "alias": "champion"}


class PlayedRegistry(Registry):
    """Knows where one alias points."""

    def __init__(self) -> None:
        super().__init__("")
        self.version: str | None = "1"
        self.asked: list[ModelReference] = []

    async def version_of_alias(self, model: ModelReference) -> str | None:
        self.asked.append(model)
        return self.version


async def test_a_moved_alias_wakes_its_users_and_a_silent_registry_changes_nothing() -> None:
    store, registry, woken = Store(), PlayedRegistry(), list[Key]()
    kube = FakeKube()
    for name in ("a", "b"):
        store.put(MODEL_DEPLOYMENTS, kube.put(MODEL_DEPLOYMENTS, deployment(name=name, model=CHAMPION)))
    store.put(MODEL_DEPLOYMENTS, kube.put(MODEL_DEPLOYMENTS, deployment(name="pinned")))
    aliases = Aliases(store, registry, woken.append)
    reference = ModelReference(name="scorer", alias="champion")
    assert aliases.version(reference) is None

    await aliases.look_up()
    assert len(registry.asked) == 1
    assert aliases.version(reference) == "1"
    woken.clear()

    for version in ("1", None):
        registry.version = version
        await aliases.look_up()
    assert woken == []
    registry.version = "2"
    await aliases.look_up()
    assert woken == [Key("risk", "a"), Key("risk", "b")]
    assert aliases.version(reference) == "2"
