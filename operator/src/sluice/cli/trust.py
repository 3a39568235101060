"""Trust: the public keys and the store that a check of a record may rely on, as options of a command."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.trouble import Exit, Trouble
from sluice.core import seal
from sluice.core.dossier import Dossier
from sluice.core.finding import Grade
from sluice.core.verification import Anchored, Trust

KeyOption = Annotated[
    list[Path] | None, typer.Option("--key", metavar="PEM", help="A public key to trust (repeatable).")
]
AnchorOption = Annotated[
    str | None,
    typer.Option("--anchor", metavar="URL", help="The store: s3://bucket/prefix?… or file:///directory."),
]


def exit_of(worst: Grade | None) -> Exit:
    """How a command ends that has checked a record."""
    return {
        None: Exit.OK,
        Grade.MISSING: Exit.INCOMPLETE,
        Grade.UNREADABLE: Exit.UNREADABLE,
        Grade.TAMPERED: Exit.FAILED,
    }[worst]


async def load(kept: Dossier, keys: Iterable[Path] | None, url: str | None) -> Trust:
    """The public keys, and what the store has of this deployment.

    Raises:
        Trouble: a key or the URL is none, or the store cannot be read.
    """
    # Cryptography and the store's client take longer to load than other commands take to run.
    from sluice.edges import anchor, signing

    try:
        opener = signing.Trust.load(keys or ())
        if url is None:
            return Trust(opener.open, opener.key_ids)
        store = anchor.connect(url)
        entries = await store.entries(seal.folder(kept.namespace, kept.deployment))
        stored = [Anchored(one.name, (await store.read(one)).decode(errors="replace")) for one in entries]
    except (signing.KeyFileError, anchor.AnchorURLError) as error:
        raise Trouble(Exit.USAGE, str(error)) from error
    except anchor.AnchorError as error:
        raise Trouble(Exit.UNREACHABLE, f"the anchor cannot be read: {error}") from error
    return Trust(opener.open, opener.key_ids, tuple(stored))
