"""Lanes: who stands where in the route, and what the route must therefore say.

A route has two backends, lane 0 and lane 1, always both present and never at weight zero. Envoy Gateway
makes one Envoy cluster per backend; creating or deleting one loses requests in flight. So nothing is
created or deleted: a lane that is free points at the revision in the other lane, and a revision without
traffic holds one millionth (ADR 002). A revision keeps its lane from its entry to its exit, so that
metrics which carry only the lane's position can be told apart.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime

from sluice.api.modelrevision import RevisionPhase
from sluice.core import steps
from sluice.core.world import LaneBackend, Mirror, Revision, RouteIntent

WHOLE = 1_000_000
SLIVER = 1


def stable_of(revisions: Iterable[Revision]) -> Revision | None:
    """The revision that was promoted last: the target of every rollback."""
    promoted = [r for r in revisions if r.phase is RevisionPhase.PROMOTED and r.running]
    return max(promoted, key=lambda r: (r.status.promoted_at or r.targeted_at, r.number), default=None)


def target_of(revisions: Iterable[Revision]) -> Revision | None:
    """The revision that the deployment's spec asked for last."""
    return max(revisions, key=lambda r: (r.targeted_at, r.number), default=None)


def base_of(revisions: Iterable[Revision]) -> Revision | None:
    """Who gets the traffic that no candidate has: the stable revision, else whoever stands in a lane.

    Without a stable revision (a first release) that is the candidate itself, or, while a changed spec's
    candidate is still starting, the superseded one that served until now.
    """
    everyone = list(revisions)
    if (stable := stable_of(everyone)) is not None:
        return stable
    standing = [r for r in everyone if r.status.lane is not None and r.phase is not RevisionPhase.ROLLED_BACK]
    return max(standing, key=lambda r: (r.in_progress, r.number), default=None)


def occupant(revisions: Iterable[Revision], lane: int) -> Revision | None:
    """Who stands in a lane; the newest, should a crash have left two."""
    standing = [r for r in revisions if r.status.lane == lane]
    return max(standing, key=lambda r: (r.in_progress, r.targeted_at, r.number), default=None)


def share(revision: Revision, stable: Revision | None) -> int:
    """The percentage of live traffic that a release has reached; 0 outside a release."""
    if revision.phase not in (RevisionPhase.PROGRESSING, RevisionPhase.PAUSED):
        return 0
    step = steps.current(revision, stable)
    return step.weight if step else 0


def intent(revisions: Iterable[Revision], ready: Container[str]) -> RouteIntent | None:
    """What the route must say; None if nobody may receive traffic.

    Copies go only to a revision named in ``ready``: a mirror whose Service is gone makes Envoy Gateway refuse
    the whole rule, the stable revision's requests with it (ADR 002).

    With r1 stable in lane 0 and r2 at 25 % in lane 1: ``(r1: 750000, r2: 250000)``.
    With r1 alone: ``(r1: 999999, r1: 1)``.
    """
    everyone = list(revisions)
    base = base_of(everyone)
    if base is None:
        return None
    stable = stable_of(everyone)
    home = base.status.lane or 0
    other = occupant([r for r in everyone if r is not base], 1 - home)
    part = SLIVER
    if other is not None:
        part = min(max(share(other, stable) * WHOLE // 100, SLIVER), WHOLE - SLIVER)
    pair = [LaneBackend(base.name, WHOLE - part), LaneBackend((other or base).name, part)]
    first, second = pair if home == 0 else reversed(pair)
    return RouteIntent(lanes=(first, second), mirror=_mirror(everyone, stable, ready))


def _mirror(revisions: list[Revision], stable: Revision | None, ready: Container[str]) -> Mirror | None:
    for revision in revisions:
        step = steps.current(revision, stable) if revision.phase is RevisionPhase.PROGRESSING else None
        if step is not None and step.mirror and revision.name in ready:
            return Mirror(revision.name, step.mirror)
    return None


def clean_since(revision: Revision, revisions: Iterable[Revision]) -> datetime:
    """The time after which no other revision had a real share of this revision's lane."""
    others = (r.status.finished_at for r in revisions if r.name != revision.name)
    return max((t for t in others if t is not None), default=revision.spec.requested_at)


def percentages(route: RouteIntent) -> dict[str, int]:
    """The shares in whole percent, by revision; they sum to 100. A sliver counts as 0."""
    shares: dict[str, int] = {}
    for lane in route.lanes:
        shares[lane.revision] = shares.get(lane.revision, 0) + lane.weight
    largest = max(shares, key=lambda name: shares[name])
    rounded = {name: (weight + SLIVER) * 100 // WHOLE for name, weight in shares.items()}
    rounded[largest] += 100 - sum(rounded.values())
    return rounded
