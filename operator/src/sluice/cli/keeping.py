"""Keeping: the documents that records rest on, and the record as something to check, take along and read."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.syntax import Syntax

from sluice.api.governanceevidence import GovernanceEvidenceSpec
from sluice.cli import completion
from sluice.cli.options import As, command
from sluice.cli.palette import BAD, DIM, OK, line
from sluice.cli.session import Output, Session
from sluice.cli.trouble import Exit, Trouble
from sluice.edges.kinds import GOVERNANCE_EVIDENCE

PANEL = "Keep"
_LARGEST = 64 * 1024 * 1024
"""Bytes of a decoded document: what compresses better than a hundredfold is no document of ours."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "evidence", PANEL)(evidence)


async def evidence(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The GovernanceEvidence.", autocompletion=completion.evidence)
    ],
    output: As = Output.TABLE,
) -> int:
    """A document that a record rests on, decoded, and whether it has the digest that it is known by."""
    item = await session.kube.get(GOVERNANCE_EVIDENCE, session.namespace, name)
    spec = GovernanceEvidenceSpec.model_validate(item["spec"])
    content, fits = decoded(spec)
    document: dict[str, object] = {
        "name": name,
        "kind": spec.kind,
        "deployment": spec.deployment,
        "revision": spec.revision,
    }
    document |= {"digest": spec.digest, "intact": fits, "content": content}
    mark = ("✔ has its digest", OK) if fits else ("✖ does not have its digest: it was changed", BAD)
    head = line((name, "bold"), spec.kind, spec.revision, (spec.digest, DIM), mark)
    text = json.dumps(content, indent=2, ensure_ascii=False)
    session.show(document, output, Group(head, Syntax(text, "json", background_color="default", word_wrap=True)))
    return Exit.OK if fits else Exit.FAILED


def decoded(spec: GovernanceEvidenceSpec) -> tuple[Any, bool]:
    """The document, and whether it is the one that its digest is of.

    Raises:
        Trouble: it cannot be decoded.
    """
    try:
        packed = base64.b64decode(spec.content, validate=True)
        raw = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(packed, _LARGEST)
        content = json.loads(raw)
    except (ValueError, zlib.error) as error:
        raise Trouble(Exit.FAILED, f"the document cannot be decoded: {error}") from error
    return content, "sha256:" + hashlib.sha256(raw).hexdigest() == spec.digest
