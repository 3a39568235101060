"""Evidence: what MLflow says of model versions, read in the background and read again, since tags change."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluice.api.evidence import ModelEvidence
from sluice.api.modelrevision import ResolvedModel
from sluice.edges.answers import Answers
from sluice.edges.storage import Storage, failure

BELIEVED_SECONDS = 60.0
"""How long evidence is believed: a person who mends a tag wants to see the release go on."""
RETRY_SECONDS = 15.0
FILES_BELIEVED_SECONDS = 600.0
"""How long what was found in the files is: to find that they were changed in MLflow, all of them are downloaded."""
_PATIENCE = 600.0
"""Seconds for one reading; the first downloads the files."""
_REMEMBERED = 512
"""Model versions whose files' contents and first readings are kept."""


@dataclass(frozen=True)
class EvidenceProblem:
    """Why there is no evidence: MLflow cannot be asked, or answers what is none."""

    message: str


@dataclass(frozen=True)
class _Subject:
    """What evidence is about."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class _Files:
    """What the command found in the files, for it to be told again; and when."""

    found: dict[str, Any]
    at: float


class EvidenceReader:
    """Answers at once with what is known, and finds out the rest in the background."""

    def __init__(
        self,
        tracking_uri: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        trusted_keys: Path | None = None,
        believed: float = BELIEVED_SECONDS,
        retry: float = RETRY_SECONDS,
        storage: Storage | None = None,
    ) -> None:
        """Args:
        tracking_uri: MLflow's address.
        clock: seconds, only ever compared with each other.
        now: the time that evidence is marked with.
        trusted_keys: directory of the public keys that may sign models.
        believed: seconds that evidence is good for; from half of that on it is read again.
        retry: seconds before a first failure is tried again.
        storage: who is asked ``evidence --name …``; one of its own by default.
        """
        self._uri = tracking_uri
        self._clock = clock
        self._now = now
        self._keys = trusted_keys
        self._storage = storage or Storage()
        self._files: dict[_Subject, _Files] = {}
        self._first: dict[_Subject, ModelEvidence] = {}
        self._answers: Answers[_Subject, ModelEvidence | EvidenceProblem] = Answers(
            self._find,
            lambda found: isinstance(found, EvidenceProblem),
            clock,
            believed=believed,
            retry=retry,
            ahead=believed / 2,
        )

    def read(self, model: ResolvedModel, done: Callable[[], None]) -> ModelEvidence | EvidenceProblem | None:
        """The evidence about a model; None while there is none yet. ``done`` is called when it was read (again).

        It is never older than it is believed: an outage of MLflow shows as a problem.
        """
        return self._answers.get(_Subject(model.name, model.version, model.digest), done)

    async def _find(self, subject: _Subject) -> ModelEvidence | EvidenceProblem:
        files = self._files.get(subject)
        known = files if files is not None and self._clock() < files.at + FILES_BELIEVED_SECONDS else None
        # With `=`, so that no name is taken for an option.
        options = ["evidence", f"--name={subject.name}", f"--version={subject.version}", f"--digest={subject.digest}"]
        options.append(f"--tracking-uri={self._uri}")
        if self._keys is not None:
            options.append(f"--trusted-keys={self._keys}")
        given = json.dumps(known.found) if known is not None else ""
        answer = await self._storage.ask(
            f"reading evidence about {subject.name} version {subject.version}",
            [*options, *(["--known"] if known is not None else [])],
            _PATIENCE,
            given,
        )
        if (error := failure(answer)) is not None:
            return EvidenceProblem(error[1])
        try:
            found = ModelEvidence.model_validate(answer | {"observedAt": self._now()})
        except ValidationError as invalid:
            first = invalid.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return EvidenceProblem(f"MLflow's evidence cannot be read: {where}: {first['msg']}")
        self._remember(subject, answer.get("files"), known)
        return self._settled(subject, found)

    def _remember(self, subject: _Subject, found: object, known: _Files | None) -> None:
        if isinstance(found, dict) and (known is None or known.found != found):
            _put(self._files, subject, _Files(found, self._clock()))

    def _settled(self, subject: _Subject, found: ModelEvidence) -> ModelEvidence:
        """The first reading of the same: facts must not change by the clock alone."""
        first = self._first.get(subject)
        if first is not None and found.model_copy(update={"observed_at": first.observed_at}) == first:
            return first
        _put(self._first, subject, found)
        return found


def _put(kept: dict[_Subject, Any], subject: _Subject, value: object) -> None:
    kept.pop(subject, None)
    kept[subject] = value
    if len(kept) > _REMEMBERED:
        del kept[next(iter(kept))]
