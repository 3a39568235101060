"""Rules: a worker process that evaluates CEL rules, stopped and replaced when one takes too long or breaks it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

from sluice.edges import metrics

COMMAND = (sys.executable, "-B", "-m", "sluice.rules")
LIMIT_SECONDS = 1.0
"""Of a processor, for one rule on one deployment's facts. What a rule should take is some microseconds."""
PATIENCE_SECONDS = 15.0
"""For an answer. A machine that has other things to do is no fault of a rule's."""
START_SECONDS = 30.0
"""For the process to start, on a machine that has other things to do."""
MOST_FACTS = 2**20
"""Bytes of a facts document. More is not asked: a rule on it would not end in time, and the memory is limited."""
_NO_MEMORY = 3
_LAST_SECONDS = 0.5
"""For a process that has closed its output to end, so that its exit code can be told."""
_TOO_LONG = (
    "it took longer than {:g} s of a processor and was stopped; make it simpler: no regular expression over long "
    "texts, and no search in one list for each item of another"
)
_NO_ANSWER = "it had no answer after {:g} s and was stopped; where other rules have none either, the node is overloaded"
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
"""All that the process is told of the environment: no credentials, no addresses."""


@dataclass(frozen=True)
class Answer:
    """What a rule came to."""

    passed: bool
    error: str = ""
    """Why it cannot be told, and what to mend."""
    stopped: bool = False
    """The process had to be stopped, or broke: another time it may come out differently."""


class _StoppedError(Exception):
    """The process gives no answer any more; the message says why."""


class RuleWorker:
    """One process, one question at a time."""

    def __init__(
        self,
        command: tuple[str, ...] = COMMAND,
        *,
        limit: float = LIMIT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        start: float = START_SECONDS,
    ) -> None:
        """``command`` answers as ``sluice.rules.__main__`` does; ``limit`` is in seconds of a processor."""
        self._command = command
        self._limit = limit
        self._patience = patience
        self._start = start
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._number = 0
        self._facts = ""
        """What the process has in mind: the facts of the last question."""

    async def evaluate(self, expression: str, facts: str) -> Answer:
        """Whether a rule passes on a facts document."""
        if (size := len(facts.encode())) > MOST_FACTS:
            return Answer(
                passed=False,
                error=f"the facts of this release take up {size:,} bytes, and rules are evaluated on up to "
                f"{MOST_FACTS:,}; the team shortens what it records in MLflow (tags, metrics, columns)",
            )
        async with self._turn:
            with metrics.RULE_SECONDS.time():
                answer = await self._ask(expression, facts)
        metrics.RULES.labels(_word(answer)).inc()
        return answer

    async def compile(self, expression: str) -> Answer:
        """Whether an expression is a rule at all."""
        async with self._turn:
            return await self._ask(expression, None)

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._stop()

    async def _ask(self, expression: str, facts: str | None) -> Answer:
        """Ask the process; ``facts`` is None to ask only whether the rule compiles."""
        try:
            process = await self._started()
        except (OSError, TimeoutError, _StoppedError) as error:
            await self._stop()
            why = f"the process that evaluates rules does not start ({error!r}); the platform team looks at its log"
            return Answer(passed=False, error=why, stopped=True)
        self._number += 1
        question: dict[str, object] = {"number": self._number, "expression": expression, "seconds": self._limit}
        if facts is not None:
            question["facts"] = None if facts == self._facts else facts
        try:
            found = await asyncio.wait_for(_exchange(process, question), self._patience)
        except TimeoutError:
            await self._stop()
            return Answer(passed=False, error=_NO_ANSWER.format(self._patience), stopped=True)
        except (OSError, ValueError, _StoppedError):
            return Answer(passed=False, error=await self._cause(), stopped=True)
        except BaseException:  # whoever asked does not wait any more: nobody else must get this answer
            await self._stop()
            raise
        if facts is not None:
            self._facts = facts
        if "error" in found:
            return Answer(passed=False, error=str(found["error"]))
        return Answer(passed=found.get("passed") is True)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._facts = ""
        metrics.RULE_WORKERS.inc()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
        )
        await asyncio.wait_for(_line(self._process), self._start)
        return self._process

    async def _cause(self) -> str:
        """Why the process ended."""
        process = self._process
        if process is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _LAST_SECONDS)
        code = process.returncode if process is not None else None
        await self._stop()
        if code == _NO_MEMORY:
            return "it needed more memory than a rule may have; do not build long texts or lists"
        if code == -signal.SIGPROF:
            return _TOO_LONG.format(self._limit)
        return f"it broke the process that evaluates rules (exit code {code}); make it simpler"

    async def _stop(self) -> None:
        process, self._process = self._process, None
        self._facts = ""
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


async def _exchange(process: asyncio.subprocess.Process, question: dict[str, object]) -> dict[str, object]:
    assert process.stdin is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    await process.stdin.drain()
    found = json.loads(await _line(process))
    if not isinstance(found, dict) or found.get("number") != question["number"]:
        raise ValueError("that is no answer to this question")
    return found


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise _StoppedError("it ended")
    return line


def _word(answer: Answer) -> str:
    if answer.stopped:
        return "Stopped"
    return "Error" if answer.error else "Passed" if answer.passed else "Failed"
