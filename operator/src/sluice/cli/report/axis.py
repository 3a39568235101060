"""Axis: time from left to right. Long waits are drawn short, with a break, or they would hide the release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sluice.cli.report.wording import day

_NARROW = 0.09
"""The part of the axis that a shortened wait takes."""
_MOST_BROKEN = 4
_NICE = [
    *(timedelta(seconds=s) for s in (5, 10, 15, 30)),
    *(timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=h) for h in (1, 2, 3, 6, 12)),
    *(timedelta(days=d) for d in (1, 2, 7, 14, 28, 91, 365)),
]
"""Distances of ticks that people like."""
_APART = 46.0
"""Least distance of two labels."""


@dataclass(frozen=True)
class Stretch:
    """A part of the axis on which time runs evenly."""

    start: datetime
    end: datetime
    left: float
    right: float
    broken: bool = False
    """Whether it is drawn shorter than it was."""


@dataclass(frozen=True)
class Tick:
    """A time on the axis."""

    x: float
    label: str
    date: str = ""
    """The day, where it is the first tick or another day than the one before."""


@dataclass(frozen=True)
class Axis:
    """Where on the page a time is."""

    stretches: tuple[Stretch, ...]

    def x(self, when: datetime) -> float:
        """The place of a time; before the first and after the last, the ends."""
        for stretch in self.stretches:
            if when <= stretch.end:
                whole = (stretch.end - stretch.start).total_seconds()
                part = (when - stretch.start).total_seconds() / whole if whole > 0 else 0.0
                return stretch.left + min(1.0, max(0.0, part)) * (stretch.right - stretch.left)
        return self.stretches[-1].right

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Ticks where the axis goes on after a break, and at round times, none too close to another."""
        placed: list[tuple[float, datetime]] = []
        for when in [*self._edges(), *self._round()]:
            x = self.x(when)
            if all(abs(x - other) >= _APART for other, _ in placed):
                placed.append((x, when))
        found: list[Tick] = []
        seen, fine = "", any(when.second for when in self._round())
        for x, when in sorted(placed):
            date, at = day(when), when.astimezone(UTC)
            found.append(Tick(x, f"{at:%H:%M:%S}" if fine else f"{at:%H:%M}", "" if date == seen else date))
            seen = date
        return tuple(found)

    def _edges(self) -> list[datetime]:
        broken = [stretch for stretch in self.stretches if stretch.broken]
        first = [self.stretches[0].start] if broken else []
        return [*first, *(stretch.end for stretch in broken)]

    def _round(self) -> list[datetime]:
        even = [stretch for stretch in self.stretches if not stretch.broken]
        width = sum(stretch.right - stretch.left for stretch in even)
        length = sum((stretch.end - stretch.start for stretch in even), timedelta(0))
        if width <= 0 or length <= timedelta(0):
            return [self.stretches[0].start.replace(second=0, microsecond=0)]
        least = length * (_APART * 1.5 / width)
        distance = next((nice for nice in _NICE if nice >= least), _NICE[-1])
        times: list[datetime] = []
        for stretch in even:
            midnight = stretch.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            when = midnight + distance * -(-(stretch.start - midnight) // distance)
            while when <= stretch.end:
                times.append(when)
                when += distance
        return times or [self.stretches[0].start.replace(second=0, microsecond=0)]


def axis(start: datetime, end: datetime, waits: Iterable[tuple[datetime, datetime]], left: float, right: float) -> Axis:
    """An axis from ``start`` to ``end``.

    Args:
        start: its first time.
        end: its last, later than the first.
        waits: when nothing happened but that people were waited for; those that would fill the plot are shortened.
        left: where it begins, in units of the drawing.
        right: where it ends.
    """
    inside = sorted((max(start, a), min(end, b)) for a, b in waits if a < end and b > start)
    merged = _merged(inside)
    moving = (end - start) - sum((b - a for a, b in merged), timedelta(0))
    long = sorted((w for w in merged if w[1] - w[0] > moving * 0.5), key=lambda w: w[1] - w[0])[-_MOST_BROKEN:]
    if moving <= timedelta(0) or not long:
        return Axis((Stretch(start, end, left, right),))
    return Axis(_laid_out(start, end, sorted(long), left, right))


def _laid_out(
    start: datetime, end: datetime, long: Sequence[tuple[datetime, datetime]], left: float, right: float
) -> tuple[Stretch, ...]:
    cuts: list[tuple[datetime, datetime, bool]] = []
    at = start
    for begin, over in long:
        if begin > at:
            cuts.append((at, begin, False))
        cuts.append((begin, over, True))
        at = over
    if at < end:
        cuts.append((at, end, False))
    narrow = _NARROW * (right - left)
    even = sum(((b - a) for a, b, broken in cuts if not broken), timedelta(0)).total_seconds()
    room = (right - left) - narrow * len(long)
    found, x = [], left
    for begin, over, broken in cuts:
        width = narrow if broken else room * (over - begin).total_seconds() / even
        found.append(Stretch(begin, over, x, x + width, broken))
        x += width
    return tuple(found)


def _merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    found: list[tuple[datetime, datetime]] = []
    for begin, over in spans:
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(over, found[-1][1]))
        else:
            found.append((begin, over))
    return found
