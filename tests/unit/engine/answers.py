"""Prometheus, the drift service and other services, played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sluice.api.modelrevision import Column
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core.plan import Evaluation
from sluice.core.slo import Sample, Vector
from sluice.edges import rules
from sluice.edges.courier import Letter
from sluice.edges.prometheus import PrometheusUnavailableError, QueryRejectedError

Answer = list[Sample] | QueryRejectedError | PrometheusUnavailableError


@dataclass
class PlayedPrometheus:
    """Answers each query with what is in ``answers``, and every other with ``default``."""

    default: Answer = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def query(self, promql: str) -> Vector:
        self.asked.append(promql)
        answer = self.answers.get(promql, self.default)
        if isinstance(answer, Exception):
            raise answer
        return Vector(answer)


@dataclass
class PlayedAsker:
    """Gives one verdict to everyone, or raises: webhooks, who knows of performance, or the Jobs of evaluations."""

    verdict: Verdict | Exception = Verdict.PASS
    asked: list[Evaluation] = field(default_factory=list)
    message: str = ""

    async def judge(self, wanted: Evaluation, now: datetime) -> MonitorResult:
        self.asked.append(wanted)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return MonitorResult(
            name=wanted.use.name,
            verdict=self.verdict,
            reason="Played",
            message=self.message,
            mode=wanted.use.mode,
            window_start=wanted.since,
            observed_at=now,
        )


@dataclass
class PlayedPost:
    """A courier that takes every letter, or gives the troubles it was told, one after the other."""

    troubles: list[Exception] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    taken: Callable[[], None] = lambda: None
    """What happens when one is taken."""

    async def deliver(self, letter: Letter) -> None:
        self.letters.append(letter)
        if self.troubles:
            raise self.troubles.pop(0)
        self.taken()

    def refusal(self, url: str) -> str:
        return "" if "allowed" in url else "the operator may not ask it"


@dataclass
class PlayedDrift:
    """Gives one verdict to everyone, or raises."""

    verdict: Verdict | Exception = Verdict.PASS
    asked: list[Evaluation] = field(default_factory=list)

    async def judge(self, wanted: Evaluation, signature: list[Column], now: datetime) -> MonitorResult:
        self.asked.append(wanted)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return MonitorResult(
            name=wanted.use.name,
            verdict=self.verdict,
            reason="Played",
            mode=wanted.use.mode,
            look=wanted.look.kind if wanted.look is not None else None,
            observed_at=now,
            window_start=wanted.since,
        )


@dataclass
class PlayedJudge:
    """Answers each rule with what is in ``answers``, and lets every other pass."""

    answers: dict[str, rules.Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def evaluate(self, expression: str, facts: str) -> rules.Answer:
        self.asked.append(expression)
        return self.answers.get(expression, rules.Answer(passed=True))

    async def compile(self, expression: str) -> rules.Answer:
        return self.answers.get(expression, rules.Answer(passed=True))
