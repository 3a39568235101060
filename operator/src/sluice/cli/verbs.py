"""Verbs: what a person does to a release. Each writes one object and nothing else; plain kubectl can do the same."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sluice.api.governance import ControlVerdict
from sluice.api.governancepolicy import Mode
from sluice.api.modeldecision import Action
from sluice.cli import acts, blockers, palette, release, times
from sluice.cli.acts import Wish
from sluice.cli.options import Name, RevisionOption, command
from sluice.cli.palette import BAD, DIM, OK, WAIT, line
from sluice.cli.release import Release
from sluice.cli.session import Output, Session
from sluice.cli.trouble import Exit, Trouble
from sluice.core.objects import Object
from sluice.edges.kinds import GOVERNANCE_EXCEPTIONS, MODEL_DECISIONS, Kind

PANEL = "Decide"
_PATIENCE = 60.0
_APPROVAL_LASTS = "90d"

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; it goes on record.")]
Ticket = Annotated[str | None, typer.Option(help="The ticket.")]
Expires = Annotated[str | None, typer.Option(metavar="WHEN", help="Until when it counts: 90d, 12h or 2027-03-31.")]
Role = Annotated[str | None, typer.Option(help="In which role; default: the one that is lacking, where it is clear.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the object as YAML, for kubectl create -f -.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is accepted, or refused (exit code 1).")]
Timeout = Annotated[float, typer.Option("--timeout", help="How long to wait, in seconds.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for action, say in _SAYS.items():
        if action in (Action.APPROVE, Action.REVOKE, Action.REJECT):
            continue
        _register_plain(app, action, say)

    async def approve(
        session: Session,
        name: Name,
        *,
        revision: RevisionOption = None,
        role: Role = None,
        reason: Reason = "",
        ticket: Ticket = None,
        expires: Expires = _APPROVAL_LASTS,
        max_weight: Annotated[
            int | None, typer.Option(min=1, max=100, help="The largest share of live traffic it covers, in percent.")
        ] = None,
        yes: Yes = False,
        dry_run: DryRun = False,
        wait: Wait = False,
        patience: Timeout = _PATIENCE,
    ) -> int:
        wish = Wish(Action.APPROVE, revision, role, reason, ticket, _until(expires), max_weight)
        return await act(session, name, wish, yes=yes, dry_run=dry_run, wait=wait, patience=patience)

    approve.__doc__ = _SAYS[Action.APPROVE]
    command(app, "approve", PANEL)(approve)

    async def reject(
        session: Session,
        name: Name,
        *,
        revision: RevisionOption = None,
        role: Role = None,
        reason: Reason = "",
        ticket: Ticket = None,
        yes: Yes = False,
        dry_run: DryRun = False,
        wait: Wait = False,
        patience: Timeout = _PATIENCE,
    ) -> int:
        wish = Wish(Action.REJECT, revision, role, reason, ticket)
        return await act(session, name, wish, yes=yes, dry_run=dry_run, wait=wait, patience=patience)

    reject.__doc__ = _SAYS[Action.REJECT]
    command(app, "reject", PANEL)(reject)

    async def revoke(
        session: Session,
        name: Name,
        *,
        decision: Annotated[str | None, typer.Option(help="The approval, a ModelDecision's name.")] = None,
        revision: RevisionOption = None,
        role: Role = None,
        reason: Reason = "",
        ticket: Ticket = None,
        yes: Yes = False,
        dry_run: DryRun = False,
        wait: Wait = False,
        patience: Timeout = _PATIENCE,
    ) -> int:
        wish = Wish(Action.REVOKE, revision, role, reason, ticket, revokes=decision)
        return await act(session, name, wish, yes=yes, dry_run=dry_run, wait=wait, patience=patience)

    revoke.__doc__ = _SAYS[Action.REVOKE]
    command(app, "revoke", PANEL)(revoke)
    command(app, "exception", PANEL)(exception)


def _register_plain(app: typer.Typer, action: Action, say: str) -> None:
    async def verb(
        session: Session,
        name: Name,
        *,
        revision: RevisionOption = None,
        reason: Reason = "",
        ticket: Ticket = None,
        expires: Expires = None,
        yes: Yes = False,
        dry_run: DryRun = False,
        wait: Wait = False,
        patience: Timeout = _PATIENCE,
    ) -> int:
        wish = Wish(action, revision, reason=reason, ticket=ticket, expires_at=_until(expires))
        return await act(session, name, wish, yes=yes, dry_run=dry_run, wait=wait, patience=patience)

    verb.__doc__ = say
    command(app, action.value.lower(), PANEL)(verb)


_SAYS = {
    Action.APPROVE: "Agree, in a role, to this very model under these very policies.",
    Action.REJECT: "Refuse, in a role: the release ends.",
    Action.REVOKE: "Take an approval back.",
    Action.PAUSE: "Stand still at the present weight.",
    Action.RESUME: "Go on.",
    Action.PROMOTE: "Go to the last step at once, past holds and past gates that could not tell.",
    Action.ABORT: "Take the traffic back to what is stable.",
    Action.RETRY: "Release again what was rolled back, from the first step.",
    Action.ROLLBACK: "Return to an earlier revision that still runs.",
}


async def exception(
    session: Session,
    name: Name,
    *,
    control: Annotated[str, typer.Option(help="The control, such as GOV-DOC-01.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why it is acceptable.")],
    ticket: Annotated[str, typer.Option(help="The ticket of the exception.")],
    expires: Annotated[str, typer.Option(metavar="WHEN", help="Until when: 30d or 2027-03-31; at most 90 days.")],
    revision: RevisionOption = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    patience: Timeout = _PATIENCE,
) -> int:
    """Waive one control for one release, until a day (a GovernanceException)."""
    seen = await release.read(session.kube, session.namespace, name)
    actor = await session.whoami()
    until = times.expiry(expires, datetime.now(UTC))
    item = acts.exception(seen, control, actor, reason=reason, ticket=ticket, expires_at=until, revision=revision)
    return await _write(
        session, GOVERNANCE_EXCEPTIONS, item, seen, yes=yes, dry_run=dry_run, wait=wait, patience=patience
    )


async def act(session: Session, name: str, wish: Wish, *, yes: bool, dry_run: bool, wait: bool, patience: float) -> int:
    """Make the decision and write it."""
    seen = await release.read(session.kube, session.namespace, name, decisions=wish.action is Action.REVOKE)
    actor = await session.whoami()
    may: list[str] = []
    if wish.action in (Action.APPROVE, Action.REJECT) and wish.role is None:
        lacking = blockers.roles(seen)
        answers = await asyncio.gather(*(session.may(f"approve-{role}", name) for role in lacking))
        may = [role for role, answer in zip(lacking, answers, strict=True) if answer]
    item = acts.decision(seen, wish, actor, may)
    return await _write(session, MODEL_DECISIONS, item, seen, yes=yes, dry_run=dry_run, wait=wait, patience=patience)


async def _write(
    session: Session, kind: Kind, item: Object, seen: Release, *, yes: bool, dry_run: bool, wait: bool, patience: float
) -> int:
    if dry_run:
        session.document(item, Output.YAML)
        return Exit.OK
    if not yes:
        session.err.print(preview(item, seen))
        if session.interactive and not await asyncio.to_thread(typer.confirm, "Go ahead?", default=False, err=True):
            raise Trouble(Exit.FAILED, "nothing was written")
    made = await session.kube.create(kind, item)
    said = made["metadata"]["name"]
    session.out.print(line((f"✔ {kind.kind} {said} created", OK)))
    if not wait:
        return Exit.OK
    return await _accepted(session, kind, said, patience)


async def _accepted(session: Session, kind: Kind, name: str, patience: float) -> int:
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        item = await session.kube.get(kind, session.namespace, name)
        conditions = (item.get("status") or {}).get("conditions") or []
        found = next((c for c in conditions if c["type"] == "Accepted" and c["status"] in ("True", "False")), None)
        if found is not None:
            good = found["status"] == "True"
            word = ("✔ accepted", OK) if good else ("✖ not accepted", BAD)
            session.out.print(line(word, found["reason"], found.get("message", "")))
            return Exit.OK if good else Exit.FAILED
        if asyncio.get_running_loop().time() > deadline:
            hint = f"kubectl describe {kind.kind.lower()} {name} -n {session.namespace}"
            raise Trouble(Exit.UNFINISHED, f"nobody has said yet whether {name} is accepted; does Sluice run?", hint)
        await asyncio.sleep(0.5)


def preview(item: Object, seen: Release) -> RenderableType:
    """What is about to be said, in whose name, about what, under which policies, with what in the way."""
    spec: dict[str, Any] = item["spec"]
    subject, where = spec["subject"], spec["target"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=DIM, no_wrap=True)
    grid.add_column()

    def row(word: str, value: str | Text) -> None:
        if value:
            grid.add_row(word, value if isinstance(value, Text) else Text(value))

    row("as", (spec.get("actor") or spec.get("approver") or {}).get("username", ""))
    row("role", spec.get("role", ""))
    row("control", spec.get("control", ""))
    row("release", f"{seen.namespace}/{where['revision']}")
    row("model", f"{subject['model']} version {subject['version']}")
    row("files", subject["digest"])
    governed = seen.status.governance
    if "policyDigest" in spec and governed:
        row("policies", ", ".join(p.name for p in governed.policies) or "–")
        row("", Text(spec["policyDigest"], style=DIM))
    row("revokes", spec.get("revokes", ""))
    row("up to", f"{spec['conditions']['maxWeight']} % of live traffic" if "conditions" in spec else "")
    row("until", spec.get("expiresAt", ""))
    row("reason", spec.get("reason", ""))
    row("ticket", spec.get("ticket", ""))
    title = Text(spec.get("action") or "Exception", style="bold")
    return Group(title, Padding(grid, (0, 0, 0, 2), expand=False), *_in_the_way(seen), Text())


def _in_the_way(seen: Release) -> list[RenderableType]:
    governed = seen.status.governance
    notes: list[RenderableType] = []
    if not seen.fresh:
        notes.append(line(("⚠ the spec was changed since; Sluice has not looked at it yet", WAIT)))
    if governed is None:
        return notes
    bad = (ControlVerdict.FAIL, ControlVerdict.ERROR)
    for control in governed.controls:
        if control.verdict in bad and control.mode is Mode.ENFORCE:
            mark, style = palette.control(control)
            notes.append(line((f"  {mark} {control.id}", style), control.message))
    return notes


def _until(text: str | None) -> datetime | None:
    return times.expiry(text, datetime.now(UTC)) if text else None
