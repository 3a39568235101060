"""View: the demo as it runs; a live picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from hack.demo.acts import ACTS, Act
from hack.demo.load import Tally
from hack.demo.observation import Observation
from hack.demo.summary import COLUMNS, Row

COLOURS = {"Pass": "green", "Fail": "red", "Inconclusive": "yellow", "Error": "magenta"}
RECENT = 5.0
"""Seconds of answers that a share is computed over."""


@dataclass(frozen=True)
class Scene:
    """Everything there is to see at one moment."""

    act: Act
    seen: Observation | None
    tally: Tally
    rows: Sequence[Row]


class View(Protocol):
    """What the demo tells people."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, line: str) -> None:
        """A line that stays."""

    def show(self, scene: Scene) -> None:
        """The state just now."""


class Lines:
    """A line for everything that changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, line: str) -> None:
        """Print a line with the time since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        self._console.print(f"{minutes:02}:{seconds:02} {escape(line)}", soft_wrap=True, highlight=False)

    def show(self, scene: Scene) -> None:
        """Print a line if phase, step, weights or verdicts are others than before."""
        if scene.seen is None:
            return
        line = f"act {scene.act.number}  {_position(scene.seen)}  {_verdicts(scene.seen)}"
        if line != self._last:
            self._last = line
            self.say(line)


class Picture(Lines):
    """A picture that is drawn anew, below the lines that stay."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, scene: Scene) -> None:
        """Draw the acts, the weights and the verdicts."""
        self._live.update(Group(_acts(scene), _panel(scene)), refresh=True)


def view(console: Console) -> View:
    """The view that suits the terminal."""
    return Picture(console) if console.is_terminal else Lines(console)


def _position(seen: Observation) -> str:
    weights = " ".join(f"{revision} {weight} %" for revision, weight in seen.weights.items())
    step = f"step {seen.step}/{seen.steps} {seen.step_name}" if seen.step else ""
    return "  ".join(part for part in (f"{seen.phase:<11}", step, weights) if part)


def _verdicts(seen: Observation) -> str:
    return " ".join(f"{name}={reading.verdict}" for name, reading in seen.readings.items())


def _acts(scene: Scene) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    done = {row.title: row for row in scene.rows}
    for each in ACTS:
        title = f"{each.number}. {each.title}"
        if title in done:
            colour = "green" if done[title].good else "red"
            table.add_row(f"[{colour}]{'✓' if done[title].good else '✗'}[/]", title, escape(done[title].outcome))
        else:
            table.add_row(
                "▶" if each is scene.act else " ", f"[bold]{title}[/]" if each is scene.act else f"[dim]{title}[/]", ""
            )
    return table


def _panel(scene: Scene) -> RenderableType:
    act, seen, tally = scene.act, scene.seen, scene.tally
    if seen is None:
        return Panel("waiting for the first status", title=f"act {act.number}")
    now = time.monotonic()
    traffic = Table.grid(padding=(0, 2))
    for revision, weight in seen.weights.items():
        share = tally.share(revision, now, RECENT)
        bar = "█" * round(share * 40)
        answers = tally.revisions.get(revision)
        failed = f"{answers.failures} of {answers.answers} failed" if answers else "no answers yet"
        traffic.add_row(revision, f"{weight:>3} %", f"[cyan]{bar:<40}[/]", f"{share:>4.0%} of answers", failed)
    monitors = Table.grid(padding=(0, 2))
    for name, reading in seen.readings.items():
        colour = COLOURS.get(reading.verdict, "white")
        told = name if reading.gates else f"{name} (observed)"
        monitors.add_row(told, f"[{colour}]{reading.verdict}[/]", f"[dim]{escape(reading.message[:110])}[/]")
    message = f"[dim]{escape(seen.message)}[/]"
    return Panel(Group(_position(seen), message, "", traffic, "", monitors), title=f"act {act.number}: {act.title}")


def table(rows: Sequence[Row]) -> RenderableType:
    """The summary."""
    summary = Table(*COLUMNS, title="Sluice: six releases")
    for row in rows:
        summary.add_row(*map(escape, row.cells()), style=None if row.good else "red")
    return summary
