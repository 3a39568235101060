"""Registry: model references resolved in MLflow, in the background."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sluice.api.modeldeployment import ModelReference
from sluice.api.modelrevision import ResolvedModel
from sluice.core import reasons
from sluice.core.world import Resolution, Resolved, Resolving, Unresolved
from sluice.edges.answers import Answers
from sluice.edges.storage import Storage, failure

RETRY_SECONDS = 15.0
"""How long a first failure is believed before MLflow is asked again; each further one twice as long."""
BELIEVED_SECONDS = 600.0
"""How long a digest is believed for later releases: a registered model can be deleted and made anew."""
_PATIENCE = 600.0
"""Seconds for one resolution; a large artifact is downloaded to be digested."""


@dataclass(frozen=True)
class Question:
    """What to resolve. ``asked_by`` tells two specs apart that state the same alias at different times."""

    model: ModelReference
    asked_by: str = ""


class Registry:
    """Answers at once with what is known, and finds out the rest in the background."""

    def __init__(
        self,
        tracking_uri: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        storage: Storage | None = None,
        retry: float = RETRY_SECONDS,
    ) -> None:
        """Args:
        tracking_uri: MLflow's address.
        clock: seconds, only ever compared with each other.
        storage: who is asked ``resolve --name …``; one of its own by default.
        retry: seconds before a first failure is tried again.
        """
        self._uri = tracking_uri
        self._storage = storage or Storage()
        self._answers: Answers[Question, Resolution] = Answers(
            self._find, lambda found: isinstance(found, Unresolved), clock, believed=BELIEVED_SECONDS, retry=retry
        )

    def resolve(self, question: Question, done: Callable[[], None]) -> Resolution:
        """What is known of a question; ``done`` is called when there is more to know.

        However many ask the same at the same time, MLflow is asked once, and all of them are told.
        """
        found = self._answers.get(question, done)
        return Resolving() if found is None else found

    async def version_of_alias(self, model: ModelReference) -> str | None:
        """Where an alias points just now; None if that cannot be told."""
        answer = await self._ask(model, digest=False)
        return str(answer["version"]) if "version" in answer else None

    async def _find(self, question: Question) -> Resolution:
        return _resolution(await self._ask(question.model, digest=True))

    async def _ask(self, model: ModelReference, *, digest: bool) -> dict[str, Any]:
        # With `=`, so that no name is taken for an option.
        which = f"--version={model.version}" if model.version else f"--alias={model.alias or ''}"
        options = ["resolve", f"--name={model.name}", which, f"--tracking-uri={self._uri}"]
        return await self._storage.ask(
            f"resolving {model.name}", [*options, *(["--digest"] if digest else [])], _PATIENCE
        )


def _resolution(answer: dict[str, Any]) -> Resolution:
    """The document as a resolution. One that is no model of ours is as good as none."""
    if (error := failure(answer)) is not None:
        return Unresolved(*error)
    try:
        return Resolved(ResolvedModel.model_validate(answer))
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"MLflow's model version cannot be released: {where}: {first['msg']}"
        return Unresolved(reasons.MODEL_UNUSABLE, message)
