"""Answers: what is known at once, and found out in the background; failures are asked again, ever more seldom."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

LONGEST_RETRY_SECONDS = 300.0
_FORGOTTEN_SECONDS = 3600.0
"""An answer that nobody asked for since it ran out is forgotten after this long."""


@dataclass(frozen=True)
class _Known(Generic[A]):
    """The last answer, until when it is believed, and when it is asked for again."""

    answer: A
    failures: int
    again: float
    until: float


class Answers(Generic[Q, A]):
    """Answers to questions, each asked once at a time however many want to know."""

    def __init__(
        self,
        find: Callable[[Q], Awaitable[A]],
        failed: Callable[[A], bool],
        clock: Callable[[], float],
        *,
        believed: float,
        retry: float,
        ahead: float = 0.0,
    ) -> None:
        """Args:
        find: finds an answer, for as long as that takes.
        failed: whether an answer is a failure.
        clock: seconds, only ever compared with each other.
        believed: seconds that an answer is good for.
        retry: seconds that a first failure is; each further one is twice as long.
        ahead: seconds before an answer runs out from which it is asked for again, so that it never need run out.
        """
        self._find = find
        self._failed = failed
        self._clock = clock
        self._believed = believed
        self._retry = retry
        self._ahead = ahead
        self._known: dict[Q, _Known[A]] = {}
        self.running: dict[Q, asyncio.Task[None]] = {}
        """What is being found out."""
        self._waiting: defaultdict[Q, list[Callable[[], None]]] = defaultdict(list)

    def get(self, question: Q, done: Callable[[], None]) -> A | None:
        """What is known; None if nothing is, or what was known has run out. ``done`` is called when there is news.

        A failure stays the answer while it is asked again.
        """
        known, now = self._known.get(question), self._clock()
        if known is None or now >= known.again:
            self._waiting[question].append(done)
            if question not in self.running:
                task = asyncio.create_task(self._find_out(question))
                self.running[question] = task
                task.add_done_callback(lambda _: self.running.pop(question, None))
        if known is None or (now >= known.until and not self._failed(known.answer)):
            return None
        return known.answer

    async def _find_out(self, question: Q) -> None:
        answer = await self._find(question)
        told = self._waiting.pop(question, [])
        self._forget()
        if self._failed(answer):
            before = self._known.get(question)
            failures = before.failures if before is not None else 0
            delay = min(self._retry * 2**failures, LONGEST_RETRY_SECONDS)
            due = self._clock() + delay
            self._known[question] = _Known(answer, failures + 1, due, due)
            for done in told:
                # A moment late rather than a moment early: early would find the failure still believed.
                asyncio.get_running_loop().call_later(delay + 0.01, done)
        else:
            until = self._clock() + self._believed
            self._known[question] = _Known(answer, 0, until - self._ahead, until)
        for done in told:
            done()

    def _forget(self) -> None:
        long_ago = self._clock() - _FORGOTTEN_SECONDS
        for question in [question for question, known in self._known.items() if known.until < long_ago]:
            del self._known[question]
