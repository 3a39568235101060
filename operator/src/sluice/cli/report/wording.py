"""Wording: times, spans and lists as a reader of documents expects them. All times are UTC, and say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not the locale's: a report reads the same wherever it was made."""
NBSP = "\N{NO-BREAK SPACE}"
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that steer what is shown without being seen: controls, overrides of direction, tags, lone surrogates."""


def plain(text: str) -> str:
    """The text with every character that cannot be seen made visible as U+FFFD, so that nobody is misled by it."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def day(when: datetime) -> str:
    """``25 Nov 2026``; it does not break."""
    at = when.astimezone(UTC)
    return f"{at.day}{NBSP}{_MONTHS[at.month - 1]}{NBSP}{at.year}"


def minute(when: datetime) -> str:
    """``25 Nov 2026, 14:02 UTC``; it does not break."""
    return f"{day(when)},{NBSP}{when.astimezone(UTC):%H:%M}{NBSP}UTC"


def second(when: datetime) -> str:
    """``25 Nov 2026, 14:02:31``; for tables whose heading says UTC."""
    return f"{day(when)}, {when.astimezone(UTC):%H:%M:%S}"


def length(value: timedelta) -> str:
    """The two largest units: ``3 d 4 h``, ``1 h 10 min``, ``42 min``, ``45 s``."""
    total = max(0, round(value.total_seconds()))
    parts = [(total // 86400, "d"), (total % 86400 // 3600, "h"), (total % 3600 // 60, "min"), (total % 60, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return NBSP.join(f"{number}{NBSP}{unit}" for number, unit in parts[:2] if number) or f"0{NBSP}s"


def counted(number: int, one: str, more: str = "") -> str:
    """``1 step``, ``5 steps``."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def ended(sentence: str) -> str:
    """A sentence with an end."""
    return sentence if not sentence or sentence.rstrip()[-1:] in ".!?…" else f"{sentence.rstrip()}."


def short(digest: str) -> str:
    """The first twelve digits of a digest; the page has all of them at its end."""
    return digest.removeprefix("sha256:")[:12]


def words(camel: str) -> str:
    """``RevisionPromoted`` as ``revision promoted``; abbreviations, and what is no such word, stay as they are."""
    if not camel.isalnum():
        return camel
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", camel)
    return " ".join(part if part.isupper() and len(part) > 1 else part.lower() for part in parts) or camel
