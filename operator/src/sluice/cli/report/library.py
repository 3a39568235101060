"""Library: the documents of a dossier by their digests, each held against its digest before it is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property

from sluice.api.record import Record
from sluice.core import document, evidence
from sluice.core.dossier import Dossier
from sluice.core.objects import Object
from sluice.core.world import World

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError)
"""What reading a document raises that somebody made up, or that a much older version wrote."""


class Library:
    """Documents that records rest on."""

    def __init__(self, dossier: Dossier) -> None:
        self._dossier = dossier
        self._worlds: dict[str, World | str] = {}

    @cached_property
    def _kept(self) -> Mapping[str, Object]:
        found = {}
        for item in self._dossier.of("GovernanceEvidence"):
            digest = (item.get("spec") or {}).get("digest")
            if isinstance(digest, str):
                found[digest] = item
        return found

    def problem(self, digest: str) -> str:
        """Why a document cannot be relied on, in a few words; empty if it can."""
        item = self._kept.get(digest)
        if item is None:
            return "is not in this export"
        try:
            evidence.decode(item)
        except UNREADABLE as error:
            return f"cannot be relied on: {_said(error)}"
        return ""

    def world(self, record: Record) -> World | str:
        """What the decision behind a record looked at; or, in a few words, why that is not known."""
        digest = basis(record)
        if digest is None:
            return "the record names no document with what was looked at"
        if digest not in self._worlds:
            self._worlds[digest] = self._read(digest)
        return self._worlds[digest]

    def _read(self, digest: str) -> World | str:
        item = self._kept.get(digest)
        if item is None:
            return "the document with what was looked at is not in this export"
        try:
            return document.decode(World, evidence.decode(item))
        except UNREADABLE as error:
            return f"the document with what was looked at cannot be relied on: {_said(error)}"

    def records(self, digest: str) -> tuple[Record, ...] | str:
        """Records that were moved out of a revision's status; or why they cannot be read."""
        item = self._kept.get(digest)
        if item is None:
            return "they are not in this export"
        try:
            return tuple(Record.model_validate(one) for one in json.loads(evidence.decode(item)))
        except UNREADABLE as error:
            return f"they cannot be relied on: {_said(error)}"


def basis(record: Record) -> str | None:
    """The digest of what the decision behind a record looked at."""
    return next((e.digest for e in record.evidence if e.name == "inputs"), None)


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
