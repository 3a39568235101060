"""Document: a World as canonical JSON and back, so that what a decision was based on can be kept and decided again.

The form follows the types: a dataclass is an object, a resource its own JSON, a mapping an object, or a list of
pairs where its keys are not strings, a tuple a list. Where a field may be one of several dataclasses, ``is`` names
which.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

from sluice.api.base import Resource, format_time, parse_time

T = TypeVar("T")


def encode(value: Any) -> Any:
    """A value as JSON data."""
    match value:
        case Resource():
            return value.dump()
        case StrEnum():
            return value.value
        case datetime():
            return format_time(value)
        case str() | int() | float() | bool() | None:
            return value
        case Mapping() if all(isinstance(key, str) for key in value):
            return {str(key): encode(item) for key, item in value.items()}
        case Mapping():
            pairs = [[encode(key), encode(item)] for key, item in value.items()]
            return sorted(pairs, key=lambda pair: json.dumps(pair[0], sort_keys=True))
        case tuple() | list():
            return [encode(item) for item in value]
    if dataclasses.is_dataclass(value):
        fields = {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"is": type(value).__name__} | fields
    raise TypeError(f"{type(value).__name__} has no place in a document")


def text(value: Any) -> str:
    """A value as canonical JSON: equal values give the same bytes."""
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(document: str) -> str:
    """``sha256:<hex>`` of a document's bytes."""
    return "sha256:" + hashlib.sha256(document.encode()).hexdigest()


def decode(kind: type[T], document: str) -> T:
    """The value that :func:`text` wrote.

    Raises:
        ValueError: the document is not one of this kind.
    """
    try:
        found: T = _decoded(kind, json.loads(document))
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not a {kind.__name__} as this version of Sluice writes it: {error!r}") from error
    return found


def _decoded(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), data)
    if origin is tuple:
        return _tuple(get_args(kind), data)
    if origin is not None and issubclass(origin, Mapping):
        keys, values = get_args(kind)
        pairs = data.items() if isinstance(data, dict) else data
        return {_hashable(_decoded(keys, key)): _decoded(values, item) for key, item in pairs}
    if kind is datetime:
        return parse_time(data)
    if kind is Any or kind in (str, int, float, bool, type(None)):
        return data
    if issubclass(kind, Resource):
        return kind.model_validate(data)
    if issubclass(kind, StrEnum):
        return kind(data)
    return kind(**{name: _decoded(hint, data[name]) for name, hint in _fields(kind) if name in data})


def _one_of(kinds: tuple[Any, ...], data: Any) -> Any:
    if data is None:
        return None
    candidates = [kind for kind in kinds if kind is not type(None)]
    if len(candidates) > 1:
        candidates = [kind for kind in candidates if kind.__name__ == data["is"]]
    return _decoded(candidates[0], data)


def _tuple(kinds: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_decoded(kinds[0], item) for item in data)
    return tuple(_decoded(kind, item) for kind, item in zip(kinds, data, strict=True))


def _hashable(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


@cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind) if field.init)
