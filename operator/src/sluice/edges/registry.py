"""Registry: model references resolved in a process of their own, so that MLflow's memory never lives here."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sluice.api.modeldeployment import ModelReference
from sluice.api.modelrevision import ResolvedModel
from sluice.core import reasons
from sluice.core.world import Resolution, Resolved, Resolving, Unresolved

RETRY_SECONDS = 15.0
"""How long a first failure is believed before MLflow is asked again; each further one twice as long."""
LONGEST_RETRY_SECONDS = 300.0
BELIEVED_SECONDS = 600.0
"""How long a digest is believed for later releases: a registered model can be deleted and made anew."""
_CONCURRENT = 2
_PATIENCE = 600.0
"""Seconds for one resolution; a large artifact is downloaded to be digested."""
COMMAND = (sys.executable, "-m", "sluice.storage")


@dataclass(frozen=True)
class Question:
    """What to resolve. ``asked_by`` tells two specs apart that state the same alias at different times."""

    model: ModelReference
    asked_by: str = ""


@dataclass(frozen=True)
class _Known:
    """The last answer, and until when it is believed."""

    resolution: Resolution
    failures: int = 0
    until: float = float("inf")


class Registry:
    """Answers at once with what is known, and finds out the rest in the background."""

    def __init__(
        self,
        tracking_uri: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        command: tuple[str, ...] = COMMAND,
        retry: float = RETRY_SECONDS,
    ) -> None:
        """Args:
        tracking_uri: MLflow's address.
        clock: seconds, only ever compared with each other.
        command: what answers ``resolve --name …`` with one JSON document, see ``sluice.storage.__main__``.
        retry: seconds before a first failure is tried again.
        """
        self._uri = tracking_uri
        self._clock = clock
        self._command = command
        self._retry = retry
        self._known: dict[Question, _Known] = {}
        self._running: dict[Question, asyncio.Task[None]] = {}
        self._waiting: defaultdict[Question, list[Callable[[], None]]] = defaultdict(list)
        self._slots = asyncio.Semaphore(_CONCURRENT)

    def resolve(self, question: Question, done: Callable[[], None]) -> Resolution:
        """What is known of a question; ``done`` is called when there is more to know.

        However many ask the same at the same time, MLflow is asked once, and all of them are told.
        """
        known = self._known.get(question)
        if known is not None and self._clock() < known.until:
            return known.resolution
        self._waiting[question].append(done)
        if question not in self._running:
            task = asyncio.create_task(self._find_out(question))
            self._running[question] = task
            task.add_done_callback(lambda _: self._running.pop(question, None))
        failed = known is not None and isinstance(known.resolution, Unresolved)
        return known.resolution if known is not None and failed else Resolving()

    async def version_of_alias(self, model: ModelReference) -> str | None:
        """Where an alias points just now; None if that cannot be told."""
        answer = await self._ask(model, digest=False)
        return str(answer["version"]) if "version" in answer else None

    async def _find_out(self, question: Question) -> None:
        resolution = _resolution(await self._ask(question.model, digest=True))
        told = self._waiting.pop(question, [])
        if isinstance(resolution, Unresolved):
            before = self._known.get(question)
            failures = before.failures if before is not None else 0
            delay = min(self._retry * 2**failures, LONGEST_RETRY_SECONDS)
            self._known[question] = _Known(resolution, failures + 1, self._clock() + delay)
            for done in told:
                # A moment late rather than a moment early: early would find the failure still believed.
                asyncio.get_running_loop().call_later(delay + 0.01, done)
        else:
            self._known[question] = _Known(resolution, until=self._clock() + BELIEVED_SECONDS)
        for done in told:
            done()

    async def _ask(self, model: ModelReference, *, digest: bool) -> dict[str, Any]:
        """The document that the command prints, or one of the same form that says why there is none."""
        # With `=`, so that no name is taken for an option.
        which = f"--version={model.version}" if model.version else f"--alias={model.alias or ''}"
        options = ["resolve", f"--name={model.name}", which, f"--tracking-uri={self._uri}"]
        async with self._slots:
            try:
                out, err = await asyncio.wait_for(self._run([*options, *(["--digest"] if digest else [])]), _PATIENCE)
            except TimeoutError:
                return _unavailable(f"resolving {model.name} took longer than {_PATIENCE:.0f} s")
            except OSError as error:
                return _unavailable(f"resolving {model.name} could not be started: {error}")
        try:
            found = json.loads(out)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            return _unavailable(f"resolving {model.name} failed: {err.decode(errors='replace').strip()[-500:]}")
        return found

    async def _run(self, options: list[str]) -> tuple[bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *self._command, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            return await process.communicate()
        finally:
            if process.returncode is None:  # too late, or we are stopping: it must not outlive us
                process.kill()
                await process.wait()


def _resolution(answer: dict[str, Any]) -> Resolution:
    """The document as a resolution. One that is no model of ours is as good as none."""
    error = answer.get("error")
    if isinstance(error, dict):
        reason = str(error.get("reason") or reasons.MODEL_REGISTRY_UNAVAILABLE)
        return Unresolved(reason, str(error.get("message", "")))
    try:
        return Resolved(ResolvedModel.model_validate(answer))
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"MLflow's model version cannot be released: {where}: {first['msg']}"
        return Unresolved(reasons.MODEL_UNUSABLE, message)


def _unavailable(message: str) -> dict[str, Any]:
    return {"error": {"reason": reasons.MODEL_REGISTRY_UNAVAILABLE, "message": message}}
