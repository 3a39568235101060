"""Tree: a deployment as people see it: revisions, what runs, steps, verdicts, approvals, controls."""

from __future__ import annotations

from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from sluice.api.base import format_duration
from sluice.api.governance import ApprovalState, ControlVerdict, GovernanceStatus
from sluice.api.modelrevision import RevisionPhase
from sluice.api.verdict import MonitorResult, Verdict
from sluice.cli import palette, times
from sluice.cli.palette import BAD, DIM, NOW, OK, WAIT, line
from sluice.cli.plan import StepState, StepView, steps_of
from sluice.cli.release import Release, Running
from sluice.core.steps import StepKind
from sluice.core.world import Revision, WorkloadState

_STEPS = {
    StepState.DONE: ("✔", OK),
    StepState.CURRENT: ("◑", NOW),
    StepState.FAILED: ("✖", BAD),
    StepState.AHEAD: ("○", DIM),
}
_WORKLOADS = {
    WorkloadState.READY: ("✔", OK),
    WorkloadState.STARTING: ("◌", NOW),
    WorkloadState.FAILED: ("✖", BAD),
    WorkloadState.ABSENT: ("–", DIM),
}
_QUIET = (ControlVerdict.PASS, ControlVerdict.SKIPPED)


def render(release: Release, now: datetime, *, wide: bool = False) -> RenderableType:
    """The whole picture. ``wide`` shows every revision and every control, not only what matters now."""
    tree = Tree(_head(release), guide_style="bright_black")
    shown = [r for r in release.revisions if wide or _matters(release, r)]
    for revision in reversed(shown):
        _revision(tree, release, revision, now)
    if hidden := len(release.revisions) - len(shown):
        tree.add(Text(f"{hidden} earlier: kubectl sluice history {release.name}", style=DIM))
    if release.status.governance is not None:
        _governance(tree, release.status.governance, wide=wide)
    after = _next(release)
    return Group(tree, *([Text(), after] if after.plain else []))


def _head(release: Release) -> RenderableType:
    status = release.status
    step = status.step
    where = f"step {step.index} of {step.of} · {step.weight} % live" if step else ""
    title = line((f"{release.namespace}/{release.name}", "bold"), palette.phase(status.phase), (where, NOW), gap="   ")
    lines: list[RenderableType] = [title]
    if status.message:
        lines.append(Text(status.message))
    if not release.fresh:
        lines.append(Text("the spec was changed since; the operator has not looked at it yet", style=WAIT))
    if status.url:
        lines.append(Text(status.url, style=DIM))
    return Group(*lines)


def _matters(release: Release, revision: Revision) -> bool:
    status = release.status
    if revision.name in (status.stable_revision, status.candidate_revision):
        return True
    latest = max(release.revisions, key=lambda r: r.targeted_at)
    kept = revision.phase is RevisionPhase.PROMOTED and revision.name in (release.running or {})
    return kept or revision.in_progress or revision.name == latest.name or bool(release.weight(revision.name))


def _revision(tree: Tree, release: Release, revision: Revision, now: datetime) -> None:
    mark, style = palette.REVISIONS[revision.phase]
    weight = release.weight(revision.name)
    share = palette.bar(weight) + Text(f" {weight} %") if weight is not None else Text()
    model = revision.spec.model
    version = f"{model.name} v{model.version}" + (f" ({model.alias})" if model.alias else "")
    branch = tree.add(
        line(
            (f"{mark} {revision.name}", f"bold {style}"),
            version,
            (_part(release, revision), DIM),
            share,
            (_when(revision, now), DIM),
        )
    )
    if revision.phase is RevisionPhase.ROLLED_BACK and revision.status.message:
        branch.add(line((revision.status.reason or "", BAD), revision.status.message))
    _workload(branch, release, revision)
    views = steps_of(release, revision)
    if revision.in_progress or revision.phase is RevisionPhase.ROLLED_BACK:
        for view in views:
            _step(branch, view, now)


def _part(release: Release, revision: Revision) -> str:
    if revision.name == release.status.stable_revision:
        return "stable"
    if revision.name == release.status.candidate_revision:
        return "candidate"
    if revision.phase is not RevisionPhase.PROMOTED:
        return ""
    return "kept for rollback" if revision.running else "retired"


def _when(revision: Revision, now: datetime) -> str:
    status = revision.status
    if revision.in_progress:
        return f"asked for {times.ago(revision.targeted_at, now)}"
    ended = status.promoted_at if revision.phase is RevisionPhase.PROMOTED else status.finished_at
    words = {RevisionPhase.PROMOTED: "promoted", RevisionPhase.ROLLED_BACK: "rolled back"}
    return f"{words.get(revision.phase, 'superseded')} {times.ago(ended, now)}" if ended else ""


