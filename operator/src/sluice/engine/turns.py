"""Turns: when each deployment is decided about anew after something changed for all of them, such as a policy.

Each decision may write a status, and with many deployments that takes a while. Releases in progress come first, and
the others at a pace that leaves room for whatever happens meanwhile: what is due now goes before what is due later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sluice.core.objects import Object
from sluice.engine.store import Key

PACE = 0.05
"""Seconds between two deployments at rest, more than a decision takes: 1,000 of them take 50 s."""


def turns(deployments: Iterable[Object]) -> Iterator[tuple[Key, float]]:
    """Each ModelDeployment with the seconds until it is its turn."""
    waiting = 0
    for item in deployments:
        key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
        if item.get("status", {}).get("candidateRevision"):
            yield key, 0.0
        else:
            yield key, waiting * PACE
            waiting += 1
