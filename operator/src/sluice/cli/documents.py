"""Documents: what ``-o json`` and ``-o yaml`` print. The keys are part of the interface."""

from __future__ import annotations

from typing import Any

from sluice.api.base import format_duration, format_time
from sluice.api.record import Record
from sluice.cli.plan import StepView, steps_of
from sluice.cli.release import Release
from sluice.core.world import Revision

Document = dict[str, Any]


def status(release: Release) -> Document:
    """A release as a document."""
    said = release.status
    return {
        "namespace": release.namespace,
        "name": release.name,
        "uid": release.uid,
        "phase": said.phase,
        "message": said.message,
        "upToDate": release.fresh,
        "url": said.url,
        "stable": said.stable_revision,
        "candidate": said.candidate_revision,
        "step": said.step.dump() if said.step else None,
        "traffic": [share.dump() for share in said.traffic or ()],
        "revisions": [revision(release, r) for r in release.revisions],
        "governance": said.governance.dump() if said.governance else None,
        "conditions": [condition.dump() for condition in said.conditions],
    }


def revision(release: Release, item: Revision) -> Document:
    """One revision as a document."""
    running = (release.running or {}).get(item.name)
    said = item.status
    return {
        "name": item.name,
        "revision": item.number,
        "model": item.spec.model.name,
        "version": item.spec.model.version,
        "alias": item.spec.model.alias,
        "digest": item.spec.model.digest,
        "phase": item.phase,
        "reason": said.reason,
        "message": said.message,
        "weight": release.weight(item.name),
        "requester": item.spec.requester,
        "requestedAt": format_time(item.targeted_at),
        "promotedAt": format_time(said.promoted_at) if said.promoted_at else None,
        "finishedAt": format_time(said.finished_at) if said.finished_at else None,
        "retiredAt": format_time(said.retired_at) if said.retired_at else None,
        "workload": None
        if running is None
        else {
            "state": running.workload.state,
            "reason": running.workload.reason,
            "message": running.workload.message,
            "available": running.workload.available,
            "pods": [
                {"name": p.name, "phase": p.phase, "ready": p.ready, "restarts": p.restarts} for p in running.pods
            ],
        },
        "steps": [_step(view) for view in steps_of(release, item)],
    }


def records(items: list[Record]) -> list[Document]:
    """Records as documents."""
    return [item.dump() for item in items]


def summary(release: Release) -> Document:
    """One row of the list."""
    said = release.status
    return {
        "namespace": release.namespace,
        "name": release.name,
        "phase": said.phase,
        "model": release.spec.model.name,
        "version": release.spec.model.version,
        "alias": release.spec.model.alias,
        "stable": said.stable_revision,
        "candidate": said.candidate_revision,
        "step": said.step.dump() if said.step else None,
        "blockedBy": said.governance.blocked_by if said.governance else None,
        "message": said.message,
    }


def _step(view: StepView) -> Document:
    return {
        "step": view.number,
        "kind": view.kind,
        "weight": view.weight,
        "mirror": view.mirror,
        "hold": format_duration(view.hold),
        "role": view.role or None,
        "state": view.state,
        "startedAt": format_time(view.started_at) if view.started_at else None,
        "finishedAt": format_time(view.finished_at) if view.finished_at else None,
        "results": [result.dump() for result in view.results],
    }
