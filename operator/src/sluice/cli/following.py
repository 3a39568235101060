"""Following: whether a release has ended, and one line for each thing that happens on the way."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from sluice.api.modeldeployment import Phase
from sluice.cli import palette
from sluice.cli.palette import DIM, line
from sluice.cli.release import Release
from sluice.cli.trouble import Exit


def ending(release: Release) -> Exit | None:
    """How the release that the spec asks for ended; None while it has not, or was not looked at yet."""
    if not release.fresh:
        return None
    if release.status.phase is Phase.HEALTHY:
        return Exit.OK
    return Exit.FAILED if release.status.phase is Phase.DEGRADED else None


def moment(release: Release) -> tuple[object, ...]:
    """What, when it differs, is worth a line."""
    said = release.status
    step = (said.step.index, said.step.started_at is None) if said.step else None
    verdicts = tuple((m.name, m.verdict) for m in said.monitors or ()) if said.candidate_revision else ()
    blocked = said.governance.blocked_by if said.governance else None
    return release.fresh, said.phase, said.candidate_revision, said.stable_revision, step, verdicts, blocked


def event(release: Release, now: datetime) -> Text:
    """The line."""
    said = release.status
    step = f"step {said.step.index} of {said.step.of} · {said.step.weight} %" if said.step else ""
    verdicts = Text(" ").join(
        Text(f"{palette.VERDICTS[m.verdict][0]}{m.name}", style=palette.VERDICTS[m.verdict][1])
        for m in (said.monitors or () if said.candidate_revision else ())
    )
    return line(
        (now.strftime("%H:%M:%S"), DIM),
        palette.phase(said.phase),
        said.candidate_revision or said.stable_revision or "",
        (step, "cyan"),
        verdicts,
        (said.message or "", DIM),
    )
