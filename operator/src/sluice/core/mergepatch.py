"""Merge patches (RFC 7386): the least that turns one JSON object into another."""

from __future__ import annotations

from typing import Any


def diff(live: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The patch that turns ``live`` into ``wanted``; empty if they are equal. Neither may hold null.

    >>> diff({"a": 1, "b": {"c": 2}}, {"b": {"c": 3}})
    {'a': None, 'b': {'c': 3}}
    """
    patch: dict[str, Any] = {key: None for key in live if key not in wanted}
    for key, value in wanted.items():
        if key not in live:
            patch[key] = value
        elif isinstance(value, dict) and isinstance(live[key], dict):
            if inner := diff(live[key], value):
                patch[key] = inner
        elif live[key] != value:
            patch[key] = value
    return patch


def apply(patch: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """``target`` after ``patch``, as the API server would have it."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            inner = result.get(key)
            result[key] = apply(value, inner if isinstance(inner, dict) else {})
        else:
            result[key] = value
    return result


def paths(patch: dict[str, Any], prefix: str = "") -> list[str]:
    """The changed fields of a patch, dotted, for people: ``['spec.rules', 'spec.hostnames']``."""
    found: list[str] = []
    for key, value in patch.items():
        found += paths(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [f"{prefix}{key}"]
    return found
