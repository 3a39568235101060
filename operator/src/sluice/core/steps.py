"""Steps: the plan of a release as a flat list, and which gauges can speak at each step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sluice.api.modeldeployment import MonitorMode, MonitorUse, Step
from sluice.api.modelmonitor import DriftSubject, ModelMonitorSpec
from sluice.core.world import Revision

NO_HOLD = timedelta(0)


class StepKind(StrEnum):
    """What a step does."""

    SHADOW = "Shadow"
    WEIGHT = "Weight"
    APPROVAL = "Approval"


@dataclass(frozen=True)
class PlannedStep:
    """One step: the candidate's share of live traffic and of copies, in percent, and how long to watch."""

    kind: StepKind
    weight: int = 0
    mirror: int = 0
    hold: timedelta = NO_HOLD
    role: str = ""
    """Of an approval: whose it waits for."""


def planned(steps: list[Step]) -> tuple[PlannedStep, ...]:
    """The stated steps with their effective weights: an approval keeps the weight before it."""
    result: list[PlannedStep] = []
    weight = 0
    for step in steps:
        if step.shadow is not None:
            result.append(PlannedStep(StepKind.SHADOW, weight, step.shadow.percent, step.shadow.hold))
        elif step.weight is not None:
            weight = step.weight
            result.append(PlannedStep(StepKind.WEIGHT, weight, hold=step.hold or NO_HOLD))
        else:
            result.append(PlannedStep(StepKind.APPROVAL, weight, role=step.approval.role if step.approval else ""))
    return tuple(result)


def first_release(steps: list[Step]) -> tuple[PlannedStep, ...]:
    """The plan where there is no stable revision yet: all traffic at once, watched for the first hold.

    Traffic cannot be split with nothing, and a gate that compares has nothing to compare with.
    """
    holds = [step.hold for step in planned(steps) if step.hold]
    return (PlannedStep(StepKind.WEIGHT, 100, hold=holds[0] if holds else NO_HOLD),)


def release_plan(revision: Revision, stable: Revision | None) -> tuple[PlannedStep, ...]:
    """The steps that this revision takes, given what is stable."""
    steps = revision.spec.rollout.steps
    return planned(steps) if stable else first_release(steps)


def current(revision: Revision, stable: Revision | None) -> PlannedStep | None:
    """The step the revision is at; None before the first and outside a release."""
    plan = release_plan(revision, stable)
    index = revision.status.step
    return plan[index] if index is not None and index < len(plan) else None


def comparable(step: PlannedStep, stable: Revision | None) -> bool:
    """Whether stable and candidate both answer requests at this step, so that one can be held against the other."""
    return stable is not None and (step.mirror > 0 or 0 < step.weight < 100)


def applicable(monitor: ModelMonitorSpec, step: PlannedStep, stable: Revision | None) -> bool:
    """Whether a gauge can speak at this step at all.

    Drift, and service levels and performance that only compare, need both revisions in the traffic. Where they cannot
    speak they neither pass nor block: the steps before have asked them.
    """
    if monitor.workload is not None:
        return True
    if monitor.evaluation is not None:
        return False  # it speaks before the first step, and has said all then
    if step.weight == 0 and step.mirror == 0:
        return False
    if step.kind is StepKind.APPROVAL and monitor.drift is not None:
        return False  # it looked when the hold before ended; waiting for people is no reason for another look
    if monitor.drift is not None and monitor.drift.subject is DriftSubject.RANKING and step.mirror == 0:
        return False  # only in a shadow both rank the same requests
    measured = monitor.slo or monitor.performance
    if monitor.drift is not None or (measured is not None and measured.limits is None):
        return comparable(step, stable)
    return True


def examines(monitor: ModelMonitorSpec, use: MonitorUse, stable: Revision | None) -> bool:
    """Whether a gauge asks golden data before this release has any traffic.

    What only compares says nothing of a first release. Mode Watch is for what is read after the promotion.
    """
    evaluation = monitor.evaluation
    if evaluation is None or use.mode is MonitorMode.WATCH:
        return False
    return evaluation.limits is not None or stable is not None
