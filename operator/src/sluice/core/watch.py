"""Watch: what goes on after a promotion. The gauges of a release are read on what serves, as long as it does.

A gate that fails once may have seen a bad minute. One that fails for as long as ``spec.watch.sustained``, without a
pass and without as long a silence in between, is a breach: it is put on record, MonitorsPassing becomes False and,
where the spec says so, the traffic goes back to the revision before, while that still runs.

Watched are the workload, service levels and performance with limits of their own, webhooks, and drift that is told to
look on: then what serves is compared with its own first time (``vigil.py``). What else compares needs another revision
in the same traffic; there is none at rest, and a training reference in its place holds good models back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sluice.api.base import format_time
from sluice.api.modeldeployment import MonitorMode, MonitorUse
from sluice.api.modelmonitor import DriftWatch, ModelMonitorSpec
from sluice.api.modelrevision import Failing, NoticeKind, RevisionPhase
from sluice.api.record import RecordKind
from sluice.api.verdict import LookKind, MonitorResult, Verdict
from sluice.api.watch import OnBreach
from sluice.core import gates, lanes, outbox, reasons, vigil
from sluice.core.draft import Draft
from sluice.core.gates import Judgement
from sluice.core.plan import Evaluation
from sluice.core.world import Revision, WorkloadState

_NOTES = 4
"""How often it is noted within spec.watch.sustained that a gauge still fails."""
_AGAIN = timedelta(seconds=5)
"""When to look again whether a gauge still fails, once it has for long enough."""
_LATE = timedelta(minutes=1)
"""How late an answer may come of whoever is asked now and then. On a busy cluster each does, and what fails in every
one of them fails all the time."""


def watched(draft: Draft) -> Revision | None:
    """The revision that is watched: what serves, until a candidate has begun to take steps and is measured instead."""
    candidate = draft.candidate
    moving = candidate is not None and any(step.started_at is not None for step in candidate.status.steps)
    return draft.stable if draft.world.spec.watch is not None and not moving else None


def evaluations(draft: Draft) -> tuple[Evaluation, ...]:
    """What must be measured of what serves."""
    revision = watched(draft)
    if revision is None or revision.status.promoted_at is None or revision.status.lane is None:
        return ()
    wanted: list[Evaluation] = []
    for use in draft.world.spec.monitors:
        monitor = draft.world.monitor(use)
        if monitor is None or not vigil.speaks(monitor):
            continue
        watch = _looking(monitor)
        look = vigil.due(revision.status.promoted_at, watch, draft.now) if watch is not None else None
        if watch is not None and look is None:
            continue
        wanted.append(
            Evaluation(
                namespace=draft.world.namespace,
                deployment=draft.world.name,
                revision=revision.name,
                use=use,
                monitor=monitor,
                since=revision.status.promoted_at,
                lane=revision.status.lane,
                lane_clean_since=lanes.clean_since(revision, draft.revisions),
                stable=None,
                stable_lane=None,
                mirrored=False,
                weight=100,
                look=look,
                alpha=vigil.alpha(draft.world, watch) if watch is not None else None,
                model=revision.spec.model,
                born=gates.asked_for(revision),
            )
        )
    return tuple(wanted)


def judge(draft: Draft) -> Judgement | None:
    """What the gauges say of what serves, its workload first; None where nothing is watched."""
    revision = watched(draft)
    if revision is None:
        return None
    results = [_workload(draft, revision)]
    for stated in draft.world.spec.monitors:
        use, monitor = _deciding(stated), draft.world.monitor(stated)
        if monitor is None:
            results.append(gates.missing_monitor(use))
        elif vigil.speaks(monitor):
            results.append(_measured(draft, revision, use, _looking(monitor)))
        elif stated.mode is MonitorMode.WATCH and monitor.workload is None:
            results.append(_silent(use, monitor))
    return Judgement(tuple(results))


def _deciding(use: MonitorUse) -> MonitorUse:
    """A use as it is meant here, where mode Watch decides."""
    return use.model_copy(update={"mode": MonitorMode.GATE}) if use.mode is MonitorMode.WATCH else use


def _looking(monitor: ModelMonitorSpec) -> DriftWatch | None:
    """How a drift monitor looks on; None where it does not, or is none."""
    return monitor.drift.watch if monitor.drift is not None else None


def _silent(use: MonitorUse, monitor: ModelMonitorSpec) -> MonitorResult:
    """What a gauge comes to that is to decide here, and never could."""
    remedy = "give it limits of its own"
    if monitor.drift is not None:
        remedy = "give it spec.drift.watch, to compare what serves with its own first time"
    elif monitor.evaluation is not None:
        remedy = "golden data is asked before the first step only"
    message = f"mode Watch, but {use.name} has nothing to say after the promotion: {remedy}, or use another mode"
    return MonitorResult(
        name=use.name, verdict=Verdict.ERROR, reason=reasons.SILENT_AT_REST, message=message, mode=use.mode
    )


def _workload(draft: Draft, revision: Revision) -> MonitorResult:
    """Whether any pod answers. Restarts do not count: over months, every pod has some."""
    use, _ = gates.workload_limits(draft.world, revision)
    workload = draft.world.workload(revision)
    verdict, reason, message = Verdict.INCONCLUSIVE, workload.reason, workload.message
    if workload.state is WorkloadState.READY:
        verdict, reason, message = Verdict.PASS, reasons.WORKLOAD_READY, "all pods are ready"
    elif workload.available == 0:
        verdict, message = Verdict.FAIL, f"no pod answers: {message}"
    return MonitorResult(name=use.name, verdict=verdict, reason=reason, message=message, observed_at=draft.now)


def _measured(draft: Draft, revision: Revision, use: MonitorUse, watch: DriftWatch | None) -> MonitorResult:
    result, promoted = draft.world.results.get((revision.name, use.name)), revision.status.promoted_at
    if result is not None and result.observed_at is not None and promoted is not None and result.observed_at < promoted:
        result = None
    if watch is not None and promoted is not None and _early(draft, result, vigil.first_due(promoted, watch)):
        return _too_early(use, promoted, watch)
    if result is None or result.observed_at is None or promoted is None:
        message = "not measured since it was promoted"
        return MonitorResult(
            name=use.name, verdict=Verdict.INCONCLUSIVE, reason=reasons.NOT_EVALUATED, message=message, mode=use.mode
        )
    return result.model_copy(update={"mode": use.mode})


def _early(draft: Draft, result: MonitorResult | None, first: datetime) -> bool:
    """Whether nothing can be told yet. That nobody answers can."""
    if result is not None and result.verdict is Verdict.ERROR:
        return False
    return draft.now < first or (result is not None and result.look is LookKind.REFERENCE)


def _too_early(use: MonitorUse, promoted: datetime, watch: DriftWatch) -> MonitorResult:
    """What a drift monitor comes to that has nothing to compare with yet: it decides nothing."""
    moments = promoted + watch.reference, vigil.first_due(promoted, watch)
    whole, due = (format_time(moment.replace(microsecond=0)) for moment in moments)
    message = f"compared with what it is asked and answers until {whole}; the first look is due at {due}"
    return MonitorResult(
        name=use.name,
        verdict=Verdict.INCONCLUSIVE,
        reason=reasons.REFERENCE_INCOMPLETE,
        message=message,
        mode=MonitorMode.OBSERVE,
    )


def observe(draft: Draft) -> None:
    """Note what fails on what serves, since when, and whether that is a breach; go back, where the spec says so."""
    judged, stable = judge(draft), draft.stable
    if stable is None:
        return
    if judged is None:
        _rest(draft, stable)
        return
    _await_looks(draft, stable)
    verdicts = {result.name: result.verdict for result in judged.gating}
    for before in stable.status.breached:
        verdict = verdicts.get(before.monitor)
        if verdict in (None, Verdict.PASS):
            _recover(draft, before, passes=verdict is Verdict.PASS)
    _fail(draft, draft.latest(stable), judged)
    _return(draft, draft.latest(stable), judged)


def _await_looks(draft: Draft, stable: Revision) -> None:
    promoted = stable.status.promoted_at
    for monitor in map(draft.world.monitor, draft.world.spec.monitors):
        watch = _looking(monitor) if monitor is not None else None
        if watch is not None and promoted is not None:
            draft.wake(vigil.next_due(promoted, watch, draft.now))


def _rest(draft: Draft, stable: Revision) -> None:
    """Nobody looks: what failed a while ago may have passed since. A breach outlasts a release that is under way."""
    draft.update(stable, failing=[])
    if draft.world.spec.watch is None:
        for before in stable.status.breached:
            _recover(draft, before, passes=False)


def _recover(draft: Draft, before: Failing, *, passes: bool) -> None:
    stable = draft.stable
    assert stable is not None, "what serves is what was breached"
    revision = draft.update(stable, breached=[b for b in stable.status.breached if b.monitor != before.monitor])
    message = f"{before.monitor} {'passes again' if passes else 'is not watched any more'}"
    draft.note(revision, RecordKind.RECOVERED, reasons.RECOVERED, message)
    outbox.put(draft, revision, NoticeKind.RECOVERED, before.monitor, message)
    draft.say(reasons.RECOVERED, f"{revision.name}: {message}", revision)


def _fail(draft: Draft, stable: Revision, judged: Judgement) -> None:
    watch = draft.world.spec.watch
    assert watch is not None, "only what is watched is judged"
    known = {item.monitor: item for item in stable.status.failing}
    already = {item.monitor for item in stable.status.breached}
    failing: list[Failing] = []
    for result in judged.gating:
        before = known.get(result.name)
        if result.name in already or result.verdict is Verdict.PASS:
            continue
        if result.verdict is not Verdict.FAIL:
            failing += [before] if before is not None else []  # nobody can tell whether it is over
            continue
        seen, (interval, late) = result.observed_at or draft.now, _rhythm(draft, result.name)
        item = _seen(result.name, before, seen, watch.sustained, interval + late)
        if seen < item.since + watch.sustained:
            due = min(item.since + watch.sustained, item.seen_at + watch.sustained / _NOTES)
            draft.wake(max(due, seen + interval, draft.now + _AGAIN))  # it says nothing new before
            failing.append(item)
        else:
            _breach(draft, item, result)
    draft.update(draft.latest(stable), failing=failing)


def _seen(monitor: str, before: Failing | None, at: datetime, sustained: timedelta, apart: timedelta) -> Failing:
    """A gauge that was seen to fail at a time. If nobody could tell for long, two bad moments are not one bad time.

    Args:
        monitor: its name.
        before: what is known of it, if it failed before.
        at: when it was seen to.
        sustained: spec.watch.sustained.
        apart: how far apart two of its answers may be.
    """
    if before is None or at - before.seen_at > max(sustained, 2 * _AGAIN) + apart:
        return Failing(monitor=monitor, since=at, seen_at=at)
    if at - before.seen_at >= sustained / _NOTES:
        return before.model_copy(update={"seen_at": at})
    return before


class _Rhythm(NamedTuple):
    """How a gauge is read that is not read at each round."""

    interval: timedelta = timedelta(0)
    """How seldom."""
    late: timedelta = timedelta(0)
    """How much later than that an answer may come."""


def _rhythm(draft: Draft, name: str) -> _Rhythm:
    monitors = (draft.world.monitor(use) for use in draft.world.spec.monitors if use.name == name)
    return max((_rhythm_of(monitor) for monitor in monitors if monitor is not None), default=_Rhythm())


def _rhythm_of(monitor: ModelMonitorSpec) -> _Rhythm:
    if (look := _looking(monitor)) is not None:
        return _Rhythm(look.every)  # looks have their moments, however late they are taken
    if monitor.interval is None:
        return _Rhythm()
    asked = monitor.webhook
    tries = asked.timeout * (asked.retries + 1) if asked is not None else timedelta(0)
    return _Rhythm(monitor.interval, _LATE + tries)


def _breach(draft: Draft, item: Failing, result: MonitorResult) -> None:
    stable = draft.stable
    assert stable is not None, "what serves is what is breached"
    revision = draft.update(stable, breached=[*stable.status.breached, item])
    message = f"{item.monitor} fails since {format_time(item.since)}: {result.message}"
    draft.note(revision, RecordKind.BREACHED, reasons.BREACHED, message)
    told = f"{message}; {_way_back(draft).consequence}"
    outbox.put(draft, revision, NoticeKind.BREACHED, item.monitor, told)
    draft.say(reasons.BREACHED, f"{revision.name}: {told}", revision, warn=True)


class _WayBack(NamedTuple):
    """Where the traffic goes after a breach, and that in words."""

    revision: Revision | None
    consequence: str


def _way_back(draft: Draft) -> _WayBack:
    """The revision that was stable before this one, if the spec wants it and it can take over at once.

    Never a later one, which was left for a reason that no gauge need see; nor one that breached itself, and then none.
    """
    watch, stable, candidate = draft.world.spec.watch, draft.stable, draft.candidate
    if watch is None or stable is None or watch.on_breach is OnBreach.ALERT:
        return _WayBack(None, "it serves on, as spec.watch.onBreach says")
    if candidate is not None or draft.create is not None:
        coming = candidate.name if candidate is not None else "the next revision"
        return _WayBack(None, f"it serves on until {coming} is released")
    promoted = [r for r in draft.revisions if r.phase is RevisionPhase.PROMOTED and r.number < stable.number]
    earlier = max(promoted, key=lambda r: (r.status.promoted_at or r.targeted_at, r.number), default=None)
    if earlier is None or not earlier.running or earlier.status.breached:
        return _WayBack(None, "it serves on: the revision before does not run any more, or breached itself")
    if draft.world.workload(earlier).state is not WorkloadState.READY:
        return _WayBack(None, f"it serves on until {earlier.name} is ready")
    return _WayBack(earlier, f"{earlier.name} takes over")


def _return(draft: Draft, stable: Revision, judged: Judgement) -> None:
    """Ask for the revision before; the rollout's own rules do the rest, as when a person asks for it."""
    failing = {result.name for result in judged.gating if result.verdict is Verdict.FAIL}
    failed = [item.monitor for item in stable.status.breached if item.monitor in failing]
    target, earlier = draft.target, _way_back(draft).revision
    if not failed or target is None or earlier is None:
        return
    if target.name != stable.name and target.phase is RevisionPhase.PROMOTED:
        return  # somebody asked for another already, which is not ready yet
    message = f"{stable.name} breached {', '.join(failed)}, and the traffic returned to {earlier.name}"
    earlier = draft.update(
        earlier,
        source=target.source,  # what was stated and acted on: a later edit is still to be
        targeted_at=draft.later_than(target.targeted_at),
        reason=reasons.RETURNED,
        message=message,
    )
    draft.note(earlier, RecordKind.REUSED, reasons.RETURNED, message)
    draft.say(reasons.RETURNED, message, earlier, warn=True)
