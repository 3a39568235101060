"""Looks: when a drift monitor is asked, and what each answer may spend of its budget for false alarms.

A planned look is taken when the hold of a step ends, and must pass. Guard looks are taken in mid-hold, at an eighth, a
quarter and half of it, so that each sees twice the rows of the one before. They catch gross failure only, and let
nothing pass: a model with two inputs swapped need not go on answering until a hold of an hour is over.

How often and with what is fixed when the revision is made, in ``spec.looks``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sluice.api.modeldeployment import MonitorMode, MonitorUse, Step
from sluice.api.modelrevision import PlannedLooks, StepRecord
from sluice.api.verdict import LookKind, MonitorResult
from sluice.core import steps
from sluice.core.steps import PlannedStep
from sluice.core.world import Revision, World

GUARDS = (8, 4, 2)
"""A guard look after the hold divided by each of these."""
GUARD_SHARE = 0.1
"""The part of the budget that guard looks have together: what they are for is plain with little."""


@dataclass(frozen=True)
class Look:
    """One look of a drift monitor."""

    due: datetime
    kind: LookKind

    @property
    def after_promotion(self) -> bool:
        """Whether it is at what serves. What it sees is over when it is due, so any answer but Error settles it. Asked
        again later, it says the same, or that rows are gone."""
        return self.kind in (LookKind.REFERENCE, LookKind.WATCH)


def plan(
    world: World, stated: list[Step], monitors: list[MonitorUse], stable: Revision | None
) -> tuple[PlannedLooks, ...]:
    """How often each drift monitor looks in a release, and what one look may spend of its budget for false alarms.

    The budget covers the whole release. The drift gates share it; of each one's part, a tenth is for guard looks, three
    in every hold where drift can speak, and the rest for planned looks, one at every such step. With 3 such steps, all
    with a hold, and 2 gates, 0.01 becomes 0.0015 a planned look and 0.000056 a guard look.
    """
    planned = steps.planned(stated) if stable else steps.first_release(stated)
    defined = [(use, monitor) for use in monitors if (monitor := world.monitor(use)) is not None and monitor.drift]
    gates = sum(use.mode is MonitorMode.GATE for use, _ in defined)
    found = []
    for use, monitor in defined:
        where = [step for step in planned if steps.applicable(monitor, step, stable)]
        if where and monitor.drift is not None:
            guards = len(GUARDS) * sum(step.hold > steps.NO_HOLD for step in where)
            share = float(monitor.drift.alpha) / max(1, gates)
            spare = GUARD_SHARE * share if guards else 0.0
            found.append(
                PlannedLooks(
                    monitor=use.name,
                    looks=len(where),
                    alpha=f"{(share - spare) / len(where):.6g}",
                    guards=guards,
                    guard_alpha=f"{spare / guards:.6g}" if guards else None,
                )
            )
    return tuple(found)


def alpha(world: World, revision: Revision, stable: Revision | None, use: MonitorUse, kind: LookKind) -> float | None:
    """What one look of a drift monitor may spend, as fixed when the revision was made; None: no such look was planned.

    Where nothing was fixed (an earlier version made it, or the monitor was of another kind then), it is what would be
    fixed now.
    """
    spec = revision.spec
    for fixed in (*spec.looks, *plan(world, spec.rollout.steps, spec.monitors, stable)):
        if fixed.monitor == use.name:
            stated = fixed.guard_alpha if kind is LookKind.GUARD else fixed.alpha
            return float(stated) if stated is not None else None
    return None


def taken(record: StepRecord | None, use: MonitorUse) -> MonitorResult | None:
    """What the planned look of a step found. Once it is on record, neither luck nor a restart gets another."""
    results = record.results if record else []
    return next((r for r in results if r.name == use.name and r.verdict.conclusive), None)


def due(record: StepRecord, step: PlannedStep, use: MonitorUse, at: datetime) -> Look | None:
    """The look that a monitor owes at some time, if it owes one.

    One conclusive answer to each is enough. That a planned look has it is on record; of a guard's, the evaluator knows
    while its process lives, so that a restart may repeat one, with what little it may spend.
    """
    if record.started_at is None or taken(record, use) is not None:
        return None
    over = record.started_at + step.hold
    if at >= over:
        return Look(over, LookKind.PLANNED)
    begun = [moment for moment in _guards(record.started_at, step.hold) if moment <= at]
    return Look(begun[-1], LookKind.GUARD) if begun else None


def next_due(started: datetime, hold: timedelta, now: datetime) -> datetime:
    """When the next look of a step comes due; the end of its hold when all have."""
    return next((moment for moment in _guards(started, hold) if moment > now), started + hold)


def _guards(started: datetime, hold: timedelta) -> tuple[datetime, ...]:
    return tuple(started + hold / part for part in GUARDS) if hold else ()
