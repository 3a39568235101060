"""Registry: model references resolved in a process of their own, so that MLflow's memory never lives here."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from sluice.api.modeldeployment import ModelReference
from sluice.api.modelrevision import ResolvedModel
from sluice.core import reasons
from sluice.core.world import Resolution, Resolved, Resolving, Unresolved

RETRY_SECONDS = 15.0
"""How long a failure is believed before MLflow is asked again."""
_CONCURRENT = 2
_PATIENCE = 600.0
"""Seconds for one resolution; a large artifact is downloaded to be digested."""


@dataclass(frozen=True)
class Question:
    """What to resolve. ``asked_by`` tells two specs apart that state the same alias at different times."""

    model: ModelReference
    asked_by: str = ""


class Registry:
    """Answers at once with what is known, and finds out the rest in the background."""

    def __init__(self, tracking_uri: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._uri = tracking_uri
        self._clock = clock
        self._answers: dict[Question, tuple[float, Resolution]] = {}
        self._running: dict[Question, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_CONCURRENT)

    def resolve(self, question: Question, done: Callable[[], None]) -> Resolution:
        """What is known; ``done`` is called when there is more to know."""
        known = self._answers.get(question)
        if known is not None and (isinstance(known[1], Resolved) or self._clock() - known[0] < RETRY_SECONDS):
            return known[1]
        if question not in self._running:
            task = asyncio.create_task(self._find_out(question, done))
            self._running[question] = task
            task.add_done_callback(lambda _: self._running.pop(question, None))
        return known[1] if known is not None else Resolving()

    async def version_of_alias(self, model: ModelReference) -> str | None:
        """Where an alias points just now; None if that cannot be told."""
        answer = await self._ask(model, digest=False)
        return str(answer["version"]) if "version" in answer else None

    async def _find_out(self, question: Question, done: Callable[[], None]) -> None:
        answer = await self._ask(question.model, digest=True)
        resolution: Resolution
        if "error" in answer:
            resolution = Unresolved(**answer["error"])
        else:
            resolution = Resolved(ResolvedModel.model_validate(answer))
        self._answers[question] = (self._clock(), resolution)
        done()
        if isinstance(resolution, Unresolved):
            asyncio.get_running_loop().call_later(RETRY_SECONDS, done)

    async def _ask(self, model: ModelReference, *, digest: bool) -> dict[str, dict[str, str]]:
        which = ["--version", model.version] if model.version else ["--alias", model.alias or ""]
        command = [sys.executable, "-m", "sluice.storage", "resolve", "--name", model.name, *which]
        command += ["--tracking-uri", self._uri, *(["--digest"] if digest else [])]
        async with self._slots:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            try:
                out, err = await asyncio.wait_for(process.communicate(), _PATIENCE)
            except TimeoutError:
                process.kill()
                await process.wait()
                return _unavailable(f"resolving {model.name} took longer than {_PATIENCE:.0f} s")
        try:
            found: dict[str, dict[str, str]] = json.loads(out)
        except ValueError:
            return _unavailable(f"resolving {model.name} failed: {err.decode(errors='replace')[-500:]}")
        return found


def _unavailable(message: str) -> dict[str, dict[str, str]]:
    return {"error": {"reason": reasons.MODEL_REGISTRY_UNAVAILABLE, "message": message}}
