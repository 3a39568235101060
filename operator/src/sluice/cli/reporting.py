"""Reporting: one release as an HTML page, from the cluster or from an export of its record."""

from __future__ import annotations

import re
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sluice.cli import gathering, trust
from sluice.cli.keeping import PANEL
from sluice.cli.options import Name, RevisionOption, command
from sluice.cli.report import page, rendering
from sluice.cli.report.library import UNREADABLE
from sluice.cli.report.page import Page
from sluice.cli.session import Session
from sluice.cli.trouble import Exit, Trouble
from sluice.cli.trust import AnchorOption, KeyOption, exit_of
from sluice.core import dossier
from sluice.core.dossier import Dossier
from sluice.core.verification import Trust

_STDOUT = Path("-")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "report", PANEL)(report)


async def report(
    session: Session,
    name: Name,
    *,
    revision: RevisionOption = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="EXPORT", help="Read this export, and no cluster."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write it, - for stdout; default: NAME-rN.html here."),
    ] = None,
    key: KeyOption = None,
    anchor: AnchorOption = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> int:
    """One release on one HTML page: what was released, who decided what, controls, traffic, record.

    Without -r, of the latest revision. The exit codes are those of verify; the page is written all the same, and says
    what is wrong.
    """
    if show and out == _STDOUT:
        raise Trouble(Exit.USAGE, "what goes to stdout cannot be opened; leave out --open, or name a file with --out")
    if file is None:
        kept = await gathering.gather(session.kube, session.namespace, name, datetime.now(UTC))
        source = "the objects in the cluster"
    else:
        kept, source = read_export(file, name), f"the export {file.name}"
    made = _page(kept, revision, source, await trust.load(kept, key, anchor))
    _write(session, made, rendering.render(made), out or Path(_file_name(made)), show=show)
    if made.soundness.broken:
        broken = made.soundness.broken[0]
        session.err.print(f"✖ the record does not hold together: {broken.message}", markup=False, style="red")
    elif made.soundness.missing:
        lacking = made.soundness.missing[0]
        session.err.print(f"? the record cannot be checked to the end: {lacking.message}", markup=False, style="yellow")
    return exit_of(made.soundness.worst)


def read_export(file: Path, name: str | None = None) -> Dossier:
    """What an export holds.

    Raises:
        Trouble: it cannot be read, is no export, or is about another deployment than the one that is asked about.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Trouble(Exit.NOT_FOUND, f"there is no file {file}") from error
    except (OSError, ValueError) as error:
        raise Trouble(Exit.UNREADABLE, f"{file} cannot be read: {error}") from error
    try:
        found = dossier.parse(text.split("\n"))
    except (ValueError, RecursionError) as error:
        raise Trouble(Exit.UNREADABLE, f"{file} is no export: {error}") from error
    if name is not None and found.deployment != name:
        raise Trouble(Exit.NOT_FOUND, f"{file} is about {found.namespace}/{found.deployment}, not about {name}")
    return found


def _page(kept: Dossier, revision: str | None, source: str, trusted: Trust) -> Page:
    try:
        return page.of(kept, trusted, revision, source=source)
    except UNREADABLE as error:
        said = f"what is kept of {kept.deployment} cannot be read: {type(error).__name__}: {error}"
        raise Trouble(Exit.UNREADABLE, said[:500], "check it with: kubectl sluice verify") from error


def _write(session: Session, made: Page, html: str, out: Path, *, show: bool) -> None:
    if out == _STDOUT:
        typer.echo(html.encode(), file=session.out.file, nl=False)
        return
    try:
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        raise Trouble(Exit.FAILED, f"{out} cannot be written: {error.strerror or error}") from error
    session.out.print(f"✔ the report about {made.name} is in {out}", markup=False, soft_wrap=True)
    if show and not webbrowser.open(out.resolve().as_uri()):
        session.err.print(f"there is no browser here that could open it; open {out} yourself", markup=False)


def _file_name(made: Page) -> str:
    """``fraud-r7.html``: never a path, whatever an export calls its revision."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", made.name).lstrip(".")[:100] + ".html"
