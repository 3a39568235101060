"""Vigil: when drift monitors look at what serves, and what each of those looks may spend.

At rest there is no other revision in the same traffic, so a revision is compared with itself: the rows of its latest
hour, say, with those of its first day, the reference. A look sees one span of time, each begins where the last ended,
and none is taken before the reference is whole:

    promoted        + reference     + every     + 2 every
    |-- reference --|-- 1st look's --|-- 2nd look's --|-- …

The budget is a day's. It is spread over as many looks as a day may have, and shared by the gates that look.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice.api.modeldeployment import MonitorMode
from sluice.api.modelmonitor import DriftWatch, ModelMonitorSpec
from sluice.api.verdict import LookKind
from sluice.core import steps
from sluice.core.looks import Look
from sluice.core.steps import PlannedStep, StepKind
from sluice.core.world import World

DAY = timedelta(hours=24)
COLLECT = timedelta(minutes=10)
"""How often what has come of the reference is taken in: rows may be deleted long before a reference of a week is
whole."""

_SERVING = PlannedStep(StepKind.WEIGHT, weight=100)


def speaks(monitor: ModelMonitorSpec) -> bool:
    """Whether a gauge has something to say of a revision that is alone."""
    if monitor.drift is not None:
        return monitor.drift.watch is not None
    return monitor.workload is None and steps.applicable(monitor, _SERVING, None)


def first_due(promoted: datetime, watch: DriftWatch) -> datetime:
    """When the first verdict is due."""
    return promoted + watch.reference + watch.every


def due(promoted: datetime, watch: DriftWatch, at: datetime) -> Look | None:
    """The newest look that is due at some time; those that were missed are not made up for.

    Before the first, that is a look that only adds to the reference. With a reference of 24h and a look every hour, at
    26h30m it is the one of 26h, which sees what came from 25h on.
    """
    whole = promoted + watch.reference
    if at >= whole + watch.every:
        return Look(whole + (at - whole) // watch.every * watch.every, LookKind.WATCH)
    if at >= whole:
        return Look(whole, LookKind.REFERENCE)
    begun = (at - promoted) // COLLECT
    return Look(promoted + begun * COLLECT, LookKind.REFERENCE) if begun > 0 else None


def next_due(promoted: datetime, watch: DriftWatch, at: datetime) -> datetime:
    """When the next look comes due."""
    whole = promoted + watch.reference
    if at >= whole:
        return whole + ((at - whole) // watch.every + 1) * watch.every
    return min(promoted + ((at - promoted) // COLLECT + 1) * COLLECT, whole)


def alpha(world: World, watch: DriftWatch) -> float:
    """What one look may spend.

    With 0.01 a day, a look every hour and two gates it is 0.01 / 24 / 2 = 0.00021. Looks that do not fill a day evenly
    are counted up: one every 13h may be taken twice in a day, and has half.
    """
    return float(watch.alpha) / _looks_a_day(watch.every) / max(1, _sharers(world))


def _looks_a_day(every: timedelta) -> int:
    return -(-DAY // every)


def _sharers(world: World) -> int:
    """How many drift monitors look at what serves, and decide."""
    deciding = [use for use in world.spec.monitors if use.mode is not MonitorMode.OBSERVE]
    found = [world.monitor(use) for use in deciding]
    return sum(monitor is not None and monitor.drift is not None and speaks(monitor) for monitor in found)
