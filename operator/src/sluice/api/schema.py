"""From a typed model to the structural OpenAPI v3 schema that a CustomResourceDefinition carries.

pydantic writes JSON Schema with ``$defs`` and nulls; the API server wants one self-contained tree, wherein a
field that may be absent is simply not required. What the API server is to enforce beyond that stands in the
models' annotations, see :mod:`sluice.api.markers`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from sluice.api.base import Resource, format_duration

Schema = dict[str, Any]

_ORDER = ("description", "type", "format", "enum", "default")
_UNSUPPORTED = ("title", "$defs")


def structural(model: type[Resource], *, defaults: bool = True) -> Schema:
    """The structural schema of a model.

    Args:
        model: what to describe.
        defaults: whether the API server shall write the models' defaults into objects. A spec wants that, so
            that people see what they get; a status does not, since only its writer knows what is true.
    """
    generated = model.model_json_schema(
        by_alias=True, ref_template=DEFAULT_REF_TEMPLATE, schema_generator=_Generator, mode="validation"
    )
    return _inline(generated, generated.get("$defs", {}), defaults=defaults)


class _Generator(GenerateJsonSchema):
    """pydantic's generator, without nulls and with defaults as they look on the wire."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        result = super().enum_schema(schema)
        if "const" in result:  # an enum of one word, so far
            result["enum"] = [result.pop("const")]
        return result

    def encode_default(self, dft: Any) -> Any:
        return _on_the_wire(dft)


def _on_the_wire(value: Any) -> Any:
    match value:
        case Resource():
            # The defaults of nested fields are stated where those fields are.
            return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        case list():
            return [_on_the_wire(item) for item in value]
        case StrEnum():
            return value.value
        case timedelta():
            return format_duration(value)
        case _:
            return value


def _inline(schema: Schema, definitions: dict[str, Schema], *, defaults: bool) -> Schema:
    """A copy of a schema with every reference replaced by what it refers to."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        merged = {**target, **beside, "description": _merge(schema, target)}
        return _inline(merged, definitions, defaults=defaults)
    result = {key: value for key, value in schema.items() if key not in _UNSUPPORTED}
    if "description" in result:
        result["description"] = plain(result["description"])
    if not (defaults and _says_something(result.get("default"), result)):
        result.pop("default", None)
    if "properties" in result:
        result["properties"] = {
            name: _inline(field, definitions, defaults=defaults) for name, field in result["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _inline(result[key], definitions, defaults=defaults)
    if result.get("x-kubernetes-preserve-unknown-fields"):
        result.pop("additionalProperties", None)
    return _ordered(result)


def _merge(field: Schema, target: Schema) -> str:
    """What the field says, then what its type says beyond a first paragraph."""
    own, (first, *further) = field.get("description"), target.get("description", "").split("\n\n")
    return "\n\n".join([own or first, *further])


def plain(text: str) -> str:
    """A docstring as one line of prose: `kubectl explain` knows nothing of reStructuredText."""
    return re.sub(r"``([^`]*)``", r"\1", " ".join(text.split()))


def _says_something(default: Any, schema: Schema) -> bool:
    if default is None or default in ("", []):
        return False
    # An empty map means what an absent one means; an empty object makes its fields' defaults appear.
    return default != {} or "properties" in schema


def _ordered(schema: Schema) -> Schema:
    """What a reader looks for first, first. The order of the fields is the models' own."""
    first = {key: schema[key] for key in _ORDER if key in schema}
    return {**first, **{key: value for key, value in schema.items() if key not in first}}
