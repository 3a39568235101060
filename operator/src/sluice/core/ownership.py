"""Ownership: who set which fields of an object's spec, as the API server keeps account of it (``managedFields``).

A manager is what a client called itself, not a user: it says where to look, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sluice.core.objects import Object

Path = tuple[str, ...]


def added(entries: Iterable[Object], ours: str) -> dict[str, list[Path]]:
    """By manager, the fields of the spec that it set and ``ours`` did not; a list's items count as the list."""
    own: set[Path] = set()
    others: dict[str, list[Path]] = {}
    for entry in entries:
        if entry.get("subresource"):
            continue
        paths = list(_leaves(_spec(entry)))
        if entry["manager"] == ours:
            own.update(paths)
        elif paths:
            others.setdefault(entry["manager"], []).extend(paths)
    found = {manager: sorted({path for path in paths if path not in own}) for manager, paths in others.items()}
    return {manager: paths for manager, paths in found.items() if paths}


def author(entries: Iterable[Object], ours: str, part: str = "f:spec") -> str:
    """Which other manager set fields of a part last; empty if none has any there, as after taking some away."""
    known = [
        (entry.get("time", ""), entry["manager"])
        for entry in entries
        if entry["manager"] != ours and not entry.get("subresource") and part in entry.get("fieldsV1", {})
    ]
    return max(known)[1] if known else ""


def slim(entries: Iterable[Object], ours: str) -> list[Object]:
    """What of the account decisions look at: the spec where others set something in it, and else who wrote."""
    kept = list(entries)
    contested = any(e["manager"] != ours and not e.get("subresource") and "f:spec" in e.get("fieldsV1", {}) for e in kept)
    return [_slim(entry, whole=contested) for entry in kept]


def without(spec: Object, wanted: Object, paths: Iterable[Path]) -> Object:
    """A merge patch that takes fields away, or gives them back the value that they are wanted to have."""
    patch: Object = {}
    for path in paths:
        if not _there(spec, path):
            continue
        target, value = patch, wanted
        for step in path[:-1]:
            target = target.setdefault(step, {})
            value = value.get(step, {}) if isinstance(value, dict) else {}
        target[path[-1]] = value.get(path[-1]) if isinstance(value, dict) else None
    return patch


def _slim(entry: Object, *, whole: bool) -> Object:
    kept = {name: entry[name] for name in ("manager", "time", "subresource") if name in entry}
    fields = entry.get("fieldsV1", {})
    parts = {part: fields[part] if part == "f:spec" and whole else {} for part in ("f:spec", "f:metadata") if part in fields}
    return kept | {"fieldsV1": parts}


def _spec(entry: Object) -> Object:
    found: Object = entry.get("fieldsV1", {}).get("f:spec", {})
    return found


def _leaves(tree: Object, path: Path = ()) -> Iterator[Path]:
    names = [name for name in tree if name.startswith("f:")]
    if path and len(names) < len([name for name in tree if name != "."]):
        yield path  # a list: its items are told apart by keys or values
        return
    for name in names:
        here = (*path, name.removeprefix("f:"))
        if tree[name] and set(tree[name]) != {"."}:
            yield from _leaves(tree[name], here)
        else:
            yield here


def _there(spec: object, path: Path) -> bool:
    for step in path:
        if not isinstance(spec, dict) or step not in spec:
            return False
        spec = spec[step]
    return True
