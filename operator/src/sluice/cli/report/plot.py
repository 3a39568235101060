"""Plot: a release over time, as places on a drawing. What people did is above, the share of traffic in the middle, what
the monitors said below, all on one axis of time. The template only draws it; every figure is in a table too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from sluice.api.modelrevision import RevisionPhase
from sluice.api.verdict import MonitorResult
from sluice.cli.plan import StepView
from sluice.cli.report.axis import Axis, Stretch, Tick, axis
from sluice.cli.report.people import Act
from sluice.cli.report.story import Story, Wait
from sluice.cli.report.wording import length, minute, plain
from sluice.core.steps import StepKind

WIDTH = 760.0
"""Of the drawing, in its own units; a page of A4 is about as wide in points of the screen."""
_LEFT, _RIGHT = 118.0, 744.0
_AREA = 168.0
"""Height of the share of traffic from 0 to 100 %."""
_ROW = 19.0
_TAIL = 0.045
"""The part of the width that shows what remains after the end."""
_LABEL = 17
"""Widest label at the left, in characters."""


@dataclass(frozen=True)
class Mark:
    """A symbol at a place."""

    x: float
    y: float
    kind: str
    """Which symbol: a verdict in lower case, or ``act``."""
    label: str = ""
    """Beside or in it."""
    title: str = ""
    """What it stands for."""


@dataclass(frozen=True)
class Band:
    """A time in which nothing moved, or only copies did."""

    x: float
    width: float
    label: tuple[str, ...]
    """Its lines."""
    broken: bool
    title: str


@dataclass(frozen=True)
class Line:
    """A text, or a rule, at a height."""

    y: float
    label: str


@dataclass(frozen=True)
class StepLabel:
    """The number of a step, where it began."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Plot:
    """Everything to draw, in units of the drawing."""

    height: float
    top: float
    """Of the share of traffic: where 100 % is."""
    bottom: float
    """Where 0 % is."""
    curve: str
    """The share of live traffic, as path data."""
    area: str
    """Below it, closed."""
    after: str
    """The curve after the end, to be drawn lighter."""
    copies: tuple[Band, ...]
    """Where copies of requests went to it."""
    grid: tuple[Line, ...]
    rows: tuple[Line, ...]
    """The monitors, a row each."""
    bands: tuple[Band, ...]
    verdicts: tuple[Mark, ...]
    acts: tuple[Mark, ...]
    steps: tuple[StepLabel, ...]
    ticks: tuple[Tick, ...]
    end: Mark | None
    """How it ended; None while it has not."""
    acts_y: float
    description: str
    left: float = _LEFT
    right: float = _RIGHT
    width: float = WIDTH


def plot(story: Story, acts: Sequence[Act]) -> Plot | None:
    """A release as a drawing; None if no time passed in it."""
    start, end = story.asked_at, story.until
    if end <= start:
        return None
    ended = not story.revision.in_progress
    stop = _RIGHT - (_RIGHT - _LEFT) * (_TAIL if ended else 0)
    times = axis(start, end, [(w.start, w.end) for w in story.waits], _LEFT, stop)
    shown = [(number, act) for number, act in enumerate(acts, start=1) if start <= act.at <= end]
    marks, lanes = _acts(times, shown)
    top = 26 + lanes * _ROW + (20 if lanes else 0)
    bottom = top + _AREA
    names = list(dict.fromkeys(result.name for step in story.taken for result in step.results))
    first_row = bottom + 26
    rows = tuple(Line(first_row + index * _ROW, _fit(name)) for index, name in enumerate(names))
    heights = {name: first_row + index * _ROW for index, name in enumerate(names)}
    corners = _corners(story, times, stop)
    path = [(x, bottom - _AREA * share / 100) for x, share in corners]
    final = corners[-1][1]
    level = bottom - _AREA * final / 100
    return Plot(
        height=(rows[-1].y + _ROW if rows else bottom + 10) + 30,
        top=top,
        bottom=bottom,
        curve=_path(path),
        area=f"{_path(path)} L{stop:.1f},{bottom:.1f} L{_LEFT:.1f},{bottom:.1f} Z",
        after=f"M{stop:.1f},{level:.1f} L{_RIGHT:.1f},{level:.1f}" if ended else "",
        copies=tuple(_copies(story, times)),
        grid=tuple(Line(bottom - _AREA * share / 100, f"{share} %") for share in (0, 25, 50, 75, 100)),
        rows=rows,
        bands=tuple(_bands(story.waits, times)),
        verdicts=tuple(_verdicts(story.taken, times, heights)),
        acts=marks,
        steps=tuple(_steps(story.taken, times, bottom)),
        ticks=times.ticks,
        end=_end(story, stop, level) if ended else None,
        acts_y=24,
        description=_description(story, len(shown)),
    )


