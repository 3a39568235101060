"""Sealing: the key that the demo's records are signed with, and the store that their heads are anchored in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hack.demo import keys

SIGNING, ANCHOR = "sluice-signing", "sluice-anchor"
"""Names of the Secrets."""


@dataclass(frozen=True)
class Store:
    """A write-once store, by its address from here and from the cluster's pods."""

    url: str
    inside: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """What whoever reads or writes there must be told."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


def secrets(namespace: str, store: Store | None) -> list[dict[str, Any]]:
    """The Secrets that the chart's values name."""
    given = {SIGNING: {"key.pem": keys.private(keys.RECORDS).read_text()}}
    if store is not None:
        given[ANCHOR] = store.environment
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": data,
        }
        for name, data in given.items()
    ]


def values(store: Store | None) -> dict[str, Any]:
    """What the chart is told, below global.governance."""
    found: dict[str, Any] = {"signing": {"secretName": SIGNING}}
    if store is not None:
        found["anchor"] = {"url": store.inside, "secretName": ANCHOR}
    return found
