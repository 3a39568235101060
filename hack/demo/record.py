"""Record: what happened in one act, collected from the status and from the client's counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hack.demo.acts import Act
from hack.demo.load import Tally
from hack.demo.observation import ERROR, Ending, Observation, Reading
from hack.demo.referee import Limits, breaches

SILENCE = 3.0
"""Seconds without an answer from a candidate after which it counts as out of the traffic."""


@dataclass
class Record:
    """One act. Times are seconds on the monotonic clock; fed by the methods below."""

    act: Act
    started: float
    limits: Limits
    failures_before: int = 0
    candidate: str | None = None
    stable: str | None = None
    steps: list[str] = field(default_factory=list)
    """The steps that the gateway carried out, in order."""
    breach: float | None = None
    """When the client's own counts first exceeded a limit, and of which gauges."""
    breached: Sequence[str] = ()
    failing: dict[str, Reading] = field(default_factory=dict)
    """The gates that failed, as the revision's record has them."""
    ending: Ending | None = None
    ended: float | None = None
    outage_began: float | None = None
    outage_over: float | None = None
    errors_said: bool = False
    """Whether a gate said Error during the outage."""
    moved: bool = False
    """Whether the rollout went on, or back, during the outage."""
    _step_at_outage: tuple[str | None, int | None] = (None, None)

    def observe(self, seen: Observation, now: float) -> None:
        """Take in a status. One that still speaks of the act before is passed over."""
        if not seen.settled or self.ending is not None:
            return
        if seen.candidate is not None:
            self.candidate, self.stable = seen.candidate, seen.stable
        if seen.started and seen.step_name not in self.steps[-1:]:
            self.steps.append(seen.step_name)
        if self.during_outage:
            self.errors_said |= any(reading.verdict == ERROR for reading in seen.readings.values() if reading.gates)
            self.moved |= (seen.candidate, seen.step) != self._step_at_outage
        if seen.ending is not None:
            self.ending, self.ended = seen.ending, now

    def look(self, tally: Tally, now: float) -> None:
        """Take in the client's counts."""
        if self.breach is None and self.ending is None and self.candidate is not None:
            self.breached = breaches(tally, self.candidate, self.stable, self.limits)
            self.breach = now if self.breached else None

    def outage_begins(self, seen: Observation, now: float) -> None:
        """Prometheus was just stopped."""
        self.outage_began, self._step_at_outage = now, (seen.candidate, seen.step)

    def outage_ends(self, now: float) -> None:
        """Prometheus was just started again."""
        self.outage_over = now

    @property
    def during_outage(self) -> bool:
        """Whether Prometheus is away."""
        return self.outage_began is not None and self.outage_over is None

    @property
    def held(self) -> bool:
        """Whether the rollout stood still while Prometheus was away, and said why."""
        return self.outage_over is not None and self.errors_said and not self.moved

    def silent(self, tally: Tally, now: float) -> bool:
        """Whether the candidate is out of the traffic, by the client's own counts."""
        seen = tally.revisions.get(self.candidate or "")
        return seen is None or now - seen.last > SILENCE

    def seconds_to_zero(self, tally: Tally) -> float | None:
        """From the breach to the candidate's last answer; None if there was no breach or no traffic."""
        seen = tally.revisions.get(self.candidate or "")
        if self.breach is None or seen is None:
            return None
        return max(0.0, seen.last - self.breach)

    @property
    def good(self) -> bool:
        """Whether the act ended as it should, by way of all its steps."""
        if self.ending is None or self.ending.reason != self.act.expected:
            return False
        if self.ending.promoted != self.act.promotes:
            return False
        stepped = self.stable is None or not self.act.promotes or tuple(self.steps) == self.act.steps()
        return stepped and (self.act.outage is None or self.held)
