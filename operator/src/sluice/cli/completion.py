"""Completion: names from the cluster, for the shell. Whatever goes wrong, it offers nothing and is quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import typer

from sluice.cli import kubeconfig
from sluice.core.objects import DEPLOYMENT_LABEL
from sluice.edges.kinds import GOVERNANCE_EVIDENCE, MODEL_DEPLOYMENTS, MODEL_REVISIONS, Kind
from sluice.edges.kube import Access, Kube, KubeError

_NAMESPACES = Kind("v1", "namespaces", "Namespace", namespaced=False)
_PATIENCE = 3.0
"""Seconds: nobody waits longer for a tab."""


def deployments(ctx: typer.Context, incomplete: str) -> list[str]:
    """ModelDeployments of the namespace."""
    return _names(ctx, MODEL_DEPLOYMENTS, incomplete)


def revisions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Revisions of the deployment that was named."""
    name = ctx.params.get("name")

    def of_it(item: dict[str, Any]) -> bool:
        return not name or (item["metadata"].get("labels") or {}).get(DEPLOYMENT_LABEL) == name

    return _names(ctx, MODEL_REVISIONS, incomplete, of_it)


def evidence(ctx: typer.Context, incomplete: str) -> list[str]:
    """GovernanceEvidence of the namespace."""
    return _names(ctx, GOVERNANCE_EVIDENCE, incomplete)


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Namespaces."""
    return _names(ctx, _NAMESPACES, incomplete)


def _names(
    ctx: typer.Context, kind: Kind, incomplete: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True
) -> list[str]:
    given = ctx.params
    files = given.get("kubeconfig") or kubeconfig.default()
    said = kubeconfig.read(files, given.get("context"))
    access = Access(kubeconfig=files, context=given.get("context"), user=given.get("as_user") or said.user)
    namespace = given.get("namespace") or said.namespace or "default"

    async def ask() -> list[str]:
        kube = await Kube.connect(access)
        try:
            return [i["metadata"]["name"] for i in await kube.list(kind, namespace) if wanted(i)]
        finally:
            await kube.close()

    async def in_time() -> list[str]:
        return await asyncio.wait_for(ask(), _PATIENCE)

    try:
        return [name for name in asyncio.run(in_time()) if name.startswith(incomplete)]
    except (KubeError, TimeoutError, OSError):
        return []
