"""Bounds: what MLflow holds, cut to what an API object may hold. Anybody may write anything into a registry."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

from sluice.api.base import parse_time

WORD = 128
CUT = "…"
"""Ends what was cut, so that it equals nothing that somebody looks for."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def text(value: object, limit: int) -> str:
    """A text of at most that many characters, which UTF-8 can carry and JSON needs no trick for."""
    # MLflow's JSON can smuggle lone surrogates, which no UTF-8 document can hold.
    given = "" if value is None else str(value)[: limit + 1]
    carried = given.encode("utf-8", "replace").decode()
    return carried if len(carried) <= limit else carried[: limit - 1] + CUT


def word(value: object, limit: int = WORD) -> str:
    """The same on one line: control characters, line breaks and runs of spaces become one space."""
    given = "" if value is None else str(value)[: 4 * limit]
    plain = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") else character for character in given
    )
    return text(" ".join(plain.split()), limit)


def words(values: Iterable[object], count: int, limit: int = WORD) -> list[str]:
    """At most that many different words, the first of them, without empty ones."""
    return list(dict.fromkeys(found for found in (word(value, limit) for value in values) if found))[:count]


def digest(value: object) -> str | None:
    """A SHA-256 digest as Sluice writes them; None if it is none."""
    given = value.strip().lower() if isinstance(value, str) and len(value) < 2 * WORD else ""
    return given if _DIGEST.fullmatch(given) else None


def time(value: object) -> datetime | None:
    """A time in RFC 3339, or milliseconds since 1970 as MLflow counts; None if it is neither."""
    try:
        if isinstance(value, str):
            return parse_time(value.strip()).astimezone(UTC)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
