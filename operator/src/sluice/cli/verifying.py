"""Verifying: whether the record of a deployment is as Sluice wrote it, from the cluster or from an export."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from sluice.cli import completion, gathering, trust
from sluice.cli.gathering import NothingKept
from sluice.cli.keeping import PANEL
from sluice.cli.options import As, command
from sluice.cli.palette import BAD, DIM, OK, WAIT, line
from sluice.cli.release import visible
from sluice.cli.reporting import read_export
from sluice.cli.session import Output, Session
from sluice.cli.tables import plain
from sluice.cli.trouble import Exit, Trouble
from sluice.cli.trust import AnchorOption, KeyOption, exit_of
from sluice.core import chronicle, finding, replay, verification
from sluice.core.chronicle import Documents
from sluice.core.dossier import Dossier
from sluice.core.finding import Finding, Grade
from sluice.core.verification import Proof, Verification

_MARKS = {Grade.TAMPERED: ("✖", BAD), Grade.UNREADABLE: ("!", WAIT), Grade.MISSING: ("?", WAIT)}
_WITHOUT_KEY = "no key was given: whoever can write the status could have written all of it anew (--key)"
_WITHOUT_ANCHOR = "no anchor was asked: records missing at the end, and whole revisions, go unnoticed (--anchor)"


@dataclass(frozen=True)
class Checked:
    """What came of it all."""

    dossier: Dossier
    verification: Verification
    replayed: int | None
    """How many records were decided again; None if that was not asked for."""
    differences: tuple[Finding, ...]
    """What came out otherwise."""
    limits: tuple[str, ...]
    """What could not be noticed, by what the check had to go on."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is not as it should be."""
        return (*self.verification.findings, *self.differences)

    @property
    def code(self) -> Exit:
        """How the command ends."""
        return exit_of(finding.worst(self.findings))


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "verify", PANEL)(verify)


async def verify(
    session: Session,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The ModelDeployment.", autocompletion=completion.deployments),
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="EXPORT", help="Check this export, and no cluster.")
    ] = None,
    key: KeyOption = None,
    anchor: AnchorOption = None,
    again: Annotated[bool, typer.Option("--replay", help="Decide again on what each decision looked at.")] = False,
    output: As = Output.TABLE,
) -> int:
    """Whether the record is as Sluice wrote it: chain, documents, people's acts, signatures, anchor.

    Exit codes: 0 nothing was found, 1 it was tampered with, 6 it cannot be read, 7 something is missing that the
    check needs.
    """
    kept = await _kept(session, name, file, anchored=anchor is not None)
    trusted = await trust.load(kept, key, anchor)
    if not kept.objects and not trusted.anchored:
        raise Trouble(Exit.NOT_FOUND, f"neither the cluster nor the store has anything of a {kept.deployment}")
    found = verification.verify(kept, trusted)
    count, differences = _replayed(kept) if again else (None, ())
    limits = [_WITHOUT_KEY] * (not key) + [_WITHOUT_ANCHOR] * (anchor is None)
    checked = Checked(kept, found, count, tuple(differences), tuple(limits))
    session.show(document(checked), output, render(checked))
    return checked.code


async def _kept(session: Session, name: str | None, file: Path | None, *, anchored: bool) -> Dossier:
    if file is not None:
        return read_export(file, name)
    if name is None:
        raise Trouble(Exit.USAGE, "say which ModelDeployment, or give an export with --file")
    now = datetime.now(UTC)
    try:
        return await gathering.gather(session.kube, session.namespace, name, now)
    except NothingKept:
        if not anchored:
            raise
        return Dossier(session.namespace, name, now, ())  # the store may know better


def _replayed(kept: Dossier) -> tuple[int, list[Finding]]:
    """How many records were decided again, and which came out otherwise."""
    documents = Documents()
    for item in kept.of("GovernanceEvidence"):
        documents.add(item)
    read = [chronicle.read(item, documents)[0] for item in kept.revisions]
    told = [one for one in read if one is not None]
    found = [d for one in told for d in replay.replay(one.name, one.told, documents.texts.get)]
    return sum(len(one.told) for one in told), found


def document(checked: Checked) -> dict[str, Any]:
    """It as data."""
    found = checked.verification
    return {
        "namespace": checked.dossier.namespace,
        "deployment": checked.dossier.deployment,
        "verified": checked.code is Exit.OK,
        "revisions": [
            {
                "name": proof.revision,
                "records": proof.records,
                "head": proof.head.hash,
                "whole": proof.whole,
                "signedUpTo": proof.signed,
                "anchoredUpTo": proof.anchored,
            }
            for proof in found.proofs
        ],
        "findings": [
            {"revision": one.revision, "record": one.sequence, "grade": one.grade, "message": one.message}
            for one in checked.findings
        ],
        "replayed": checked.replayed,
        "notes": list(found.notes),
        "notNoticed": list(checked.limits),
    }


def render(checked: Checked) -> RenderableType:
    """It for people."""
    found = checked.verification
    table = plain("revision", "records", "chain", "signed", "anchored", "head")
    for proof in found.proofs:
        table.add_row(*_row(proof))
    return Group(
        _verdict(checked),
        "",
        table,
        *_spaced(line(_MARKS[one.grade], _place(one), visible(one.message)) for one in checked.findings),
        *_spaced(line(("·", DIM), (visible(note), DIM)) for note in (*found.notes, *checked.limits)),
    )


def _verdict(checked: Checked) -> Text:
    where = f"{checked.dossier.namespace}/{checked.dossier.deployment}"
    count = sum(proof.records for proof in checked.verification.proofs)
    again = "" if checked.replayed is None else f", and each of {checked.replayed} decides the same again"
    match checked.code:
        case Exit.OK:
            return line(
                ("✔", OK), f"the record of {where} holds together: {count} records are as Sluice wrote them{again}"
            )
        case Exit.INCOMPLETE:
            return line(("?", WAIT), f"the record of {where} cannot be checked to the end: something is missing")
        case Exit.UNREADABLE:
            return line(("!", WAIT), f"the record of {where} cannot be read by this version of Sluice")
    return line(("✖", BAD), f"the record of {where} was changed after Sluice wrote it")


def _row(proof: Proof) -> tuple[Text | str, ...]:
    last = proof.head.sequence
    whole = Text("✔ whole", style=OK) if proof.whole else Text("✖ see below", style=BAD)
    return (
        Text(visible(proof.revision), style="bold"),
        str(proof.records),
        whole,
        _upto(proof.signed, last),
        _upto(proof.anchored, last),
        Text(proof.head.hash.removeprefix("sha256:")[:12], style=DIM),
    )


def _upto(sequence: int | None, last: int) -> Text:
    if sequence is None:
        return Text("–", style=DIM)
    return Text("✔ all", style=OK) if sequence >= last else Text(f"up to record {sequence}", style=WAIT)


def _place(one: Finding) -> Text:
    record = f" record {one.sequence}" if one.sequence is not None else ""
    return Text(f"{visible(one.revision)}{record}:", style="bold")


def _spaced(lines: Iterable[Text]) -> list[RenderableType]:
    """Lines below an empty one, or nothing at all."""
    found: list[RenderableType] = list(lines)
    return ["", *found] if found else []
