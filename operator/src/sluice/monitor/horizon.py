"""Horizon: from when on all rows of a revision are kept, and what would keep more of them.

What is left of a day of which the first half is gone is another day: its night, say. A look at what serves that took it
for the whole would find drift where there is none.
"""

from __future__ import annotations

from typing import NamedTuple

GONE = 0.05
"""A look may begin so much of its span before the horizon. It is taken some minutes late, as a rule."""


class Horizon(NamedTuple):
    """A moment, in seconds since the epoch, and why it is no earlier one."""

    since: float
    why: str
    """With the setting that changes it."""

    def share_gone(self, since: float, until: float) -> float:
        """How much of a span is before it."""
        return min(1.0, max(0.0, (self.since - since) / (until - since)))


def of_age(now: float, retention: float) -> Horizon:
    """Rows are deleted when they are old."""
    hours = f"{retention / 3_600:g} h"
    return Horizon(now - retention, f"at an age of {hours} they are deleted, which is monitor.retentionSeconds")


def of_start(since: float) -> Horizon:
    """Rows of an earlier process are not there."""
    why = "sluice-monitor started without earlier rows: monitor.persistence.enabled or monitor.rows.url keep them"
    return Horizon(since, why)


def of_room(since: float) -> Horizon:
    """The oldest files made room."""
    return Horizon(since, "there was no room for more rows: monitor.rows.maxMiB is how much there is")


def of_memory(since: float) -> Horizon:
    """Rows that were in no file made room."""
    why = "rows had to make room in memory before they were stored: monitor.rowsMiB, or a volume that is full or down"
    return Horizon(since, why)
