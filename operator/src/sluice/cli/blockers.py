"""Blockers: what holds a release back, why, who can mend it, and with which command. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sluice.api.base import ConditionStatus
from sluice.api.governance import ApprovalState, ControlResult, ControlVerdict
from sluice.api.governancepolicy import Mode
from sluice.api.modeldeployment import Phase
from sluice.api.verdict import MonitorResult, Verdict
from sluice.cli.palette import BAD, DIM, OK, WAIT, line
from sluice.cli.release import Release
from sluice.core import reasons

_TOLD = ("Ready", "ModelResolved", "Progressing", "MonitorsPassing")
_HARMLESS = {"RevisionPromoted", "Holding", "NoMonitors", "AllPassing", "NotEvaluated", "Serving"}


@dataclass(frozen=True)
class Blocker:
    """One thing in the way. ``stops``: the release cannot go on, or has ended; otherwise it only needs time."""

    what: str
    why: str
    who: str
    command: str
    stops: bool = True


def find(release: Release, may: Mapping[str, bool | None]) -> list[Blocker]:
    """All that is in the way, worst first. ``may``: for each role, whether the person asking may approve in it."""
    found = [_approval(release, a, may=may.get(a.role)) for a in _lacking(release)]
    governed = release.status.governance
    found = [_control(release, c) for c in (governed.controls if governed else ()) if _blocks(c)] + found
    found += _paused(release)
    found += _conditions(release)
    found += _monitors(release)
    return sorted(found, key=lambda b: not b.stops)


def roles(release: Release) -> list[str]:
    """The roles in which an approval is lacking."""
    return [a.role for a in _lacking(release)]


def render(release: Release, blockers: list[Blocker]) -> RenderableType:
    """The answer."""
    if not blockers:
        phase = release.status.phase
        if not release.fresh:
            said = "the operator has not looked at the present spec yet; is it running?"
            return line(("◌", WAIT), said)
        where = f"{release.status.message}" if release.status.message else f"it is {phase}"
        return line(("✔ nothing is in the way", OK), where)
    parts: list[RenderableType] = []
    for blocker in blockers:
        mark, style = ("✖", BAD) if blocker.stops else ("◔", WAIT)
        parts.append(line((f"{mark} {blocker.what}", f"bold {style}")))
        parts += [_entry(word, text) for word, text in (("why", blocker.why), ("who", blocker.who)) if text]
        parts += [
            Text(f"     $ {command}", style="cyan", no_wrap=True, overflow="ignore")
            for command in blocker.command.splitlines()
        ]
        parts.append(Text())
    return Group(*parts[:-1])


def _entry(word: str, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(word, style=DIM), Text(text))
    return Padding(grid, (0, 0, 0, 3), expand=False)


def document(blocker: Blocker) -> dict[str, object]:
    """For ``-o json``."""
    return {
        "what": blocker.what,
        "why": blocker.why,
        "who": blocker.who,
        "commands": blocker.command.splitlines(),
        "stops": blocker.stops,
    }


def _blocks(control: ControlResult) -> bool:
    return control.mode is Mode.ENFORCE and control.verdict in (ControlVerdict.FAIL, ControlVerdict.ERROR)


def _lacking(release: Release) -> list[ApprovalState]:
    governed = release.status.governance
    return [a for a in governed.approvals if a.given < a.required] if governed else []


def _approval(release: Release, state: ApprovalState, *, may: bool | None) -> Blocker:
    missing = state.required - state.given
    people = "one person" if missing == 1 else f"{missing} people"
    why = f"{state.given} of {state.required} given; needed before {state.before.lower()}"
    void = [
        f"{a.username}'s does not count: {a.message or a.standing}" for a in state.approvals if a.standing != "Counts"
    ]
    you = {True: "; you may", False: "; you may not", None: ""}[may]
    command = f"kubectl sluice approve {release.name} -n {release.namespace} --role {state.role}"
    if may is False:
        command = (
            f"kubectl auth can-i approve-{state.role} modeldeployments.sluice.dev -n {release.namespace}\n"
            f"kubectl create role approve-{state.role} -n {release.namespace} --verb=approve-{state.role} "
            "--resource=modeldeployments.sluice.dev\n" + command
        )
    return Blocker(
        what=f"approval by {state.role}",
        why="; ".join([why, *void]),
        who=f"{people} with the verb approve-{state.role} on modeldeployments{you}",
        command=command,
    )


def _control(release: Release, control: ControlResult) -> Blocker:
    where = f"{release.name} -n {release.namespace}"
    command = f"kubectl sluice status {where} --all"
    if not control.id.startswith(("GOV-APP-", "GOV-AUD-")):
        command = f"kubectl sluice exception {where} --control {control.id} --reason … --ticket … --expires 30d"
    source = {"Declared": "declared by the team", "Derived": "worked out by Sluice", "Verified": "verified"}
    return Blocker(
        what=f"{control.id} {control.verdict} ({control.severity.lower()}, {source[control.assurance]})",
        why=control.message or "it does not pass",
        who="the team that states it; the message says where" if control.assurance == "Declared" else "",
        command=command,
    )


def _paused(release: Release) -> list[Blocker]:
    if release.status.phase is not Phase.PAUSED:
        return []
    where = f"{release.name} -n {release.namespace}"
    return [
        Blocker(
            "the release is paused",
            release.status.message or "",
            "whoever may create modeldecisions here",
            f"kubectl sluice resume {where}\nkubectl sluice abort {where} --reason …",
        )
    ]


def _conditions(release: Release) -> list[Blocker]:
    found = []
    told: set[str] = set()
    for condition in release.status.conditions:
        bad = condition.status is ConditionStatus.FALSE or (
            condition.type == "ModelResolved" and condition.status is ConditionStatus.UNKNOWN
        )
        if condition.type not in _TOLD or not bad or condition.reason in _HARMLESS or condition.message in told:
            continue
        told.add(condition.message)
        again = release.status.phase is Phase.DEGRADED and condition.type == "Progressing"
        where = f"{release.name} -n {release.namespace}"
        command = f"kubectl sluice status {where}"
        if again:
            command = f"kubectl sluice diff {where}\nkubectl sluice retry {where}"
        found.append(
            Blocker(
                f"{condition.type}: {condition.reason}",
                condition.message,
                "the model's team: change the spec and apply" if again else "",
                command,
                stops=condition.status is ConditionStatus.FALSE,
            )
        )
    return found


def _monitors(release: Release) -> list[Blocker]:
    if release.status.candidate_revision is None:
        return []
    waiting = [
        m
        for m in release.status.monitors or ()
        if m.mode == "Gate" and m.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR)
    ]
    where = f"{release.name} -n {release.namespace}"
    return [
        Blocker(
            f"{m.name} {m.verdict}",
            m.message or m.reason,
            _helps(m),
            f"kubectl sluice promote {where} --reason … --ticket …",
            stops=False,
        )
        for m in waiting
    ]


def _helps(result: MonitorResult) -> str:
    if result.reason == reasons.EVALUATING:
        return "wait until its Job has asked all golden data"
    if result.reason == reasons.EVALUATION_NOT_MADE:
        return "the model's team or the platform team, as it says"
    if result.verdict is Verdict.INCONCLUSIVE:
        return "wait for enough requests"
    return "the platform team: its source does not answer"
