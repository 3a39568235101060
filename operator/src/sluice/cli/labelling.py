"""Labelling: where the truth of what a model was asked is sent, once it is known."""

from __future__ import annotations

import base64
from typing import Annotated

import typer

from sluice.api.sender import WeakKeyError, labels_path, read_keys
from sluice.cli.options import As, command
from sluice.cli.session import Output, Session
from sluice.cli.trouble import Exit, Trouble
from sluice.edges.kinds import Kind

PANEL = "Label"
_SECRETS = Kind("v1", "secrets", "Secret")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "labels", PANEL)(labels)


async def labels(
    session: Session,
    keys: Annotated[
        str | None,
        typer.Option(
            "--keys",
            metavar="NAMESPACE/SECRET",
            help="The Secret that the chart's global.monitor.senderKeys names, if it names one: whoever may read it "
            "can make the token.",
        ),
    ] = None,
    service: Annotated[
        str, typer.Option("--service", metavar="URL", help="The Service of sluice-monitor.")
    ] = "http://sluice-monitor.sluice-system.svc",
    output: As = Output.TABLE,
) -> int:
    """The URL to which labels for a namespace are posted, for monitors of kind performance.

    The body is {"labels": [{"request": "…", "label": 1}]}, where request is the x-request-id that the gateway answered
    with. The answer says which were joined with an answer, and which are unknown: too early, too late, or not sampled.
    """
    url = service.rstrip("/") + labels_path(await _key(session, keys) if keys is not None else None, session.namespace)
    session.show({"namespace": session.namespace, "url": url}, output, url)
    return Exit.OK


async def _key(session: Session, keys: str) -> bytes:
    """The key that tokens are made with.

    Raises:
        Trouble: the Secret has none.
        KubeError: it cannot be read.
    """
    namespace, _, name = keys.partition("/")
    if not name:
        raise Trouble(Exit.USAGE, f"--keys is NAMESPACE/SECRET, not {keys}")
    secret = await session.kube.get(_SECRETS, namespace, name)
    try:
        return read_keys(base64.b64decode(secret.get("data", {}).get("keys", "")).decode())[0]
    except (WeakKeyError, ValueError) as error:
        raise Trouble(
            Exit.USAGE, f"Secret {keys} has no entry `keys` that sluice-monitor would take: {error}"
        ) from error
