"""What every resource is made of: the frozen model, bounded strings, durations, conditions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


class Resource(BaseModel):
    """A frozen piece of an API object; ``snake_case`` in Python, ``camelCase`` on the wire."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",  # a newer CRD may carry fields that an older operator does not know
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    def dump(self) -> dict[str, Any]:
        """The JSON form: camelCase, unset optional fields left out, timestamps in RFC 3339."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
DURATION_PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"


def parse_duration(text: str | timedelta) -> timedelta:
    """``1h30m``, ``10m``, ``90s`` as a timedelta.

    Raises:
        ValueError: the text is empty or not of that form.
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 10m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest form that :func:`parse_duration` reads back: ``1h30m``, ``90s`` becomes ``1m30s``."""
    total = int(value.total_seconds())
    parts = ((total // 3600, "h"), (total % 3600 // 60, "m"), (total % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "minLength": 2, "maxLength": 32}),
]


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

# An object name Sluice refers to, a short word, a sentence for people, a digest.
Name = Annotated[str, Field(min_length=1, max_length=253)]
Word = Annotated[str, Field(max_length=128)]
Text = Annotated[str, Field(max_length=1024)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$", max_length=32)]
"""A number as a string: the Kubernetes API conventions forbid floats."""


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
