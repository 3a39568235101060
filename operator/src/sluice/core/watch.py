"""Watch: what goes on after a promotion. The gauges of a release are read on what serves, as long as it does.

A gate that fails once may have seen a bad minute. One that fails for as long as ``spec.watch.sustained``, without a
pass in between, is a breach: it is put on record, MonitorsPassing becomes False and, where the spec says so, the
traffic goes back to the revision before, while that still runs.

Only service levels with limits of their own are watched. Drift, and service levels that only compare, need another
revision in the same traffic to compare with; there is none at rest, and a training reference in its place holds good
models back.
"""

from __future__ import annotations

from sluice.api.base import format_time
from sluice.api.modeldeployment import MonitorUse, OnBreach
from sluice.api.modelrevision import Failing, RevisionPhase
from sluice.api.record import RecordKind
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import identity, lanes, reasons, steps
from sluice.core.draft import Draft
from sluice.core.gates import Judgement
from sluice.core.plan import Evaluation
from sluice.core.steps import PlannedStep, StepKind
from sluice.core.world import Revision, WorkloadState

_SERVING = PlannedStep(StepKind.WEIGHT, weight=100)


def watched(draft: Draft) -> Revision | None:
    """The revision that is watched: it has all the traffic, and no release is in progress."""
    at_rest = draft.candidate is None and draft.create is None
    return draft.stable if draft.world.spec.watch is not None and at_rest else None


def evaluations(draft: Draft) -> tuple[Evaluation, ...]:
    """What must be measured of what serves."""
    revision = watched(draft)
    if revision is None or revision.status.promoted_at is None or revision.status.lane is None:
        return ()
    return tuple(
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
        )
        for use in draft.world.spec.monitors
        if (monitor := draft.world.monitor(use)) is not None
        and monitor.slo is not None
        and steps.applicable(monitor, _SERVING, None)
    )


def judge(draft: Draft) -> Judgement | None:
    """What the gauges say of what serves; None where nothing is watched."""
    revision, wanted = watched(draft), evaluations(draft)
    if revision is None or not wanted:
        return None
    return Judgement(tuple(_measured(draft, revision, item.use) for item in wanted))


def _measured(draft: Draft, revision: Revision, use: MonitorUse) -> MonitorResult:
    result, promoted = draft.world.results.get((revision.name, use.name)), revision.status.promoted_at
    if result is None or result.observed_at is None or promoted is None or result.observed_at < promoted:
        message = "not measured since it was promoted"
        return MonitorResult(
            name=use.name, verdict=Verdict.INCONCLUSIVE, reason=reasons.NOT_EVALUATED, message=message, mode=use.mode
        )
    return result.model_copy(update={"mode": use.mode})


def observe(draft: Draft) -> None:
    """Note what fails on what serves, since when, and whether that is a breach; go back, where the spec says so."""
    judged, stable = judge(draft), draft.stable
    if stable is None:
        return
    if judged is None:
        _rest(draft, stable)
        return
    verdicts = {result.name: result.verdict for result in judged.gating}
    for before in stable.status.breached:
        if verdicts.get(before.monitor) not in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR):
            _recover(draft, before, passes=before.monitor in verdicts)
    _fail(draft, draft.latest(stable), judged)
    _return(draft, draft.latest(stable))


def _rest(draft: Draft, stable: Revision) -> None:
    """Nobody looks: what failed a while ago may have passed since. A breach outlasts a release that is under way."""
    draft.update(stable, failing=[])
    if draft.world.spec.watch is None or watched(draft) is not None:
        for before in stable.status.breached:
            _recover(draft, before, passes=False)


def _recover(draft: Draft, before: Failing, *, passes: bool) -> None:
    stable = draft.stable
    assert stable is not None, "what serves is what was breached"
    revision = draft.update(stable, breached=[b for b in stable.status.breached if b.monitor != before.monitor])
    message = f"{before.monitor} {'passes again' if passes else 'is not watched any more'}"
    draft.note(revision, RecordKind.RECOVERED, reasons.RECOVERED, message)
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
        item = before or Failing(monitor=result.name, since=draft.now)
        if draft.now < item.since + watch.sustained:
            draft.wake(item.since + watch.sustained)
            failing.append(item)
        else:
            _breach(draft, item, result)
    draft.update(draft.latest(stable), failing=failing)


def _breach(draft: Draft, item: Failing, result: MonitorResult) -> None:
    stable = draft.stable
    assert stable is not None, "what serves is what is breached"
    revision = draft.update(stable, breached=[*stable.status.breached, item])
    message = f"{item.monitor} fails since {format_time(item.since)}: {result.message}"
    draft.note(revision, RecordKind.BREACHED, reasons.BREACHED, message)
    draft.say(reasons.BREACHED, f"{revision.name}: {message}; {_consequence(draft)}", revision, warn=True)


def _consequence(draft: Draft) -> str:
    watch, earlier = draft.world.spec.watch, predecessor(draft)
    if watch is None or watch.on_breach is OnBreach.ALERT:
        return "it serves on, as spec.watch.onBreach says"
    if earlier is None:
        return "it serves on: no earlier revision runs any more that could take over"
    return f"{earlier.name} takes over"


def predecessor(draft: Draft) -> Revision | None:
    """The revision that was stable before this one, and could be again at once; never one that breached itself."""
    ready = [
        revision
        for revision in draft.revisions
        if revision.phase is RevisionPhase.PROMOTED
        and revision.running
        and revision.status.finished_at is not None
        and not revision.status.breached
        and draft.world.workload(revision).state is WorkloadState.READY
    ]
    return lanes.stable_of(ready)


def _return(draft: Draft, stable: Revision) -> None:
    """Ask for the revision before; the rollout's own rules do the rest, as when a person asks for it."""
    watch, target, earlier = draft.world.spec.watch, draft.target, predecessor(draft)
    if (
        watch is None
        or watch.on_breach is not OnBreach.ROLLBACK
        or not stable.status.breached
        or target is None
        or target.name != stable.name
        or earlier is None
    ):
        return
    failed = ", ".join(item.monitor for item in stable.status.breached)
    message = f"{stable.name} breached {failed}: the traffic returns to {earlier.name}"
    asked_at = draft.later_than(target.targeted_at)
    earlier = draft.update(earlier, source=identity.source(draft.world.spec), targeted_at=asked_at)
    draft.note(earlier, RecordKind.REUSED, reasons.RETURNED, message)
    draft.say(reasons.RETURNED, message, earlier, warn=True)


def left(draft: Draft) -> Revision | None:
    """The revision that the spec asks for and that was left for a breach, if that is why another one serves."""
    stable, asked = draft.stable, draft.world.spec.model.version
    return next(
        (
            revision
            for revision in draft.revisions
            if revision.status.breached and revision.spec.model.version == asked and revision != stable
        ),
        None,
    )
