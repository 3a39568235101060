"""Validation: the report of an independent validation, ``validation.json``.

A JSON object with ``modelDigest`` (the model files it speaks of), ``result`` (``pass`` or anything else),
``validator`` (who, by registry name), ``performedAt`` and ``nextDueAt`` (RFC 3339). Fields of other form are
as good as missing; so is a document that is no JSON object, or that says the same thing twice.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sluice.api.evidence import ValidationReport
from sluice.storage import bounds

NAME = "validation.json"
_LARGEST = 1 << 20


def read(raw: bytes, source: str) -> ValidationReport:
    """What a report says."""
    document = _document(raw)
    return ValidationReport(
        source=bounds.word(source, 512),
        digest=f"sha256:{hashlib.sha256(raw).hexdigest()}",
        model_digest=bounds.digest(document.get("modelDigest")),
        result=_string(document, "result").lower(),
        validator=_string(document, "validator"),
        performed_at=bounds.time(_string(document, "performedAt")),
        next_due_at=bounds.time(_string(document, "nextDueAt")),
    )


def _document(raw: bytes) -> dict[str, Any]:
    if len(raw) > _LARGEST:
        return {}
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is stated twice")  # readers differ in which of the two they believe
    return found


def _string(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return bounds.word(value) if isinstance(value, str) else ""
