"""Storage: ``python -m sluice.storage`` asked in a process of its own, so that MLflow's memory never lives here."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from sluice.core import reasons

COMMAND = (sys.executable, "-m", "sluice.storage")
_CONCURRENT = 2


class Storage:
    """The command, at most two at a time."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        """Args:
        command: what answers with one JSON document, see ``sluice.storage.__main__``.
        """
        self._command = command
        self._slots = asyncio.Semaphore(_CONCURRENT)

    async def ask(
        self, what: str, options: Sequence[str], patience: float, given: bytes | None = None
    ) -> dict[str, Any]:
        """The document that the command prints, or one of the same form that says why there is none.

        Args:
            what: what is being done, to begin a sentence with.
            options: of the command.
            patience: seconds.
            given: its standard input.
        """
        async with self._slots:
            try:
                out, err = await asyncio.wait_for(self._run(options, given), patience)
            except TimeoutError:
                return _unavailable(f"{what} took longer than {patience:.0f} s")
            except OSError as error:
                return _unavailable(f"{what} could not be started: {error}")
        try:
            found = json.loads(out)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            return _unavailable(f"{what} failed: {err.decode(errors='replace').strip()[-500:]}")
        return found

    async def _run(self, options: Sequence[str], given: bytes | None) -> tuple[bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *options,
            stdin=asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            return await process.communicate(given)
        finally:
            if process.returncode is None:  # too late, or we are stopping: it must not outlive us
                process.kill()
                await process.wait()


def failure(document: dict[str, Any]) -> tuple[str, str] | None:
    """Reason and message of a document that says why there is no answer."""
    error = document.get("error")
    if not isinstance(error, dict):
        return None
    return str(error.get("reason") or reasons.MODEL_REGISTRY_UNAVAILABLE), str(error.get("message", ""))


def _unavailable(message: str) -> dict[str, Any]:
    return {"error": {"reason": reasons.MODEL_REGISTRY_UNAVAILABLE, "message": message}}
