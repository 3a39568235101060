"""Guards: whether the admission policies are there, and still as strict as the chart installed them.

Defaults that the API server fills in are no change, and neither is what makes a guard stricter: a validation more,
a resource more. All else is: it may be harmless, but the chart did not say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sluice.api.base import parse_time
from sluice.core.governance.facts import Guard
from sluice.core.objects import Object

ROUTE = "apply the chart again with `helm upgrade`, and find out in the API server's audit log who changed it"

_SELECTS_ALL: Object = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
_DEFAULTS: Mapping[str, Object] = {
    "ValidatingAdmissionPolicy": {"failurePolicy": "Fail"},
    "MutatingAdmissionPolicy": {"failurePolicy": "Fail"},
}
_MAY_GROW = ("validations", "auditAnnotations", "validationActions", "matchConstraints.resourceRules")
"""Lists of which every further entry asks for more; in all others it could take something away."""


def compare(expected: Sequence[Object], live: Iterable[Object]) -> tuple[Guard, ...]:
    """Each expected guard, and what is wrong with it."""
    found = {address(item): item for item in live}
    return tuple(_guard(item, found.get(address(item))) for item in expected)


def address(item: Object) -> str:
    """``Kind/name``: what a guard is known by."""
    return f"{item['kind']}/{item['metadata']['name']}"


def _guard(expected: Object, live: Object | None) -> Guard:
    name = address(expected)
    if live is None:
        return Guard(name, intact=False, message=f"{name} is missing; {ROUTE}")
    since = parse_time(live["metadata"]["creationTimestamp"])
    changed = list(_changes(_normal(expected), _normal(live)))
    if not changed:
        return Guard(name, intact=True, since=since)
    return Guard(name, intact=False, since=since, message=f"{name} was changed: {'; '.join(changed)[:512]}; {ROUTE}")


def _normal(item: Object) -> Object:
    """The spec by dotted path, with the API server's defaults; texts as CEL reads them, regardless of line breaks."""
    spec = {**_DEFAULTS.get(item["kind"], {}), **item.get("spec", {})}
    for field in ("matchConstraints", "matchResources"):
        if field in spec:
            spec |= {f"{field}.{key}": value for key, value in (_SELECTS_ALL | spec.pop(field)).items()}
    for field in ("matchConstraints", "matchResources"):
        for rules in (f"{field}.resourceRules", f"{field}.excludeResourceRules"):
            if rules in spec:
                spec[rules] = [{"scope": "*", **rule} for rule in spec[rules]]
    # An empty list, and nothing at all, are the same to the API server.
    return {path: value for path, value in spec.items() if value not in ([], None)}


def _changes(expected: Object, live: Object) -> Iterable[str]:
    for path in sorted(expected.keys() | live.keys()):
        wanted, there = expected.get(path), live.get(path)
        if wanted == there:
            continue
        if path in _MAY_GROW and isinstance(wanted, list):
            if gone := [entry for entry in wanted if entry not in (there or [])]:
                yield f"spec.{path} lacks {_short(gone[0])}"
        elif wanted is None:
            if path not in _MAY_GROW:
                yield f"spec.{path} was added"
        elif there is None:
            yield f"spec.{path} is gone"
        else:
            yield f"spec.{path} differs" if isinstance(wanted, list | dict) else f"spec.{path} is {there}, not {wanted}"


def _short(entry: Any) -> str:
    """An entry of a list in a few words: a validation by its message."""
    if isinstance(entry, dict):
        entry = entry.get("message") or entry.get("key") or ", ".join(entry.get("resources", ())) or entry
    text = str(entry)
    return text if len(text) <= 120 else f"{text[:119]}…"