def _workload(branch: Tree, release: Release, revision: Revision) -> None:
    if release.running is None:
        branch.add(Text("workload not shown: you may not list InferenceServices, Deployments and Pods here", style=DIM))
        return
    running: Running | None = release.running.get(revision.name)
    if running is None:
        if revision.running and not revision.status.finished_at and revision.in_progress:
            branch.add(Text("– nothing runs yet", style=DIM))
        return
    mark, style = _WORKLOADS[running.workload.state]
    pods = f"{running.workload.available} available" if running.workload.available else ""
    node = branch.add(
        line(
            (f"{mark} InferenceService {revision.name}", style),
            str(running.workload.state),
            (pods, DIM),
            running.workload.message,
        )
    )
    for pod in running.pods:
        restarts = f"{pod.restarts} restarts" if pod.restarts else ""
        node.add(line(pod.name, (f"{pod.phase} {pod.ready}", DIM), (restarts, WAIT)))


def _step(branch: Tree, view: StepView, now: datetime) -> None:
    mark, style = _STEPS[view.state]
    what = {
        StepKind.SHADOW: f"shadow {view.mirror:>3} %",
        StepKind.WEIGHT: f"weight {view.weight:>3} %",
        StepKind.APPROVAL: f"approval by {view.role}",
    }[view.kind]
    dim = DIM if view.state is StepState.AHEAD else ""
    node = branch.add(line((f"{mark} {view.number}", style), (what, dim), (_held(view, now), DIM)))
    if view.state in (StepState.CURRENT, StepState.FAILED):
        for result in view.results:
            _result(node, result)


def _held(view: StepView, now: datetime) -> str:
    hold = format_duration(view.hold) if view.hold else ""
    if view.state is StepState.AHEAD:
        return f"hold {hold}" if hold else ""
    if view.started_at is None:
        return "not applied by the gateway" if view.finished_at else "waiting for the gateway"
    held = times.length((view.finished_at or now) - view.started_at)
    if view.state is StepState.CURRENT:
        return f"held {held} of {hold}" if hold else f"held {held}"
    return f"held {held}"


def _result(node: Tree, result: MonitorResult) -> None:
    mark, style = palette.VERDICTS[result.verdict]
    observed = "observed only" if result.mode != "Gate" else ""
    branch = node.add(
        line((f"{mark} {result.name}", style), (str(result.verdict), style), (figures(result), ""), (observed, DIM))
    )
    if result.verdict is not Verdict.PASS and result.message:
        branch.add(Text(result.message, style=DIM))


def figures(result: MonitorResult) -> str:
    """What was measured, in short."""
    parts = []
    if result.value is not None:
        parts.append(_number(result.value))
    if result.stable_value is not None:
        parts.append(f"stable {_number(result.stable_value)}")
    if result.samples is not None:
        parts.append(f"{result.samples:,} samples")
    return " · ".join(parts)


def _number(text: str) -> str:
    return f"{float(text):.4g}"


def _governance(tree: Tree, status: GovernanceStatus, *, wide: bool) -> None:
    counts = status.summary
    said = (
        [
            (counts.passed, "pass", OK),
            (counts.failed, "fail", BAD),
            (counts.errors, "error", WAIT),
            (counts.waived, "waived", WAIT),
            (counts.skipped, "skipped", DIM),
        ]
        if counts
        else []
    )
    words = Text(" · ").join(Text(f"{n} {word}", style=style) for n, word, style in said if n)
    policies = ", ".join(policy.name for policy in status.policies)
    branch = tree.add(line(("governance", "bold"), words, (policies, DIM)))
    for approval in status.approvals:
        _approval(branch, approval)
    for control in status.controls:
        if not wide and control.verdict in _QUIET:
            continue
        mark, style = palette.control(control)
        waiver = f"waived by {control.waiver}" if control.waiver else ""
        facts = f"{control.mode} · {control.severity} · {control.assurance}"
        node = branch.add(line((f"{mark} {control.id}", style), (facts, DIM), (waiver, WAIT)))
        if control.message and control.verdict is not ControlVerdict.PASS:
            node.add(Text(control.message))


def _approval(branch: Tree, approval: ApprovalState) -> None:
    done = approval.given >= approval.required
    mark, style = ("✔", OK) if done else ("◔", WAIT)
    needed = f"{approval.given} of {approval.required}" + ("" if done else f" before {approval.before.lower()}")
    node = branch.add(line((f"{mark} approval by {approval.role}", style), needed))
    for given in approval.approvals:
        counts = given.standing == "Counts"
        until = f"until {times.day(given.expires_at)}" if given.expires_at else ""
        word = "" if counts else given.standing
        why = Text(given.message, style=DIM) if not counts else Text()
        node.add(line((given.username, OK if counts else BAD), (word, BAD), (until, DIM), why))


def _next(release: Release) -> Text:
    governed = release.status.governance
    if governed is not None and governed.blocked_by:
        who = f"-n {release.namespace}"
        return line(("blocked by " + governed.blocked_by, BAD), (f"kubectl sluice why {release.name} {who}", DIM))
    return Text()
