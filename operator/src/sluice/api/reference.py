"""The API reference as Markdown, from the same schemas that the API server enforces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sluice.api import API_VERSION
from sluice.api.base import DURATION_RULE
from sluice.api.crds import Kind
from sluice.api.markers import VALIDATIONS
from sluice.api.schema import Schema

_INTRODUCTION = f"""\
<!-- Generated from operator/src/sluice/api by `python -m sluice.api --docs docs/reference/api.md`. Do not edit. -->
# API reference

All kinds are of `{API_VERSION}`. `kubectl explain` shows the same on a cluster, for example
`kubectl explain md.spec.rollout`. Fields marked with `*` are required. Durations are written like `30s`, `10m` or
`1h30m`. The API server refuses an object that breaks a rule, and says so in the rule's words.
"""


def reference(kinds: Sequence[Kind]) -> str:
    """The whole reference, one section for each kind. What two places share is described once, where it is first."""
    seen: dict[str, str] = {}
    overview = [
        "| kind | scope | `kubectl get` | what it is |",
        "|---|---|---|---|",
        *(
            f"| [{kind.name}](#{kind.singular}) | {kind.scope} | `{kind.short_name}` | {_cell(kind.description)} |"
            for kind in kinds
        ),
    ]
    sections = ["\n".join(_kind(kind, seen)) for kind in kinds]
    return "\n\n".join([_INTRODUCTION.rstrip(), "\n".join(overview), *sections]) + "\n"


def _kind(kind: Kind, seen: dict[str, str]) -> Iterator[str]:
    schema = kind.schema()
    yield f"## {kind.name}\n"
    yield f"{kind.description}\n"
    yield from _rules(schema)
    if kind.selectable:
        fields = ", ".join(f"`{path.removeprefix('.')}`" for path in kind.selectable)
        yield f"`kubectl get {kind.short_name} --field-selector` knows {fields}.\n"
    yield "Columns of `kubectl get`, those in italics with `-o wide` only: " + ", ".join(
        f"*{column.name}*" if column.wide else column.name for column in kind.columns
    )
    for part in ("spec", "status"):
        yield from _object(kind, part, schema["properties"][part], seen)


def _object(kind: Kind, path: str, schema: Schema, seen: dict[str, str]) -> Iterator[str]:
    """The table of an object's fields, then the tables of the objects among them."""
    title = f"{kind.name} {path}"
    if (first := seen.setdefault(_shape(schema), title)) != title:
        yield f"\n### {title}\n\nAs [{first}](#{_anchor(first)})."
        return
    yield f"\n### {title}\n"
    yield f"{schema['description']}\n"
    yield from _rules(schema)
    yield "| field | type | |"
    yield "|---|---|---|"
    nested: list[tuple[str, Schema]] = []
    for name, field in schema["properties"].items():
        inner, suffix = _unwrap(field)
        where = f"{path}.{name}{suffix}"
        link = None
        if "properties" in inner:
            known = seen.get(_shape(inner))
            link = known or f"{kind.name} {where}"
            if known is None:
                nested.append((where, inner))
        star = "*" if name in schema.get("required", ()) else ""
        yield f"| `{name}`{star} | {_type(field, link)} | {_cell(_prose(field))} |"
    for where, inner in nested:
        yield from _object(kind, where, inner, seen)


def _shape(schema: Schema) -> str:
    """What makes two objects the same to a reader: all but what is said of this one use."""
    return json.dumps({key: value for key, value in schema.items() if key not in ("description", "default")})


def _unwrap(field: Schema) -> tuple[Schema, str]:
    """The schema of a list's items and ``[]``, or the field itself."""
    return (field["items"], "[]") if field.get("type") == "array" else (field, "")


def _type(field: Schema, link: str | None) -> str:
    name = f"[object](#{_anchor(link)})" if link else _scalar(_unwrap(field)[0])
    if field.get("type") == "array":
        return f"list ({_range(field, 'minItems', 'maxItems')}) of {name}"
    return name


def _scalar(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return "object, passed through"
    if "additionalProperties" in schema:
        return f"map of string to {_scalar(schema['additionalProperties'])}"
    if schema.get("format") == "date-time":
        return "time (RFC 3339)"
    if schema["type"] == "integer":
        return f"integer ({_range(schema, 'minimum', 'maximum')})"
    if schema["type"] == "boolean":
        return "true or false"
    if DURATION_RULE.message in _messages(schema):
        return "duration"
    return f"string (up to {schema['maxLength']})"


def _range(schema: Schema, low: str, high: str) -> str:
    if high not in schema:
        return f"from {schema[low]}"
    return f"{schema[low]} to {schema[high]}" if low in schema else f"up to {schema[high]}"


def _prose(field: Schema) -> str:
    """What is said of a field, with the rules on its value and, for a list of scalars, on the values in it."""
    inner, _ = _unwrap(field)
    rules = [message for schema in (field, inner) if "properties" not in schema for message in _messages(schema)]
    sentences = [str(field["description"])]
    # That durations are durations is said by their type.
    sentences += [f"{_capital(rule)}." for rule in dict.fromkeys(rules) if rule != DURATION_RULE.message]
    if field.get("default") not in (None, {}):
        sentences.append(f"Default: `{_value(field['default'])}`.")
    return " ".join(sentences)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _messages(schema: Schema) -> list[str]:
    return [rule["message"] for rule in schema.get(VALIDATIONS, ())]


def _rules(schema: Schema) -> Iterator[str]:
    """The rules between an object's fields, as a list."""
    lines = []
    for rule in schema.get(VALIDATIONS, ()):
        field = rule.get("fieldPath", "").removeprefix(".")
        lines.append(f"- `{field}` {rule['message']}." if field else f"- {_capital(rule['message'])}.")
    if lines:
        yield "\n".join(lines) + "\n"


def _capital(sentence: str) -> str:
    # A sentence that begins with a field's name keeps it as it is written.
    first = sentence.split(maxsplit=1)[0]
    return sentence if first != first.lower() else sentence[0].upper() + sentence[1:]


def _anchor(title: str) -> str:
    """The anchor that Markdown renderers make of a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
