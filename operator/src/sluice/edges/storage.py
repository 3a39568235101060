"""Storage: ``python -m sluice.storage`` asked in processes of its own, so that MLflow's memory never lives here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from typing import Any

from sluice.core import reasons

COMMAND = (sys.executable, "-m", "sluice.storage")
_CONCURRENT = 2
_GRACE = 5.0
"""Seconds by which a command outlives our patience, should we be in no state to end it ourselves."""

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ForkServer:
    """The one process that has MLflow loaded, started when it is needed and not there."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        """Args:
        command: what is started with the argument ``serve``, see ``sluice.storage.server``.
        """
        self._command = command
        self._connecting = asyncio.Lock()
        self._process: Process | None = None
        self._path = ""

    async def run(self, options: Sequence[str], given: str, patience: float) -> tuple[str, str]:
        """What a command prints to standard output and error; if it dies, that it did.

        Raises:
            OSError: there is no process to fork, and none could be started.
        """
        reader, writer = await self._connect()
        try:
            question = {"arguments": list(options), "input": given, "patience": patience + _GRACE}
            writer.write(json.dumps(question).encode() + b"\n")
            await writer.drain()
            answer = await reader.read()
        finally:
            writer.close()  # which also ends the command, if it is still at work
        try:
            printed = json.loads(answer)
        except ValueError:
            return "", "its process died; is the memory limit too low?"
        return printed["out"], printed["err"]

    async def close(self) -> None:
        """End the process and whatever it is doing."""
        process, self._process, self._path = self._process, None, ""
        if process is not None and process.returncode is None:
            assert process.stdin is not None, "it is a pipe"
            process.stdin.close()  # upon which it ends its forks, and itself
            await process.wait()

    async def _connect(self) -> _Streams:
        async with self._connecting:
            if self._path and self._process is not None and self._process.returncode is None:
                with contextlib.suppress(OSError):  # it ended, as it does when nobody asks for a while
                    return await asyncio.open_unix_connection(self._path)
            await self._start()
            return await asyncio.open_unix_connection(self._path)

    async def _start(self) -> None:
        await self.close()
        pipe = asyncio.subprocess.PIPE
        self._process = process = await asyncio.create_subprocess_exec(*self._command, "serve", stdin=pipe, stdout=pipe)
        assert process.stdout is not None, "it is a pipe"
        self._path = (await process.stdout.readline()).decode().strip()
        if not self._path:
            raise OSError(f"`{' '.join(self._command)} serve` ended with exit code {await process.wait()}")


class Storage:
    """The command, at most two at a time: who only reads evidence need not wait for those who download models."""

    def __init__(self, server: ForkServer | None = None) -> None:
        """Args:
        server: whose forks answer, each with one JSON document, see ``sluice.storage.__main__``; one of its own by
            default.
        """
        self._server = server or ForkServer()
        self._slots = asyncio.Semaphore(_CONCURRENT)

    async def ask(self, what: str, options: Sequence[str], patience: float, given: str = "") -> dict[str, Any]:
        """The document that a command prints, or one of the same form that says why there is none.

        Args:
            what: what is being done, to begin a sentence with.
            options: of the command.
            patience: seconds, from when it is its turn.
            given: its standard input.
        """
        async with self._slots:
            try:
                out, err = await asyncio.wait_for(self._server.run(options, given, patience), patience)
            except TimeoutError:
                return _unavailable(f"{what} took longer than {patience:.0f} s")
            except OSError as error:
                return _unavailable(f"{what} could not be started: {error}")
        try:
            found = json.loads(out)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            return _unavailable(f"{what} failed: {err.strip()[-500:]}")
        return found


def failure(document: dict[str, Any]) -> tuple[str, str] | None:
    """Reason and message of a document that says why there is no answer."""
    error = document.get("error")
    if not isinstance(error, dict):
        return None
    return str(error.get("reason") or reasons.MODEL_REGISTRY_UNAVAILABLE), str(error.get("message", ""))


def _unavailable(message: str) -> dict[str, Any]:
    return {"error": {"reason": reasons.MODEL_REGISTRY_UNAVAILABLE, "message": message}}
