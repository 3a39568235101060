"""ModelDeployments as the API server shows them, in the states that a demo goes through."""

from __future__ import annotations

from typing import Any


def result(name: str, verdict: str, mode: str = "Gate", **more: Any) -> dict[str, Any]:
    return {"name": name, "verdict": verdict, "mode": mode, "reason": "R", "message": "m", **more}


def condition(kind: str, status: str, reason: str = "R") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": "m"}


def deployment(generation: int = 1, observed: int | None = None, **status: Any) -> dict[str, Any]:
    seen = generation if observed is None else observed
    return {"metadata": {"generation": generation}, "status": {"observedGeneration": seen, **status}}


def stepping(kind: str, weight: int, *, index: int = 1, started: bool = True, **status: Any) -> dict[str, Any]:
    step = {"index": index, "of": 4, "kind": kind, "weight": weight}
    step |= {"startedAt": "2026-11-24T11:00:00Z"} if started else {}
    return deployment(
        phase="Progressing",
        stableRevision="california-r1",
        candidateRevision="california-r2",
        step=step,
        **{"conditions": [condition("Promoted", "Unknown", "Holding")], **status},
    )


def ended(status: str, reason: str, **more: Any) -> dict[str, Any]:
    return deployment(conditions=[condition("Promoted", status, reason)], stableRevision="california-r1", **more)
