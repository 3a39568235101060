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

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Storage:
    """The command, at most two at a time: forks of one process, which is started when it is needed and not there."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        """Args:
        command: what is started with the argument ``serve``, see ``sluice.storage.server``. Its commands answer with
            one JSON document, see ``sluice.storage.__main__``.
        """
        self._command = command
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._connecting = asyncio.Lock()
        self._server: Process | None = None
        self._path = ""

    async def ask(self, what: str, options: Sequence[str], patience: float, given: str = "") -> dict[str, Any]:
        """The document that a command prints, or one of the same form that says why there is none.

        Args:
            what: what is being done, to begin a sentence with.
            options: of the command.
            patience: seconds.
            given: its standard input.
        """
        async with self._slots:
            try:
                out, err = await asyncio.wait_for(self._run(options, given, patience), patience)
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

    async def close(self) -> None:
        """End the process and whatever it is doing."""
        server, self._server, self._path = self._server, None, ""
        if server is not None and server.returncode is None:
            assert server.stdin is not None, "it is a pipe"
            server.stdin.close()  # upon which it ends its forks, and itself
            await server.wait()

    async def _run(self, options: Sequence[str], given: str, patience: float) -> tuple[str, str]:
        """What a command prints to standard output and error; if it dies, that it did.

        Raises:
            OSError: there is no process to fork, and none could be started.
        """
        reader, writer = await self._connect()
        try:
            question = {"arguments": list(options), "input": given, "patience": patience}
            writer.write(json.dumps(question).encode() + b"\n")
            await writer.drain()
            answer = await reader.read()
        finally:
            writer.close()  # which also ends the command, if it is still at work
        if not answer:
            return "", "its process died; is the memory limit too low?"
        printed = json.loads(answer)
        return printed["out"], printed["err"]

    async def _connect(self) -> _Streams:
        async with self._connecting:
            if self._path:
                with contextlib.suppress(OSError):  # it ended, as it does when nobody asks for a while
                    return await asyncio.open_unix_connection(self._path)
            await self._start()
            return await asyncio.open_unix_connection(self._path)

    async def _start(self) -> None:
        await self.close()
        pipe = asyncio.subprocess.PIPE
        self._server = server = await asyncio.create_subprocess_exec(*self._command, "serve", stdin=pipe, stdout=pipe)
        assert server.stdout is not None, "it is a pipe"
        self._path = (await server.stdout.readline()).decode().strip()
        if not self._path:
            raise OSError(f"`{' '.join(self._command)} serve` ended with exit code {await server.wait()}")


def failure(document: dict[str, Any]) -> tuple[str, str] | None:
    """Reason and message of a document that says why there is no answer."""
    error = document.get("error")
    if not isinstance(error, dict):
        return None
    return str(error.get("reason") or reasons.MODEL_REGISTRY_UNAVAILABLE), str(error.get("message", ""))


def _unavailable(message: str) -> dict[str, Any]:
    return {"error": {"reason": reasons.MODEL_REGISTRY_UNAVAILABLE, "message": message}}
