"""App: all commands in one place."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import __version__
from sluice.cli import exporting, keeping, labelling, looking, reporting, verbs, verifying

app = typer.Typer(
    name="kubectl sluice",
    help="Release machine-learning models on KServe: see how a release stands, and decide about it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


looking.register(app)
verbs.register(app)
keeping.register(app)
labelling.register(app)
exporting.register(app)
verifying.register(app)
reporting.register(app)
