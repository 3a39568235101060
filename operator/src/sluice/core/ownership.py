"""Ownership: who wrote an object, as the API server keeps account of it (``managedFields``).

A manager is what a client called itself, not a user: it says where to look, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from sluice.core.objects import Object

_PARTS = ("f:spec", "f:metadata")


def author(entries: Iterable[Object], ours: str, part: str = "f:spec") -> str:
    """Which other manager set fields of a part last; empty if none has any there, as after taking some away."""
    known = [
        (entry.get("time", ""), entry["manager"])
        for entry in entries
        if entry["manager"] != ours and not entry.get("subresource") and part in entry.get("fieldsV1", {})
    ]
    return max(known)[1] if known else ""


def slim(entries: Iterable[Object]) -> list[Object]:
    """What of the account decisions look at: who wrote which part, and when. The fields themselves are most of it."""
    return [
        {name: entry[name] for name in ("manager", "time", "subresource") if name in entry}
        | {"fieldsV1": {part: {} for part in _PARTS if part in entry.get("fieldsV1", {})}}
        for entry in entries
    ]
