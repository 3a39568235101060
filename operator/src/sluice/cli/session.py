"""Session: one connection with what the command line said, and what people see printed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TextIO

import yaml
from rich.console import Console, RenderableType
from rich.syntax import Syntax

from sluice.edges.kinds import Kind
from sluice.edges.kube import Kube, KubeError

_WHO = Kind("authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)
_MAY = Kind("authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False)
_WIDTH = 160
"""Columns where the output is no terminal: wide enough that no sentence of ours is cut in a log."""


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def console(*, color: bool = True, stderr: bool = False) -> Console:
    """A console that colours on a terminal alone, and does not cut lines anywhere else."""
    stream: TextIO = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH
    return Console(file=stream, highlight=False, no_color=True if not color else None, width=width, soft_wrap=False)


@dataclass(frozen=True)
class Session:
    """What a command works with."""

    kube: Kube
    namespace: str
    out: Console = field(default_factory=console)
    err: Console = field(default_factory=lambda: console(stderr=True))

    async def whoami(self) -> str:
        """The username that the API server knows us by.

        Raises:
            KubeError: it was not told.
        """
        item = {"apiVersion": _WHO.api_version, "kind": _WHO.kind, "metadata": {}}
        found = await self.kube.create(_WHO, item)
        return str(found["status"]["userInfo"]["username"])

    async def may(self, verb: str, name: str = "") -> bool | None:
        """Whether we have a verb on ModelDeployments here; None if the API server does not tell."""
        attributes = {"group": "sluice.dev", "resource": "modeldeployments", "verb": verb, "namespace": self.namespace}
        spec = {"resourceAttributes": attributes | ({"name": name} if name else {})}
        item = {"apiVersion": _MAY.api_version, "kind": _MAY.kind, "metadata": {}, "spec": spec}
        try:
            found = await self.kube.create(_MAY, item)
        except KubeError:
            return None
        return bool(found["status"].get("allowed"))

    def show(self, data: Any, output: Output, table: RenderableType) -> None:
        """Data as the person asked for it."""
        if output is Output.TABLE:
            self.out.print(table)
        else:
            self.document(data, output)

    def document(self, data: Any, output: Output) -> None:
        """Data as JSON or YAML, byte for byte where it is no terminal."""
        if output is Output.JSON:
            text = json.dumps(data, indent=2, ensure_ascii=False)
        else:
            text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120).rstrip()
        if self.out.is_terminal:
            self.out.print(Syntax(text, output.value, background_color="default", word_wrap=True))
        else:
            print(text, file=self.out.file)

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return self.out.is_terminal and sys.stdin.isatty()
