"""Ledger: what became of every request, as the client saw it, by phase of a release.

A request belongs to the phase in which it was sent, whenever it is answered. It ends in one of three ways: a good
answer; a bad one that the model itself gave, in its own words; or it is lost. What the gateway answers in a model's
place carries the revision's header too, and counts as lost.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hack.demo.load import Answer

MODEL_FAILED = 500
"""The status with which the model server answers when its model raises."""


TOLERANCE = 0.95
"""How much of the rate must be reached. Less is another measurement than was asked for."""


class Outcome(StrEnum):
    """What became of a request."""

    GOOD = "good"
    MODEL = "answered badly by the bad model itself"
    LOST = "lost"


@dataclass(frozen=True)
class BadModel:
    """By what the answers of a model that is meant to fail are known."""

    revision: str
    words: bytes
    """What its failures say; nothing else on the way says it."""


def outcome(answer: Answer, bad: BadModel) -> Outcome:
    """What became of a request."""
    if answer.good:
        return Outcome.GOOD
    own = answer.revision == bad.revision and answer.status == MODEL_FAILED and bad.words in answer.content
    return Outcome.MODEL if own else Outcome.LOST


@dataclass
class Phase:
    """The requests that were sent in one part of the story. Times are seconds on the monotonic clock."""

    name: str
    began: float
    ended: float | None = None
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    """Of what was lost: the status and whose it was, or the client's error."""
    revisions: Counter[str] = field(default_factory=Counter)
    """Answers by revision."""
    latencies: array[float] = field(default_factory=lambda: array("d"))
    """Seconds, of all requests."""
    others: array[float] = field(default_factory=lambda: array("d"))
    """The same without those that the bad model answered."""

    @property
    def requests(self) -> int:
        """Requests of which it is known what became of them."""
        return self.outcomes.total()

    @property
    def lost(self) -> int:
        """Requests without an answer from any model."""
        return self.outcomes[Outcome.LOST]

    @property
    def rate(self) -> float:
        """Requests a second, once it has ended; 0 before."""
        seconds = self.ended - self.began if self.ended is not None else 0.0
        return self.requests / seconds if seconds > 0 else 0.0


class Ledger:
    """All phases, one after the other."""

    def __init__(self, bad: BadModel) -> None:
        self.phases: list[Phase] = []
        self.last_sent: dict[str, float] = {}
        """When the last request left that a revision answered."""
        self._bad = bad

    def begin(self, name: str, now: float) -> Phase:
        """End the phase that there is, and begin another."""
        self.end(now)
        self.phases.append(Phase(name, now))
        return self.phases[-1]

    def end(self, now: float) -> None:
        """End the phase that there is. What is still on its way is entered when it comes."""
        if self.phases and self.phases[-1].ended is None:
            self.phases[-1].ended = now

    def take(self, answer: Answer) -> None:
        """Enter what became of a request; one that was sent before the first phase is not counted."""
        phase = next((phase for phase in reversed(self.phases) if phase.began <= answer.sent), None)
        if phase is None or (phase.ended is not None and answer.sent > phase.ended):
            return
        became = outcome(answer, self._bad)
        phase.outcomes[became] += 1
        phase.revisions[answer.revision] += 1
        phase.latencies.append(answer.latency)
        if answer.revision != self._bad.revision:
            phase.others.append(answer.latency)
        if became is Outcome.LOST:
            phase.causes[answer.trouble or f"{answer.status} by {answer.revision}"] += 1
        self.last_sent[answer.revision] = max(answer.sent, self.last_sent.get(answer.revision, answer.sent))


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else math.nan


def line(phase: Phase) -> str:
    """A phase in words; latencies in milliseconds."""
    own = phase.outcomes[Outcome.MODEL]
    p50, p99 = (percentile(phase.latencies, percent) * 1000 for percent in (50, 99))
    text = f"{phase.name}: {phase.requests} requests at {phase.rate:.1f}/s, {phase.lost} lost"
    text += f", {own} answered badly by the bad model itself" if own else ""
    text += f"; p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    if len(phase.others) != len(phase.latencies):
        text += f" (without the bad model's: p99 {percentile(phase.others, 99) * 1000:.0f} ms)"
    shares = ", ".join(f"{name} {count}" for name, count in sorted(phase.revisions.items()))
    return f"{text}\n  answered by: {shares}" + "".join(
        f"\n  lost: {count} x {cause}" for cause, count in phase.causes.most_common()
    )


@dataclass(frozen=True)
class Demand:
    """What must have been so for the measurement to count."""

    requests: int
    """At least so many in each release."""
    rate: float
    """Requests a second that were to be sent."""


def complaints(phases: Sequence[Phase], demand: Demand) -> list[str]:
    """What is wrong: lost requests, too few of them, or too slow a pace. Empty if all is well."""
    found = []
    for phase in phases:
        if phase.lost:
            found.append(f"{phase.name}: {phase.lost} of {phase.requests} requests were lost")
        if phase.requests < demand.requests:
            found.append(f"{phase.name}: {phase.requests} requests, and {demand.requests} were asked for")
        if phase.rate < demand.rate * TOLERANCE:
            found.append(
                f"{phase.name}: {phase.rate:.1f} requests a second, and {demand.rate:.0f} were asked for; "
                "this machine bears less: --rate"
            )
    return found
