"""What the API server does with a structural schema, in small: walk it, judge a value by it, draw values from it.

CEL rules are left out here; `tests/component/test_admission.py` puts those before a real API server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from sluice.api.base import DURATION_RULE, MAX_DURATION, format_duration, format_time
from sluice.api.markers import VALIDATIONS
from sluice.api.schema import Schema

_PATTERN_RULE = re.compile(r"self\.matches\('(.*)'\)")


def walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema in a schema with its path, such as ``spec.rollout.steps[].hold``."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from walk(field, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}{{}}")


def violations(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """What is wrong with a value, in words; nothing if the schema admits it."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    kinds = {"object": dict, "array": list, "string": str, "integer": int}
    expected = (int, str) if schema.get("x-kubernetes-int-or-string") else kinds[schema["type"]]
    if not isinstance(value, expected) or isinstance(value, bool):
        yield f"{path}: {value!r} is not {schema.get('type', 'int or string')}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    match value:
        case str():
            yield from _string(schema, value, path)
        case int():
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                yield f"{path}: {value} is out of bounds"
        case list():
            if not schema.get("minItems", 0) <= len(value) <= schema["maxItems"]:
                yield f"{path}: {len(value)} items"
            for index, item in enumerate(value):
                yield from violations(schema["items"], item, f"{path}[{index}]")
        case dict():
            yield from _object(schema, value, path)


def _string(schema: Schema, value: str, path: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: {len(value)} characters"
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield f"{path}: {value!r} does not match {schema['pattern']}"


def _object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name} is required"
    for name, field in value.items():
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if inner is None:
            yield f"{path}.{name} is unknown"
        else:
            yield from violations(inner, field, f"{path}.{name}")


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that a schema admits, optional fields there or not."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.dictionaries(_text(1, 8), st.integers() | _text(0, 8), min_size=1, max_size=3)
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 10_000) | st.sampled_from(["500m", "1Gi", "0.5", "2"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object" if "properties" in schema:
            required = set(schema.get("required", ()))
            fields = {name: values(field) for name, field in schema["properties"].items()}
            return st.fixed_dictionaries(
                {name: field for name, field in fields.items() if name in required},
                optional={name: field for name, field in fields.items() if name not in required},
            )
        case "object":
            return st.dictionaries(_text(1, 12), values(schema["additionalProperties"]), max_size=3)
        case "array":
            keys = schema.get("x-kubernetes-list-map-keys", ())
            low, high = schema.get("minItems", 0), min(schema["maxItems"], 4)
            return st.lists(
                values(schema["items"]),
                min_size=low,
                max_size=high,
                unique_by=(lambda item: tuple(item[key] for key in keys)) if keys else None,
                unique=schema["x-kubernetes-list-type"] == "set",
            )
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**31))
        case _:
            return _strings(schema)


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    rules = schema.get(VALIDATIONS, [])
    if any(rule["message"] == DURATION_RULE.message for rule in rules):
        return st.timedeltas(timedelta(0), MAX_DURATION).map(format_duration)
    if schema.get("format") == "date-time":
        return st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(format_time)  # noqa: DTZ001
    patterns = [match[1] for rule in rules if (match := _PATTERN_RULE.fullmatch(rule["rule"]))]
    if pattern := next(iter(patterns), schema.get("pattern")):
        drawn = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
        return drawn.filter(lambda text: schema.get("minLength", 0) <= len(text) <= schema["maxLength"])
    return _text(schema.get("minLength", 0), min(schema["maxLength"], 16))


def _text(low: int, high: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=low, max_size=high)
