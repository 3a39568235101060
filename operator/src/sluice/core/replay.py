"""Replay: deciding again on what a decision was based on, to see whether it gives the records that were written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sluice.api.record import Record
from sluice.core import document
from sluice.core.decide import decide
from sluice.core.finding import Finding, Grade
from sluice.core.world import World


def replay(revision: str, records: Iterable[Record], inputs: Callable[[str], str | None]) -> Iterator[Finding]:
    """Decide again for each record of a revision, and say which records that does not give.

    Args:
        revision: the ModelRevision's name.
        records: its records.
        inputs: the Inputs document of a digest, or None if it is not there.
    """
    for record in records:
        if (different := _difference(revision, record, inputs)) is not None:
            yield Finding(revision, *different, record.sequence)


def _difference(revision: str, record: Record, inputs: Callable[[str], str | None]) -> tuple[Grade, str] | None:
    basis = next((e.digest for e in record.evidence if e.name == "inputs"), None)
    text = inputs(basis) if basis is not None else None
    if text is None:
        return Grade.MISSING, "what it was decided on is not there"
    if document.digest(text) != basis:
        return Grade.TAMPERED, "what it was decided on was changed"
    try:
        world = document.decode(World, text)
    except ValueError as error:
        return Grade.UNREADABLE, f"what it was decided on cannot be read: {error}"
    plan = decide(world, record.time)
    written = [
        status
        for write in plan.statuses
        if write.revision == revision
        for status in (write.status, write.unmoved)
        if status is not None
    ]
    again = [found for status in written for found in status.records]
    if any(found.hash == record.hash for found in again):
        return None
    said = ", ".join(f"{found.kind}: {found.message}" for found in again) or "nothing"
    return Grade.TAMPERED, f"deciding again gives {said}"
