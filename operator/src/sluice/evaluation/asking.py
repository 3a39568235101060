"""Asking: the same requests, sent to each model server over KServe's V1 protocol, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from sluice.evaluation.question import Server
from sluice.evaluation.requests import Request
from sluice.evaluation.trouble import EvaluationError
from sluice.monitor.payload import Table, UnreadableBodyError, read_response

AT_A_TIME = 2
"""Requests under way at one server: stable answers its users meanwhile."""
SECONDS = 30.0
"""How long an answer may take."""
PAUSES = (1.0, 2.0, 4.0)
"""Seconds before a request is sent again, after no answer, or one that says to come again."""
MAX_BYTES = 16 << 20
"""Largest answer that is read."""
_SHOWN = 200
"""Characters of a refusal that a message shows."""
_TOO_MANY = 429

Sleep = Callable[[float], Awaitable[None]]


class _AgainError(EvaluationError):
    """It may go better in a moment."""


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """What one server is asked."""

    role: str
    """For messages: candidate or stable."""
    server: Server
    instances: Sequence[list[Any]]
    """The inputs of each golden row."""
    requests: Sequence[Request]


async def ask(
    questionnaires: Sequence[Questionnaire], model: str, id_prefix: str, *, sleep: Sleep = asyncio.sleep
) -> list[list[Table]]:
    """For each server, its answers: a table for each request, with a row for each row asked, in their order.

    Args:
        questionnaires: all of them are asked at the same time.
        model: the model's name in URLs.
        id_prefix: request ``n`` has the x-request-id ``<id_prefix><n>``, at every server.
        sleep: waits for so many seconds.

    Raises:
        EvaluationError: a server cannot be reached, refuses, or answers what cannot be read. The others stop then.
    """
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        interviews = [_Interview(session, one, model, id_prefix, sleep) for one in questionnaires]
        try:
            async with asyncio.TaskGroup() as group:
                for interview in interviews:
                    for _ in range(AT_A_TIME):
                        group.create_task(interview.run())
        except BaseExceptionGroup as several:
            told = [error for error in several.exceptions if isinstance(error, EvaluationError)]
            if not told:
                raise
            raise told[0] from None
    return [interview.answers for interview in interviews]


class _Interview:
    """One server's requests, worked off by those who call :meth:`run`."""

    def __init__(
        self, session: aiohttp.ClientSession, asked: Questionnaire, model: str, id_prefix: str, sleep: Sleep
    ) -> None:
        self._session = session
        self._asked = asked
        self._url = f"{asked.server.url}/v1/models/{model}:predict"
        self._id_prefix = id_prefix
        self._sleep = sleep
        self._left: Iterator[tuple[int, Request]] = iter(enumerate(asked.requests))
        self._found: dict[int, Table] = {}

    @property
    def answers(self) -> list[Table]:
        """In order of the requests, once all have been answered."""
        return [self._found[place] for place in range(len(self._asked.requests))]

    async def run(self) -> None:
        """Sends what nobody has sent yet, one after the other."""
        for place, request in self._left:
            self._found[place] = await self._answer(request)

    async def _answer(self, request: Request) -> Table:
        body = msgspec.json.encode({"instances": [self._asked.instances[row] for row in request.rows]})
        answered = await self._persist(request.number, body)
        try:
            table = read_response(answered)
        except UnreadableBodyError as error:
            raise self._trouble("AnswerUnreadable", f"answered what cannot be read: {error}") from None
        if len(table.rows) != len(request.rows):
            counts = f"{len(table.rows)} answers to {len(request.rows)} rows"
            raise self._trouble("AnswerUnreadable", f"gave {counts}, and nobody knows which is of which")
        return table

    async def _persist(self, number: int, body: bytes) -> bytes:
        for pause in PAUSES:
            try:
                return await self._once(number, body)
            except _AgainError:
                await self._sleep(pause)
        return await self._once(number, body)

    async def _once(self, number: int, body: bytes) -> bytes:
        headers = {"content-type": "application/json", "x-request-id": f"{self._id_prefix}{number}"}
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                answer = await self._body(response)
                if response.status == 200:
                    return answer
                said = " ".join(answer[: 4 * _SHOWN].decode("utf-8", "replace").split())[:_SHOWN] or "nothing more"
                if response.status >= 500 or response.status == _TOO_MANY:
                    raise self._trouble("ServerFailed", f"answers {response.status}: {said}", _AgainError)
                hint = "the golden columns may not be those that the model takes"
                raise self._trouble("ServerRefused", f"answers {response.status}: {said}; {hint}")
        except TimeoutError:
            raise self._trouble("ServerUnreachable", f"gave no answer within {SECONDS:g} s", _AgainError) from None
        except aiohttp.ClientError as error:
            raise self._trouble("ServerUnreachable", f"cannot be asked: {error}", _AgainError) from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > MAX_BYTES:
                raise self._trouble(
                    "AnswerUnreadable", f"answered more than {MAX_BYTES >> 20} MiB: ask smaller batches"
                )
        return bytes(content)

    def _trouble(self, reason: str, what: str, kind: type[EvaluationError] = EvaluationError) -> EvaluationError:
        server = self._asked.server
        return kind(reason, f"{self._asked.role} {server.revision} at {self._url} {what}")
