"""Times as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sluice.cli.trouble import Exit, Trouble

_SPAN = re.compile("([0-9]{1,4})([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def span(text: str) -> timedelta:
    """``90d``, ``12h`` or ``30m``.

    Raises:
        Trouble: it is none.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise Trouble(Exit.USAGE, f"{text!r} is not a length of time; write it like 90d, 12h or 30m")
    return int(match[1]) * _UNITS[match[2]]


def expiry(text: str, now: datetime) -> datetime:
    """``90d`` from now, or a date (until its end, in UTC), or a timestamp.

    Raises:
        Trouble: it is neither, or over already.
    """
    if _SPAN.fullmatch(text):
        return (now + span(text)).replace(microsecond=0)
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no expiry; write it like 90d, 12h, 2027-03-31 or 2027-03-31T17:00:00Z"
        raise Trouble(Exit.USAGE, message) from None
    if len(text) == len("2027-03-31"):
        value = value.replace(hour=23, minute=59, second=59)
    value = value if value.tzinfo else value.replace(tzinfo=UTC)
    if value <= now:
        raise Trouble(Exit.USAGE, f"{text} is over already")
    return value


def length(value: timedelta) -> str:
    """Two units at most: ``2d``, ``3h10m``, ``45s``."""
    total = max(0, int(value.total_seconds()))
    parts = [(total // 86400, "d"), (total % 86400 // 3600, "h"), (total % 3600 // 60, "m"), (total % 60, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    kept = parts[:2] if parts[0][0] < 10 else parts[:1]
    return "".join(f"{number}{unit}" for number, unit in kept if number) or "0s"


def ago(when: datetime | None, now: datetime) -> str:
    """How long ago; a dash where it never was."""
    return length(now - when) + " ago" if when else "–"


def at(when: datetime | None) -> str:
    """A timestamp to the second, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if when else "–"


def day(when: datetime | None) -> str:
    """A date."""
    return when.astimezone(UTC).strftime("%Y-%m-%d") if when else "–"
