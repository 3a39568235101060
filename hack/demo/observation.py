"""Observation: one look at a ModelDeployment's status, as ``kubectl get -o json`` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FAIL = "Fail"
ERROR = "Error"


@dataclass(frozen=True)
class Reading:
    """What one monitor says."""

    verdict: str
    reason: str
    message: str
    gates: bool
    report: str | None
    """Where the evidence can be read."""


@dataclass(frozen=True)
class Ending:
    """How a release ended: the condition Promoted, once it is no longer Unknown."""

    promoted: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Observation:
    """The state of the deployment at one moment."""

    generation: int
    observed_generation: int
    phase: str
    message: str
    stable: str | None
    candidate: str | None
    weights: Mapping[str, int]
    step: int | None
    """Counted from 1."""
    steps: int
    kind: str
    """Of the step: Shadow, Weight or Approval; empty outside one."""
    weight: int
    """The candidate's share at this step, in percent."""
    started: bool
    """Whether the gateway carries the step out."""
    readings: Mapping[str, Reading]
    blocked_by: str
    """The controls and approvals that hold the release back."""
    ready: bool
    ending: Ending | None

    @property
    def settled(self) -> bool:
        """Whether the status speaks of the spec that was applied last."""
        return self.observed_generation == self.generation

    @property
    def step_name(self) -> str:
        """The step in words, as :meth:`hack.demo.acts.Act.steps` has them; empty outside one."""
        return {"Shadow": "shadow", "Weight": f"{self.weight} %"}.get(self.kind, self.kind.lower())


def failing(revision: Mapping[str, Any]) -> dict[str, Reading]:
    """The gates that failed at the last step of a ModelRevision, which is the record of its release."""
    steps = revision.get("status", {}).get("steps") or [{}]
    readings = {result["name"]: _reading(result) for result in steps[-1].get("results") or []}
    return {name: reading for name, reading in readings.items() if reading.gates and reading.verdict == FAIL}


def read(document: Mapping[str, Any]) -> Observation:
    """An observation of a ModelDeployment. Whatever the status does not have yet is empty."""
    status = document.get("status", {})
    step = status.get("step") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    return Observation(
        generation=document["metadata"].get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        phase=status.get("phase", "Pending"),
        message=status.get("message", ""),
        stable=status.get("stableRevision"),
        candidate=status.get("candidateRevision"),
        weights={share["revision"]: share["weight"] for share in status.get("traffic") or []},
        step=step.get("index"),
        steps=step.get("of", 0),
        kind=step.get("kind", ""),
        weight=step.get("weight", 0),
        started="startedAt" in step,
        readings={result["name"]: _reading(result) for result in status.get("monitors") or []},
        blocked_by=(status.get("governance") or {}).get("blockedBy", ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        ending=_ending(conditions.get("Promoted", {})),
    )


def _reading(result: Mapping[str, Any]) -> Reading:
    return Reading(
        verdict=result["verdict"],
        reason=result.get("reason", ""),
        message=result.get("message", ""),
        gates=result.get("mode", "Gate") == "Gate",
        report=(result.get("evidence") or {}).get("url"),
    )


def _ending(promoted: Mapping[str, Any]) -> Ending | None:
    if promoted.get("status") not in ("True", "False"):
        return None
    return Ending(promoted["status"] == "True", promoted.get("reason", ""), promoted.get("message", ""))
