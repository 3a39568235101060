"""What every resource is made of: the frozen model, bounded strings, durations, conditions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from sluice.api.markers import Matching, Rule, map_by


class Resource(BaseModel):
    """A frozen piece of an API object; ``snake_case`` in Python, ``camelCase`` on the wire."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",  # a newer CRD may carry fields that an older operator does not know
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()
    """What must hold between the fields; the API server checks it."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        for rule in cls.rules:
            rule.add_to(schema)
        return schema

    def dump(self) -> dict[str, Any]:
        """The JSON form: camelCase, unset optional fields left out, timestamps in RFC 3339."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


_DURATION = re.compile("(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?")
MAX_DURATION = timedelta(hours=8760)
"""One year: longer than any wait that makes sense, short enough that sums of durations never overflow."""


def parse_duration(text: str | timedelta) -> timedelta:
    """``1h30m``, ``10m``, ``90s`` as a timedelta.

    Raises:
        ValueError: the text is empty, not of that form, or longer than :data:`MAX_DURATION`.
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 10m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    value = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if value > MAX_DURATION:
        raise ValueError(f"{text!r} is longer than {format_duration(MAX_DURATION)}")
    return value


def format_duration(value: timedelta) -> str:
    """The shortest form that :func:`parse_duration` reads back: ``1h30m``, ``90s`` becomes ``1m30s``."""
    total = int(value.total_seconds())
    parts = ((total // 3600, "h"), (total % 3600 // 60, "m"), (total % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


DURATION_RULE = Rule(
    # The pattern is asked first: text that is no duration at all would make `duration()` an error of its own.
    "self.matches('^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') && duration(self) <= duration('8760h')",
    "must be a duration such as 30s, 10m or 1h30m, and at most 8760h (one year)",
)
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 2, "maxLength": 24}),
    DURATION_RULE,
]
"""``1h30m`` on the wire, a timedelta in Python."""


def parse_time(text: str | datetime) -> datetime:
    """An RFC 3339 timestamp as an aware datetime."""
    value = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC. Microseconds are kept when present, so that a hold is exactly as long as it says."""
    text = value.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")


Time = Annotated[
    datetime,
    BeforeValidator(parse_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 64}),
]
"""RFC 3339 on the wire, an aware datetime in Python."""

Name = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of an object that Sluice refers to."""
Word = Annotated[str, Field(max_length=128)]
"""A word or a short phrase."""
Text = Annotated[str, Field(max_length=1024)]
"""A sentence or two for people."""
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$", max_length=32)]
"""A number as a string: the Kubernetes API conventions forbid floats."""
URL = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    Matching(
        "^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?][!$-&(-~]*)?$",
        "must be an http or https URL without a user or a fragment",
    ),
]

Quantity = Annotated[
    StrictInt | StrictStr,
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$",
            "maxLength": 32,
        }
    ),
]
"""A Kubernetes resource quantity, such as ``500m``, ``2`` or ``1Gi``."""


class ConditionStatus(StrEnum):
    """``True``, ``False`` or ``Unknown``, as in every Kubernetes condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Resource):
    """One aspect of an object's state, shaped like ``metav1.Condition``."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """The aspect in CamelCase, for example Ready."""
    status: ConditionStatus
    """Whether the aspect holds: True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, in one CamelCase word; the same word is in Events, logs and metrics."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """Why, in a sentence, with what to do about it."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation of the spec that this condition speaks of."""


Conditions = Annotated[list[Condition], Field(max_length=16), map_by("type")]
"""The conditions of an object, one per type."""
