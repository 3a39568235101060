"""What the API server is to check beyond types and bounds: notes in the models' annotations.

A model's fields carry these beside pydantic's own ``Field``; :mod:`sluice.api.schema` finds them in the
JSON schema under the names that Kubernetes gives them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True)
class Rule:
    """A CEL rule over the annotated value (``self``), and what a person reads when it is broken."""

    rule: str
    message: str
    field: str = ""
    """The path below ``self`` that is to blame, such as ``.progressDeadline``; empty means self."""

    def add_to(self, schema: JsonSchemaValue) -> None:
        """Append this rule to a schema's rules, in place."""
        blame = {"fieldPath": self.field} if self.field else {}
        schema.setdefault(VALIDATIONS, []).append({"rule": self.rule, "message": self.message, **blame})

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        self.add_to(schema)
        return schema


@dataclass(frozen=True)
class Matching:
    """A pattern for text that people write.

    OpenAPI's own ``pattern`` is reported as "should match '^[1-9][0-9]*$'"; this one says what to write.
    The pattern must mean the same to Python and to RE2, and hold neither quotes nor backslashes.
    """

    pattern: str
    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise PydanticCustomError("matching", "{message}", {"message": self.message})
        return text

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        Rule(f"self.matches('{self.pattern}')", self.message).add_to(schema)
        return schema


@dataclass(frozen=True)
class Keywords:
    """Schema keywords that only Kubernetes knows, as pairs of name and value; hashable, as annotations must be."""

    pairs: tuple[tuple[str, str | bool | tuple[str, ...]], ...]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        added = {name: list(value) if isinstance(value, tuple) else value for name, value in self.pairs}
        return {**handler(core), **added}


ATOMIC = Keywords((("x-kubernetes-list-type", "atomic"),))
"""The list is applied as a whole: its order means something, or one writer owns all of it."""
SET = Keywords((("x-kubernetes-list-type", "set"),))
"""No item appears twice; each writer owns the items it applies."""
PASSTHROUGH = Keywords((("x-kubernetes-preserve-unknown-fields", True),))
"""Any fields are kept as they are; somebody else's schema judges them."""


def map_by(key: str) -> Keywords:
    """The list is keyed by a field of its items, which therefore is unique."""
    return Keywords((("x-kubernetes-list-type", "map"), ("x-kubernetes-list-map-keys", (key,))))
