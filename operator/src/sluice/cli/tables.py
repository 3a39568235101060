"""Tables: deployments, revisions, records and policies, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sluice.api.modeldeployment import ModelDeploymentStatus
from sluice.api.modelrevision import RevisionPhase
from sluice.api.record import Record, RecordKind
from sluice.cli import palette, times
from sluice.cli.palette import BAD, DIM, OK, WAIT
from sluice.cli.release import Release
from sluice.core.world import Revision

_RECORDS = {
    RecordKind.PROMOTED: OK,
    RecordKind.ROLLED_BACK: BAD,
    RecordKind.BREACHED: BAD,
    RecordKind.RECOVERED: OK,
    RecordKind.DECISION_SEEN: "cyan",
    RecordKind.PAUSED: WAIT,
    RecordKind.WAIVED: WAIT,
    RecordKind.EXPIRED: WAIT,
}


def plain(*columns: str, fold: Sequence[str] = ()) -> Table:
    """A table without lines, as kubectl's; columns in ``fold`` may wrap, all others stay whole."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", padding=(0, 1))
    for column in columns:
        table.add_column(column.upper(), no_wrap=column not in fold, overflow="fold")
    return table


def deployments(releases: Sequence[Release], *, everywhere: bool) -> RenderableType:
    """All deployments."""
    if not releases:
        return Text("no ModelDeployments here", style=DIM)
    first = ("namespace",) if everywhere else ()
    table = plain(
        *first, "name", "phase", "model", "stable", "candidate", "step", "live", "blocked by", fold=("blocked by",)
    )
    for release in releases:
        said = release.status
        model = release.spec.model
        version = f"v{model.version}" if model.version else f"@{model.alias}"
        live = release.weight(said.candidate_revision) if said.candidate_revision else None
        table.add_row(
            *((release.namespace,) if everywhere else ()),
            Text(release.name, style="bold"),
            palette.phase(said.phase),
            Text(f"{model.name} {version}"),
            Text(said.stable_revision or "–"),
            Text(said.candidate_revision or "–"),
            _step(said),
            palette.bar(live, 6) + Text(f" {live} %") if live is not None else Text(),
            Text((said.governance.blocked_by if said.governance else None) or "", style=BAD),
        )
    return table


def _step(said: ModelDeploymentStatus) -> Text:
    return Text(f"{said.step.index} of {said.step.of}") if said.step else Text("–", style=DIM)


def history(release: Release) -> RenderableType:
    """The revisions, the latest first: what became of each, who asked for it, when."""
    if not release.revisions:
        return Text(f"{release.name} has no revisions yet", style=DIM)
    table = plain("revision", "model", "outcome", "asked for", "by", "ended", "why", fold=("why",))
    for revision in reversed(release.revisions):
        model = revision.spec.model
        stable = Text(" (stable)", style=DIM) if revision.name == release.status.stable_revision else Text()
        table.add_row(
            Text(revision.name, style="bold") + stable,
            Text(f"{model.name} v{model.version}"),
            palette.revision(revision.phase),
            times.at(revision.targeted_at),
            Text(revision.spec.requester or "–"),
            times.at(ended(revision)),
            Text(revision.status.message or ""),
        )
    return table


def ended(revision: Revision) -> datetime | None:
    """When its release ended: promoted, or taken back."""
    if revision.phase is RevisionPhase.PROMOTED:
        return revision.status.promoted_at
    return revision.status.finished_at


def records(revision: Revision) -> RenderableType:
    """The record of one release."""
    if not revision.status.records:
        return Text(f"{revision.name} has no records: it was released before Sluice kept any", style=DIM)
    table = plain("#", "time", "what", "by", "why", "hash", fold=("why",))
    for record in revision.status.records:
        table.add_row(
            str(record.sequence),
            times.at(record.time),
            Text(record.kind, style=_RECORDS.get(record.kind, "")),
            Text(record.actor, style=DIM if record.actor == "sluice" else "bold"),
            _why(record),
            Text(record.hash.removeprefix("sha256:")[:12], style=DIM),
        )
    return table


def _why(record: Record) -> Text:
    return Text(record.message or record.reason)


def policies(rows: Sequence[dict[str, object]], name: str) -> RenderableType:
    """The policies that apply to a deployment."""
    if not rows:
        return Text(f"no GovernancePolicy applies to {name}", style=DIM)
    table = plain(
        "policy", "digest", "now", "controls", "approvals", "what it is for", fold=("approvals", "what it is for")
    )
    for row in rows:
        state = str(row["state"])
        table.add_row(
            Text(str(row["name"]), style="bold"),
            Text(str(row["digest"]).removeprefix("sha256:")[:12]),
            Text(state, style=OK if state == "Unchanged" else WAIT),
            str(row["controls"]),
            Text(", ".join(str(a) for a in row["approvals"]) or "–"),  # type: ignore[attr-defined]
            Text(str(row["description"] or "")),
        )
    return table
