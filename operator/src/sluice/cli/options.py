"""Options: what every command takes, and how a coroutine becomes a command with exit codes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from sluice.cli import completion, kubeconfig, trouble
from sluice.cli.session import Output, Session, console
from sluice.cli.trouble import EXIT_CODES, Exit, Trouble
from sluice.edges.kube import Access, Kube, KubeError

Run = Callable[..., Coroutine[Any, Any, int | None]]
_PANEL = "Cluster"

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The ModelDeployment.", autocompletion=completion.deployments)
]
As = Annotated[Output, typer.Option("--output", "-o", help="How to print it.")]
RevisionOption = Annotated[
    str | None,
    typer.Option(
        "--revision",
        "-r",
        metavar="REV",
        help="The revision, as fraud-r7, r7 or 7.",
        autocompletion=completion.revisions,
    ),
]


def _common(
    *,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Default: that of the context.",
            rich_help_panel=_PANEL,
            autocompletion=completion.namespaces,
        ),
    ] = None,
    context: Annotated[str | None, typer.Option(help="The context of the kubeconfig.", rich_help_panel=_PANEL)] = None,
    kubeconfig: Annotated[
        str | None, typer.Option(help="The kubeconfig; default: KUBECONFIG.", rich_help_panel=_PANEL)
    ] = None,
    as_user: Annotated[
        str | None, typer.Option("--as", help="Impersonate this user.", metavar="USER", rich_help_panel=_PANEL)
    ] = None,
    as_group: Annotated[
        list[str] | None,
        typer.Option("--as-group", help="Impersonate this group (repeatable).", rich_help_panel=_PANEL),
    ] = None,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colours; NO_COLOR does the same.", rich_help_panel=_PANEL)
    ] = False,
) -> None:
    """What every command takes."""


def command(app: typer.Typer, name: str, panel: str) -> Callable[[Run], Run]:
    """Register ``async def f(session, …) -> exit code`` as a command with the common options.

    Everything that goes wrong on the way to the API server ends as a sentence and an exit code, here.
    """

    def register(function: Run) -> Run:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        common = list(inspect.signature(_common, eval_str=True).parameters.values())

        def run(**given: Any) -> None:
            shared = {parameter.name: given.pop(parameter.name) for parameter in common}
            raise typer.Exit(start(function, given, **shared))

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *common]]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__name__ = name
        run.__doc__ = function.__doc__
        epilog = EXIT_CODES.replace("\n", " ")
        app.command(
            name,
            rich_help_panel=panel,
            epilog=epilog,
            no_args_is_help=bool(own and own[0].default is inspect.Parameter.empty),
        )(run)
        return function

    return register


def start(
    function: Run,
    given: dict[str, Any],
    *,
    namespace: str | None = None,
    context: str | None = None,
    kubeconfig: str | None = None,
    as_user: str | None = None,
    as_group: list[str] | None = None,
    no_color: bool = False,
) -> int:
    """Run a command to its exit code, with what went wrong said on stderr."""
    err = console(color=not no_color, stderr=True)
    try:
        return (
            asyncio.run(
                _connected(
                    function, given, access(kubeconfig, context, as_user, as_group), namespace, no_color=no_color
                )
            )
            or Exit.OK
        )
    except KubeError as error:
        found = trouble.of(error)
    except Trouble as error:
        found = error
    except KeyboardInterrupt:
        return 130
    err.print(f"[bold red]✖[/] {trouble.escape(str(found))}")
    if found.hint:
        err.print(f"  [dim]→[/] {trouble.escape(found.hint)}")
    return found.code


def access(file: str | None, context: str | None, user: str | None, groups: list[str] | None) -> Access:
    files = file or kubeconfig.default()
    said = kubeconfig.read(files, context)
    return Access(
        kubeconfig=files,
        context=context,
        user=user or said.user,
        groups=tuple(groups or ()) or (() if user else said.groups),
        manager="kubectl-sluice",
    )


async def _connected(
    function: Run, given: dict[str, Any], access: Access, namespace: str | None, *, no_color: bool
) -> int | None:
    said = kubeconfig.read(access.kubeconfig, access.context)
    alone = given.get("file") is not None  # what is in a file needs no cluster, nor a kubeconfig
    kube = Kube.nowhere() if alone else await Kube.connect(access)
    try:
        out, err = console(color=not no_color), console(color=not no_color, stderr=True)
        return await function(Session(kube, namespace or said.namespace or "default", out, err), **given)
    finally:
        await kube.close()
