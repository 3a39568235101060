"""Summary: one row for each act, and whether the whole demo went as it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hack.demo.acts import PROMOTED
from hack.demo.load import Tally
from hack.demo.people import People
from hack.demo.record import Record

COLUMNS = ("act", "expected", "outcome", "took", "breach to zero", "failed requests")


@dataclass(frozen=True)
class Row:
    """One act in words."""

    title: str
    expected: str
    outcome: str
    took: str
    to_zero: str
    failures: str
    good: bool

    def cells(self) -> tuple[str, ...]:
        """The row in the order of COLUMNS."""
        mark = "✓" if self.good else "✗"
        return (self.title, self.expected, f"{mark} {self.outcome}", self.took, self.to_zero, self.failures)


def row(record: Record, tally: Tally, people: People | None = None) -> Row:
    """The row of an act that has ended, or was given up; of one that needed people, with what they did."""
    act = record.act
    expected = "promoted" if act.expected == PROMOTED else f"rolled back ({act.expected})"
    if act.outage is not None:
        expected = f"held, resumed, {expected}"
    if people is not None:
        expected = f"held for two people, {expected}, verified"
    return Row(
        title=f"{act.number}. {act.title}",
        expected=expected,
        outcome=_outcome(record) if people is None else f"{_outcome(record)}; {people.outcome}",
        took=f"{record.ended - record.started:.0f} s" if record.ended is not None else "-",
        to_zero=_to_zero(record, tally),
        failures=_failures(record, tally),
        good=record.good and (people is None or people.good),
    )


def _outcome(record: Record) -> str:
    if record.ending is None:
        return "did not end in time"
    if not record.ending.promoted:
        gauges = ", ".join(record.failing) or record.ending.message
        return f"rolled back ({record.ending.reason}: {gauges})"
    way = " → ".join(record.steps)
    if record.act.outage is None:
        return f"promoted ({way})" if way else "promoted"
    if record.held:
        return f"held, resumed, promoted ({way})"
    return "promoted, but it moved during the outage" if record.moved else "promoted, without a word of the outage"


def _to_zero(record: Record, tally: Tally) -> str:
    if record.act.promotes:
        return "-"
    seconds = record.seconds_to_zero(tally)
    if seconds is None:
        return "no user met it" if record.candidate not in tally.revisions else "before a client could tell"
    return f"{seconds:.1f} s"


def _failures(record: Record, tally: Tally) -> str:
    """The candidate's own, then everybody else's during the act."""
    seen = tally.revisions.get(record.candidate or "")
    own = seen.failures if seen is not None else 0
    others = tally.failures - record.failures_before - own
    return f"{own} of {seen.answers if seen else 0} by the candidate, {others} others"


def exit_code(rows: Sequence[Row], acts: int) -> int:
    """0 only if every act was played and ended as it should."""
    return 0 if len(rows) == acts and all(row.good for row in rows) else 1
