"""Exporting: the record of a deployment as a file, and the mark that it was taken along."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.record import ORIGIN
from sluice.cli import gathering
from sluice.cli.keeping import PANEL
from sluice.cli.options import Name, command
from sluice.cli.session import Session
from sluice.cli.trouble import Exit, Trouble
from sluice.core import dossier, records
from sluice.core.dossier import Dossier
from sluice.core.objects import EXPORTED, Object
from sluice.edges.kinds import GOVERNANCE_EVIDENCE, GOVERNANCE_EXCEPTIONS, MODEL_DECISIONS, MODEL_REVISIONS, Kind
from sluice.edges.kube import Conflict, NotFound

_STDOUT = Path("-")
_MARKED = (MODEL_REVISIONS, GOVERNANCE_EVIDENCE, MODEL_DECISIONS, GOVERNANCE_EXCEPTIONS)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "export", PANEL)(export)


async def export(
    session: Session,
    name: Name,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write it, - for stdout; default: NAME.jsonl here."),
    ] = None,
    mark: Annotated[
        bool,
        typer.Option(
            "--mark", help="Note on each object that it was exported, after which it may be deleted (verb export)."
        ),
    ] = False,
) -> int:
    """All that is kept about a deployment's releases, as JSON Lines: to archive, to verify elsewhere, to report on."""
    if mark and out == _STDOUT:
        raise Trouble(Exit.USAGE, "what goes to stdout may be lost, so it is not marked; name a file with --out")
    kept = await gathering.gather(session.kube, session.namespace, name, datetime.now(UTC))
    text = "\n".join(dossier.lines(kept)) + "\n"
    if out == _STDOUT:
        typer.echo(text.encode(), file=session.out.file, nl=False)
        return Exit.OK
    file = out or Path(f"{name}.jsonl")
    _write(file, text)
    count = sum(len((item.get("status") or {}).get("records", [])) for item in kept.revisions)
    said = f"✔ {len(kept.revisions)} revisions with {count} records, {len(kept.objects)} objects in all, are in {file}"
    session.out.print(said, markup=False, soft_wrap=True)
    if not kept.of("GovernancePolicy") and any(item["spec"].get("policies") for item in kept.revisions):
        said = "the policies are not in it: they are gone, or you may not list them; records name them by digest"
        session.err.print(said, markup=False, style="yellow")
    if mark:
        marked = await _mark(session, kept)
        session.out.print(f"✔ {marked} objects are marked as exported, and may be deleted", markup=False)
    return Exit.OK


def _write(file: Path, text: str) -> None:
    """The whole file or none of it; onto a device, such as /dev/null, as it comes."""
    try:
        if file.exists() and not file.is_file():
            file.write_text(text, encoding="utf-8")
            return
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=".export-", delete=False
        ) as made:
            made.write(text)
            made.flush()
            os.fsync(made.fileno())
        Path(made.name).replace(file)
    except OSError as error:
        raise Trouble(Exit.FAILED, f"{file} cannot be written: {error.strerror or error}") from error


async def _mark(session: Session, kept: Dossier) -> int:
    """Mark what the file holds, and nothing that has changed since."""
    done = 0
    for kind, item, head in _marks(kept):
        if (item["metadata"].get("annotations") or {}).get(EXPORTED) == head:
            continue
        try:
            await session.kube.merge_patch(kind, item, {"metadata": {"annotations": {EXPORTED: head}}})
        except NotFound:
            continue
        except Conflict:
            said = f"{kind.kind} {item['metadata']['name']} has changed since, and is not marked: export again"
            session.err.print(said, markup=False, style="yellow")
            continue
        done += 1
    return done


def _marks(kept: Dossier) -> Iterator[tuple[Kind, Object, str]]:
    """Each object with the head that was exported: its revision's, or the latest where that is not here."""
    heads = {item["metadata"]["name"]: _head(item) for item in kept.revisions}
    latest = next(reversed(heads.values()), ORIGIN)
    for kind in _MARKED:
        for item in kept.of(kind.kind):
            spec = item["spec"]
            revision = spec.get("revision") or (spec.get("target") or {}).get("revision")
            name = item["metadata"]["name"] if kind == MODEL_REVISIONS else revision
            yield kind, item, heads.get(name, latest)


def _head(item: Object) -> str:
    status = ModelRevisionStatus.model_validate(item.get("status") or {})
    return records.head(ModelRevisionSpec.model_validate(item["spec"]), status).hash
