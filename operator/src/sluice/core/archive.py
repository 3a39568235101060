"""Archive: the older records of a long release move out of the status, which the API server bounds, into a document.

The document is kept before the status is written. A crash in between leaves a document that nothing refers to, and
the status as it was, so nothing is lost; the next decision moves the same records again, into the same document.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from sluice.api.governance import EvidenceReference
from sluice.api.governanceevidence import EvidenceKind
from sluice.api.modelrevision import ModelRevisionStatus
from sluice.api.record import MAX_ARCHIVES, MAX_RECORDS, ArchivedRecords, Record, RecordKind
from sluice.core import document, evidence
from sluice.core.records import Entry

MOVE_ABOVE = MAX_RECORDS * 3 // 4
"""More records than this are not left in a status. The rest up to the bound is there for the case that a document
cannot be kept: a rollback does not wait for that."""
KEEP = MAX_RECORDS // 4
"""How many of those that are there stay. What is moved depends on them alone: tried again, it is the same document."""
MOVE_ABOVE_BYTES = 300_000
"""Long messages fill an object sooner than their number does; half of this stays."""

_RECORDS = TypeAdapter(list[Record])


@dataclass(frozen=True)
class Move:
    """Records that leave a status, oldest first, and those that stay."""

    revision: str
    moved: tuple[Record, ...]
    kept: tuple[Record, ...]

    @property
    def document(self) -> str:
        """The records as they are kept: a JSON list."""
        return text(self.moved)

    @property
    def digest(self) -> str:
        """The document's digest."""
        return document.digest(self.document)

    @property
    def entry(self) -> Entry:
        """What is put on record of it."""
        first, last = self.moved[0].sequence, self.moved[-1].sequence
        name = evidence.name(self.revision, EvidenceKind.RECORDS, self.digest)
        return Entry(
            RecordKind.ARCHIVED,
            "RecordsArchived",
            f"records {first} to {last} are in GovernanceEvidence {name}",
            evidence=(EvidenceReference(name="records", digest=self.digest),),
        )

    def applied(self, status: ModelRevisionStatus) -> ModelRevisionStatus:
        """The status without the moved records, with where they are."""
        before = status.archived.evidence if status.archived is not None else []
        name = evidence.name(self.revision, EvidenceKind.RECORDS, self.digest)
        last = self.moved[-1]
        archived = ArchivedRecords(
            until=last.sequence,
            hash=last.hash,
            evidence=[*before, EvidenceReference(name=name, digest=self.digest)][-MAX_ARCHIVES:],
        )
        return status.model_copy(update={"records": list(self.kept), "archived": archived})


def due(revision: str, status: ModelRevisionStatus, more: int) -> Move | None:
    """What must leave the status so that ``more`` records have room in it; None while all have."""
    records = status.records
    sizes = [len(json.dumps(record.dump(), ensure_ascii=False).encode()) for record in records]
    if len(records) + more <= MOVE_ABOVE and sum(sizes) <= MOVE_ABOVE_BYTES:
        return None
    keep, held = 0, 0
    for size in reversed(sizes):
        if keep >= KEEP or held + size > MOVE_ABOVE_BYTES // 2:
            break
        keep, held = keep + 1, held + size
    keep = max(keep, 1)  # a decision sees where the chain stands by its last record
    cut = len(records) - keep
    return Move(revision, tuple(records[:cut]), tuple(records[cut:])) if cut > 0 else None


def text(records: tuple[Record, ...]) -> str:
    """Records as a document."""
    return document.text(list(records))


def parse(content: str) -> list[Record]:
    """The records in a document.

    Raises:
        ValueError: it holds none, or not as this version of Sluice writes them.
    """
    try:
        found = _RECORDS.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"it is no list of records: {error.errors()[0]['msg']}") from error
    if not found:
        raise ValueError("it holds no records")
    return found
