"""Hostnames: who claimed which first. Two deployments with one hostname would share each other's traffic."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from sluice.api.base import parse_time
from sluice.core.objects import Object
from sluice.engine.store import Key


class Hostnames:
    """The hostnames that deployments state. The oldest deployment has it; of two as old, the first by name."""

    def __init__(self) -> None:
        self._claims: dict[str, dict[Key, datetime]] = defaultdict(dict)
        self._stated: dict[Key, frozenset[str]] = {}

    def take_in(self, item: Object, *, gone: bool) -> set[Key]:
        """A ModelDeployment changed. Returns the others that share a hostname which this one has given up."""
        metadata = item["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        stated = frozenset() if gone else _hostnames(item)
        given_up = self._stated.pop(key, frozenset()) - stated
        for hostname in given_up:
            claims = self._claims[hostname]
            claims.pop(key, None)
            if not claims:
                del self._claims[hostname]
        if stated:
            self._stated[key] = stated
        for hostname in stated:
            self._claims[hostname][key] = parse_time(metadata["creationTimestamp"])
        return {other for hostname in given_up for other in self._claims.get(hostname, ())}

    def conflicts(self, key: Key) -> tuple[tuple[str, str], ...]:
        """The hostnames of a deployment that an older one has: (hostname, ``namespace/name`` of the older)."""
        found: list[tuple[str, str]] = []
        for hostname in sorted(self._stated.get(key, ())):
            claims = self._claims[hostname]
            first = min(claims, key=lambda other: (claims[other], other))
            if first != key:
                found.append((hostname, f"{first.namespace}/{first.name}"))
        return tuple(found)


def _hostnames(item: Object) -> frozenset[str]:
    # Tolerant: an object that this version cannot read is told so elsewhere, and must not stop the others.
    stated = item.get("spec", {}).get("traffic", {}).get("hostnames", [])
    return frozenset(hostname for hostname in stated if isinstance(hostname, str))
