"""Dossier: everything that is kept about the releases of one deployment, as the API server gave it, and as a file.

The file is JSON Lines: a header that says what it is and how many objects follow, then one object a line. Whoever
checks or reads a record does so on a Dossier, no matter whether it came from a cluster or from a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sluice.api.base import format_time, parse_time
from sluice.core import objects
from sluice.core.objects import Object

KIND = "RecordExport"
"""What the header of a file says it is."""


@dataclass(frozen=True)
class Dossier:
    """The objects of one deployment: its ModelDeployment (if it still exists), its ModelRevisions, their
    GovernanceEvidence, the ModelDecisions and GovernanceExceptions that name it, and the GovernancePolicies."""

    namespace: str
    deployment: str
    taken_at: datetime
    objects: tuple[Object, ...]

    def of(self, kind: str) -> list[Object]:
        """The objects of a kind, such as ModelRevision."""
        return [item for item in self.objects if item["kind"] == kind]

    @property
    def revisions(self) -> list[Object]:
        """The ModelRevisions, in order of their numbers."""
        return sorted(self.of("ModelRevision"), key=lambda item: item["spec"]["revision"])


def lines(dossier: Dossier) -> Iterator[str]:
    """The lines of the file, without line ends."""
    yield _line(
        {
            "apiVersion": objects.SLUICE,
            "kind": KIND,
            "metadata": {"namespace": dossier.namespace, "name": dossier.deployment},
            "takenAt": format_time(dossier.taken_at),
            "objects": len(dossier.objects),
        }
    )
    yield from map(_line, dossier.objects)


def parse(text: Iterable[str]) -> Dossier:
    """What :func:`lines` wrote.

    Raises:
        ValueError: it is no such file, or not all of one; the message says what is wrong.
    """
    found = [_object(number, line) for number, line in enumerate(text, start=1) if line.strip()]
    if not found or found[0].get("kind") != KIND:
        raise ValueError(f"it does not begin with a {KIND}; make one with `kubectl sluice export`")
    header, *rest = found
    try:
        where, taken_at, count = header["metadata"], parse_time(header["takenAt"]), header["objects"]
        dossier = Dossier(where["namespace"], where["name"], taken_at, tuple(rest))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its first line is no header of ours: {error!r}") from error
    if count != len(rest):
        raise ValueError(f"it should hold {count} objects and holds {len(rest)}: lines were lost or added")
    return dossier


def _line(item: Object) -> str:
    return json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _object(number: int, line: str) -> Object:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} is no JSON: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("kind"), str):
        raise ValueError(f"line {number} is no object")
    return found