def _corners(story: Story, times: Axis, stop: float) -> list[tuple[float, float]]:
    """The share of live traffic where it changes, and at both ends."""
    found, share = [(times.x(story.asked_at), 0.0)], 0.0
    for step in story.taken:
        at = step.started_at
        if at is None or at > story.until:
            continue
        found += [(times.x(at), share), (times.x(at), float(step.weight))]
        share = float(step.weight)
    found.append((stop, share))
    if not story.revision.in_progress and story.phase is not RevisionPhase.PROMOTED:
        found.append((stop, 0.0))
    return found


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _copies(story: Story, times: Axis) -> Iterable[Band]:
    for step in story.taken:
        if step.kind is StepKind.SHADOW and step.mirror and step.started_at is not None:
            left, right = times.x(step.started_at), times.x(min(step.finished_at or story.until, story.until))
            title = f"step {step.number}: copies of {step.mirror} % of the requests"
            label = (f"copies of {step.mirror} %",) if right - left > 76 else ()
            yield Band(left, right - left, label, broken=False, title=title)


def _bands(waits: Iterable[Wait], times: Axis) -> Iterable[Band]:
    for wait in waits:
        left, right = times.x(wait.start), times.x(wait.end)
        if right - left < 1.5:
            continue
        broken = any(_covers(stretch, wait) for stretch in times.stretches)
        said, room = length(wait.end - wait.start), right - left
        word = "paused" if wait.paused else "waited"
        label = (word, said) if room > 44 else ()
        title = f"{'paused' if wait.paused else 'waited for people'} {said}, from {minute(wait.start)}"
        yield Band(left, room, label, broken, title)


def _covers(stretch: Stretch, wait: Wait) -> bool:
    return stretch.broken and stretch.start <= wait.start and wait.end <= stretch.end


def _verdicts(steps: Iterable[StepView], times: Axis, heights: dict[str, float]) -> Iterable[Mark]:
    for step in steps:
        for result in step.results:
            at = _when(step, result)
            if at is not None:
                kind = str(result.verdict).lower()
                yield Mark(times.x(at), heights[result.name], kind, title=f"step {step.number}: {_said(result)}")


def _when(step: StepView, result: MonitorResult) -> datetime | None:
    at = result.observed_at or step.finished_at or step.started_at
    if at is None or step.started_at is None:
        return None
    return max(step.started_at, min(at, step.finished_at or at))


def _said(result: MonitorResult) -> str:
    return f"{plain(result.name)} {result.verdict}" + (f", {result.value}" if result.value is not None else "")


def _acts(times: Axis, shown: Iterable[tuple[int, Act]]) -> tuple[tuple[Mark, ...], int]:
    """Marks in as few rows as keep them apart, and how many rows that are."""
    ends: list[float] = []
    found = []
    for number, act in shown:
        x = times.x(act.at)
        row = next((row for row, end in enumerate(ends) if x - end >= 19), len(ends))
        if row == len(ends):
            ends.append(x)
        ends[row] = x
        kind = "act-against" if act.what in ("Reject", "Abort", "Pause", "Rollback", "Revoke") else "act"
        title = f"{number}: {plain(act.what)} by {plain(act.who)}, {minute(act.at)}"
        found.append(Mark(x, 24 + row * _ROW, kind if act.counts is not False else "act-void", str(number), title))
    return tuple(found), len(ends)


def _steps(steps: Iterable[StepView], times: Axis, bottom: float) -> Iterable[StepLabel]:
    taken = [step for step in steps if step.started_at is not None]
    for step, after in zip_longest(taken, taken[1:]):
        left = times.x(step.started_at) if step.started_at else 0.0
        right = times.x(after.started_at) if after is not None and after.started_at else times.stretches[-1].right
        if right - left < 15 and step.number not in (1,):
            continue
        level = bottom - _AREA * step.weight / 100
        inside = step.weight > 88
        label = f"{step.weight} %" if right - left > 30 and step.weight else ""
        yield StepLabel(left + 4, level + 13 if inside else level - 5, label)


def _end(story: Story, x: float, level: float) -> Mark:
    words = {
        RevisionPhase.PROMOTED: ("promoted", "promoted"),
        RevisionPhase.ROLLED_BACK: ("rolledback", "rolled back"),
        RevisionPhase.SUPERSEDED: ("superseded", "superseded"),
    }
    kind, said = words.get(story.phase, ("superseded", "ended"))
    return Mark(x, level, kind, said, f"{said}, {minute(story.until)}")


def _fit(name: str) -> str:
    """As much of a name as fits at the left."""
    shown, room = "", float(_LABEL)
    for character in plain(name):
        room -= 2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1
        if room < 0:
            return shown + "…"
        shown += character
    return shown


def _description(story: Story, acts: int) -> str:
    taken = story.taken
    shares = ", ".join(f"{step.weight} %" for step in taken) or "none"
    waited = sum((wait.end - wait.start for wait in story.waits), timedelta(0))
    still = f" It stood still for {length(waited)} in all." if waited else ""
    return (
        f"From {minute(story.asked_at)} to {minute(story.until)}. Shares of live traffic, in order: {shares}. "
        f"{acts} acts of people are marked above the curve.{still} The tables of steps and of decisions have the same "
        "figures."
    )
