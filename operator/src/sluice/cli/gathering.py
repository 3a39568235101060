"""Gathering: a deployment's dossier, from the cluster."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from sluice.core.dossier import Dossier
from sluice.core.objects import DEPLOYMENT_LABEL, Object
from sluice.edges.kinds import (
    GOVERNANCE_EVIDENCE,
    GOVERNANCE_EXCEPTIONS,
    GOVERNANCE_POLICIES,
    MODEL_DECISIONS,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
    Kind,
)
from sluice.edges.kube import Forbidden, Kube, NotFound


class NothingKept(NotFound):
    """Nothing is kept about a deployment of this name."""


async def gather(kube: Kube, namespace: str, name: str, now: datetime) -> Dossier:
    """Everything that is kept about one deployment. It need not exist any more: its revisions may outlive it, and
    documents and people's acts the revisions.

    Raises:
        KubeError: something cannot be read; NothingKept where nothing of that name is or was.
    """
    mine = f"{DEPLOYMENT_LABEL}={name}"
    deployment, revisions, evidence, decisions, exceptions, policies = await asyncio.gather(
        _one(kube, MODEL_DEPLOYMENTS, namespace, name),
        kube.list(replace(MODEL_REVISIONS, label=mine), namespace),
        kube.list(replace(GOVERNANCE_EVIDENCE, label=mine), namespace),
        kube.list(MODEL_DECISIONS, namespace),
        kube.list(GOVERNANCE_EXCEPTIONS, namespace),
        _policies(kube),
    )
    acts = [item for item in [*decisions, *exceptions] if item["spec"]["target"]["deployment"] == name]
    kept = [*deployment, *revisions, *evidence, *acts]
    if not kept:
        raise NothingKept(404, f"there is no ModelDeployment {name} in namespace {namespace}, and no revision of one")
    found = [*kept, *policies]
    return Dossier(namespace, name, now, tuple(_slim(item) for item in found))


async def _policies(kube: Kube) -> list[Object]:
    """The policies, for whoever may read them: they are the cluster's, and records name them by digest."""
    try:
        return await kube.list(GOVERNANCE_POLICIES)
    except Forbidden:
        return []


async def _one(kube: Kube, kind: Kind, namespace: str, name: str) -> list[Object]:
    try:
        return [await kube.get(kind, namespace, name)]
    except NotFound:
        return []


def _slim(item: Object) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    return {**item, "metadata": metadata}
