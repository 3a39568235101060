"""Edits: what somebody changed by hand of what was decided is on record, from when it was seen until it is set right.

The engine sets it right in the same go (``engine/children.py``), after this is written: whatever comes of that, it is
known that it was there.
"""

from __future__ import annotations

from sluice.api.record import RecordKind
from sluice.core import reasons
from sluice.core.draft import Draft
from sluice.core.world import HandEdit, Revision

MOST = 8
"""Edits that a revision's status lists."""
_LONGEST = 512
"""Characters of each."""


def record(draft: Draft) -> None:
    """Note what is edited and what is not any more, with the revision whose workload or route it is."""
    for revision in draft.revisions:
        edited = (edit.text[:_LONGEST] for edit in draft.world.oversight.hand_edits if _is_of(draft, edit, revision))
        now, before = list(dict.fromkeys(edited))[:MOST], revision.status.hand_edits
        if now == before:
            continue
        updated = draft.update(revision, hand_edits=now)
        for text in now:
            if text not in before:
                reason = reasons.ROUTE_CORRECTED if text.startswith("HTTPRoute ") else reasons.WORKLOAD_CORRECTED
                draft.note(updated, RecordKind.HAND_EDITED, reason, f"{text}; Sluice sets it right")
        for text in before:
            if text not in now:
                draft.note(updated, RecordKind.CORRECTED, "SetRight", f"no longer: {text}")


def _is_of(draft: Draft, edit: HandEdit, revision: Revision) -> bool:
    if edit.revision is not None:
        return edit.revision == revision.name
    owner = draft.stable or draft.target  # the route is of all of them
    return owner is not None and owner.name == revision.name
