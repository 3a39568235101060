"""Looking: what there is, how it stands, what became of it, and why it does not go on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.live import Live

from sluice.api.modeldeployment import ModelDeploymentSpec, ModelDeploymentStatus
from sluice.cli import blockers, differences, documents, following, release, tables, tree
from sluice.cli.options import As, Name, RevisionOption, command
from sluice.cli.release import Release
from sluice.cli.session import Output, Session
from sluice.cli.times import span
from sluice.cli.trouble import Exit, Trouble
from sluice.core.objects import Object
from sluice.edges.kinds import GOVERNANCE_POLICIES, MODEL_DEPLOYMENTS
from sluice.edges.kube import Forbidden, NotFound

PANEL = "Look"
_EVERY = 1.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (
        ("list", list_),
        ("status", status),
        ("watch", watch),
        ("why", why),
        ("history", history),
        ("diff", diff),
        ("policies", policies),
    ):
        command(app, name, PANEL)(function)


async def list_(
    session: Session,
    *,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="In all namespaces.")] = False,
    output: As = Output.TABLE,
) -> None:
    """All ModelDeployments, a line each."""
    items = await session.kube.list(MODEL_DEPLOYMENTS, None if everywhere else session.namespace)
    found = sorted((_bare(item) for item in items), key=lambda r: (r.namespace, r.name))
    session.show([documents.summary(r) for r in found], output, tables.deployments(found, everywhere=everywhere))


async def status(
    session: Session,
    name: Name,
    *,
    wide: Annotated[bool, typer.Option("--all", "-a", help="Every revision and every control.")] = False,
    output: As = Output.TABLE,
) -> None:
    """A deployment as a tree: revisions, what runs, steps, verdicts, approvals, controls."""
    found = await release.read(session.kube, session.namespace, name, pods=True)
    session.show(documents.status(found), output, tree.render(found, datetime.now(UTC), wide=wide))


async def history(session: Session, name: Name, revision: RevisionOption = None, output: As = Output.TABLE) -> None:
    """The revisions: what became of each, who asked for it, when. With -r, the records of one."""
    found = await release.read(session.kube, session.namespace, name)
    if revision is not None:
        one = found.revision(revision)
        session.show(documents.records(one.status.records), output, tables.records(one))
        return
    listed = [documents.revision(found, r) for r in reversed(found.revisions)]
    session.show(listed, output, tables.history(found))


async def diff(
    session: Session,
    name: Name,
    first: Annotated[str | None, typer.Argument(metavar="[REV", help="A revision; default: what is stable.")] = None,
    second: Annotated[str | None, typer.Argument(metavar="[REV]]", help="Another; default: the latest.")] = None,
    output: As = Output.TABLE,
) -> None:
    """What one revision says otherwise than another: model, serving, plan, monitors, policies."""
    found = await release.read(session.kube, session.namespace, name)
    one, other = differences.pair(found, first, second)
    said = {"from": one.name, "to": other.name, "differences": differences.sections(one, other)}
    session.show(said, output, differences.render(one, other))


async def why(session: Session, name: Name, output: As = Output.TABLE) -> None:
    """What is in the way of a release, why, who can mend it, and with which command."""
    found = await release.read(session.kube, session.namespace, name)
    roles = blockers.roles(found)
    answers = await asyncio.gather(*(session.may(f"approve-{role}", name) for role in roles))
    given = blockers.find(found, dict(zip(roles, answers, strict=True)))
    session.show([blockers.document(b) for b in given], output, blockers.render(found, given))


async def policies(session: Session, name: Name, output: As = Output.TABLE) -> None:
    """The GovernancePolicies that apply to a deployment, by the digests that they are pinned by."""
    found = await release.read(session.kube, session.namespace, name)
    try:
        live = {item["metadata"]["name"]: item for item in await session.kube.list(GOVERNANCE_POLICIES)}
    except (Forbidden, NotFound):
        live = None
    pinned = found.status.governance.policies if found.status.governance else []
    rows = [_policy(p.name, p.digest, live) for p in pinned]
    session.show(rows, output, tables.policies(rows, name))


async def watch(
    session: Session,
    name: Name,
    *,
    patience: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Give up after this, such as 30m, with exit code 4.")
    ] = None,
    output: As = Output.TABLE,
) -> int:
    """Follow a release until it ends; the exit code says how: 0 promoted, 1 rolled back, 4 the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + span(patience).total_seconds() if patience else None

    async def look() -> Release:
        return await release.read(session.kube, session.namespace, name, pods=output is Output.TABLE)

    found = await look()
    live = session.out.is_terminal and output is Output.TABLE
    screen = Live(console=session.out, auto_refresh=False, vertical_overflow="visible") if live else None
    if screen:
        screen.start()
    said: tuple[object, ...] = ()
    try:
        while True:
            now = datetime.now(UTC)
            if screen:
                screen.update(tree.render(found, now), refresh=True)
            elif (moment := following.moment(found)) != said:
                said = moment
                _tell(session, found, now, output)
            end = following.ending(found)
            if end is not None:
                return end
            if deadline is not None and loop.time() > deadline:
                hint = f"kubectl sluice why {name} -n {session.namespace}"
                raise Trouble(Exit.UNFINISHED, f"{name} is still in progress after {patience}", hint)
            await asyncio.sleep(_EVERY)
            found = await look()
    finally:
        if screen:
            screen.stop()


def _tell(session: Session, found: Release, now: datetime, output: Output) -> None:
    if output is Output.TABLE:
        session.out.print(following.event(found, now), soft_wrap=True)
        session.out.file.flush()
        return
    session.document(documents.summary(found), output)


def _bare(found: Object) -> Release:
    item = release.visible(found)
    return Release(
        item=item,
        spec=ModelDeploymentSpec.model_validate(item["spec"]),
        status=ModelDeploymentStatus.model_validate(item.get("status") or {}),
    )


def _policy(name: str, digest: str, live: dict[str, Object] | None) -> dict[str, object]:
    item = (live or {}).get(name)
    spec, said = (item or {}).get("spec") or {}, (item or {}).get("status") or {}
    if live is None:
        state = "NotVisible"
    elif item is None:
        state = "Deleted"
    else:
        state = "Unchanged" if said.get("digest") == digest else "Changed"
    controls = spec.get("controls") or []
    return {
        "name": name,
        "digest": digest,
        "state": state,
        "controls": len(controls) + len(spec.get("customRules") or []),
        "approvals": [f"{a.get('count', 1)}× {a['role']}" for a in spec.get("approvals") or []],
        "description": spec.get("description"),
    }
