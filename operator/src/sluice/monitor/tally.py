"""Tally: what became of the inferences of one revision in one span of time."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Tally:
    """What happened to the inferences of one bucket. Requests are counted, not rows."""

    paired: int = 0
    """Request and response found each other."""
    failed: int = 0
    """A request without a response: KServe logs no answer other than 200, so it failed or was lost."""
    orphaned: int = 0
    """A response without a request: the request's event was lost."""
    unreadable: int = 0
    """A body that could not be read as rows."""
    mismatched: int = 0
    """The response had another number of rows than the request."""

    def add(self, other: Tally) -> None:
        """Adds another tally to this one."""
        for count in fields(self):
            setattr(self, count.name, getattr(self, count.name) + getattr(other, count.name))

    @property
    def inferences(self) -> int:
        """Inferences heard of, whole or in part."""
        return self.paired + self.failed + self.orphaned

    @property
    def lost_share(self) -> float:
        """The share of inferences that gave no row, from 0 to 1: 30 failed beside 70 paired is 0.3."""
        lost = self.failed + self.orphaned + self.unreadable + self.mismatched
        return lost / self.inferences if self.inferences else 0.0
