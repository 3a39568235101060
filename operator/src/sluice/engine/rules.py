"""Rules: the custom rules that decisions ask about, answered in the background, and the answers kept while asked for.

A rule that had to be stopped is left alone for a while, on whatever facts: it would take its second away from all the
others, again and again. Until it is tried again its outcome is why it was stopped, which is not a pass.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sluice.core.governance.custom import Question
from sluice.core.world import RuleOutcome
from sluice.edges.rules import Answer
from sluice.engine.store import Key

log = logging.getLogger(__name__)

FIRST_REST = 15.0
"""Seconds that a rule is left alone after it was stopped; each further time is twice as long."""
LONGEST_REST = 300.0
_REMEMBERED = 256
"""Stopped rules that are remembered."""


class Judge(Protocol):
    """The worker process, or a double."""

    async def evaluate(self, expression: str, facts: str) -> Answer: ...


@dataclass
class _Asked:
    """What one deployment wants to know, and what is known of it."""

    questions: dict[str, Question] = field(default_factory=dict)
    outcomes: dict[str, RuleOutcome] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    """Keys of questions to be asked, or asked again."""
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True)
class _Rest:
    """A rule that was stopped: how often in a row, until when it is left alone, and why."""

    times: int
    until: float
    error: str


class Rules:
    """Outcomes by deployment, of the questions that its last decision asked and no others."""

    def __init__(self, judge: Judge, wake: Callable[[Key], None], clock: Callable[[], float] = time.monotonic) -> None:
        """``wake`` is called for a deployment of which a rule's outcome became known, or another; ``clock`` is in
        seconds, only ever compared with itself."""
        self._judge = judge
        self._wake = wake
        self._clock = clock
        self._asked: dict[Key, _Asked] = {}
        self._resting: dict[str, _Rest] = {}
        self._turn = asyncio.Lock()

    def want(self, key: Key, questions: Iterable[Question]) -> None:
        """From now on keep the outcomes of these, and only these, for a deployment."""
        wanted = {question.key: question for question in questions}
        if not wanted:
            gone = self._asked.pop(key, None)
            if gone is not None and gone.task is not None:
                gone.task.cancel()
            return
        asked = self._asked.setdefault(key, _Asked())
        asked.questions = wanted
        asked.outcomes = {name: outcome for name, outcome in asked.outcomes.items() if name in wanted}
        asked.due = (asked.due & wanted.keys()) | (wanted.keys() - asked.outcomes.keys())
        self._work(key, asked)

    def outcomes(self, key: Key) -> Mapping[str, RuleOutcome]:
        """What is known, by the questions' keys."""
        asked = self._asked.get(key)
        return dict(asked.outcomes) if asked is not None else {}

    def _work(self, key: Key, asked: _Asked) -> None:
        if asked.due and asked.task is None:
            asked.task = asyncio.create_task(self._answer(key, asked))
            asked.task.add_done_callback(lambda _: self._finished(key, asked))

    def _finished(self, key: Key, asked: _Asked) -> None:
        asked.task = None
        if self._asked.get(key) is asked:
            self._work(key, asked)  # something may have become due after the last look

    async def _answer(self, key: Key, asked: _Asked) -> None:
        """Answer what is due, all of one deployment in a row: they are about the same facts, which are sent once."""
        news = False
        async with self._turn:
            while asked.due:
                question = asked.questions[min(asked.due)]
                try:
                    outcome = await self._outcome(question)
                except Exception as error:  # an answer that nobody foresaw is not a pass
                    log.exception(
                        "evaluating a rule failed", extra={"namespace": key.namespace, "deployment": key.name}
                    )
                    outcome = RuleOutcome(passed=False, error=f"it was not evaluated: {error!r}"[:512])
                asked.due.discard(question.key)
                if question.key in asked.questions and asked.outcomes.get(question.key) != outcome:
                    asked.outcomes[question.key] = outcome
                    news = True
        if news:
            self._wake(key)

    async def _outcome(self, question: Question) -> RuleOutcome:
        rest = self._resting.get(question.expression)
        if rest is not None and self._clock() < rest.until:
            return RuleOutcome(passed=False, error=rest.error)
        answer = await self._judge.evaluate(question.expression, question.facts)
        if answer.stopped:
            self._lay_to_rest(question.expression, answer.error)
        else:
            self._resting.pop(question.expression, None)
        return RuleOutcome(passed=answer.passed and not answer.error, error=answer.error)

    def _lay_to_rest(self, expression: str, error: str) -> None:
        before = self._resting.pop(expression, None)
        times = before.times + 1 if before is not None else 1
        seconds = min(FIRST_REST * 2 ** (times - 1), LONGEST_REST)
        log.warning("a custom rule was stopped and rests for %.0f s: %s", seconds, error, extra={"rule": expression})
        self._resting[expression] = _Rest(times, self._clock() + seconds, error)
        if len(self._resting) > _REMEMBERED:
            del self._resting[next(iter(self._resting))]
        # A moment late rather than a moment early, which would find it resting still.
        asyncio.get_running_loop().call_later(seconds + 0.01, self._try_again, expression)

    def _try_again(self, expression: str) -> None:
        for key, asked in self._asked.items():
            again = {name for name, question in asked.questions.items() if question.expression == expression}
            asked.due |= {name for name in again if asked.outcomes.get(name, _UNKNOWN).error}
            self._work(key, asked)


_UNKNOWN = RuleOutcome(passed=False)
