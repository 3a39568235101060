"""Release: one ModelDeployment with everything that belongs to it, read once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sluice.api.base import parse_time
from sluice.api.modeldecision import ModelDecisionSpec
from sluice.api.modeldeployment import ModelDeploymentSpec, ModelDeploymentStatus
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.cli.trouble import Exit, Trouble
from sluice.core import workload
from sluice.core.governance.facts import Decision
from sluice.core.objects import DEPLOYMENT_LABEL, Object
from sluice.core.world import Revision, Workload
from sluice.edges.kinds import (
    DEPLOYMENTS,
    INFERENCE_SERVICES,
    MODEL_DECISIONS,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
    PODS,
    Kind,
)
from sluice.edges.kube import Forbidden, Kube, NotFound

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_OF = "serving.kserve.io/inferenceservice"


@dataclass(frozen=True)
class Pod:
    """A pod as far as people ask about it."""

    name: str
    phase: str
    ready: str
    restarts: int


@dataclass(frozen=True)
class Running:
    """What exists of a revision in the cluster."""

    workload: Workload
    pods: tuple[Pod, ...] = ()


@dataclass(frozen=True)
class Release:
    """A ModelDeployment, its revisions in order, and people's acts in order."""

    item: Object
    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus
    revisions: tuple[Revision, ...] = ()
    running: Mapping[str, Running] | None = field(default_factory=dict)
    """By revision; None where we may not look."""
    decisions: tuple[Decision, ...] = ()

    @property
    def name(self) -> str:
        """The ModelDeployment's name."""
        return str(self.item["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.item["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        """What tells it apart from an earlier one of its name."""
        return str(self.item["metadata"]["uid"])

    @property
    def fresh(self) -> bool:
        """Whether the status speaks of the present spec."""
        return bool(self.status.observed_generation == self.item["metadata"].get("generation"))

    def revision(self, name: str) -> Revision:
        """A revision by its name, or by its number as in ``r7`` or ``7``.

        Raises:
            Trouble: there is none.
        """
        wanted = {name, f"{self.name}-r{name.removeprefix('r')}"}
        found = next((r for r in self.revisions if r.name in wanted), None)
        if found is None:
            known = ", ".join(r.name for r in self.revisions) or "none yet"
            raise Trouble(Exit.NOT_FOUND, f"{self.name} has no revision {name}; there are: {known}")
        return found

    def weight(self, revision: str) -> int | None:
        """Its share of the live traffic; None where it has no part in it."""
        return next((t.weight for t in self.status.traffic or () if t.revision == revision), None)


async def read(kube: Kube, namespace: str, name: str, *, pods: bool = False, decisions: bool = False) -> Release:
    """Everything about one deployment.

    Raises:
        KubeError: the deployment or its revisions cannot be read; NotFound where there is no such deployment.
    """
    item = visible(await kube.get(MODEL_DEPLOYMENTS, namespace, name))
    mine = f"{DEPLOYMENT_LABEL}={name}"
    listed, acts, running = await asyncio.gather(
        kube.list(replace(MODEL_REVISIONS, label=mine), namespace),
        _acts(kube, namespace, name, item["metadata"]["uid"]) if decisions else _nothing(),
        _children(kube, namespace, name) if pods else _nothing(),
    )
    revisions = sorted((_revision(visible(i)) for i in listed), key=lambda r: r.number)
    found = None if running is None else _running(revisions, *running) if running else {}
    return Release(
        item=item,
        spec=ModelDeploymentSpec.model_validate(item["spec"]),
        status=ModelDeploymentStatus.model_validate(item.get("status") or {}),
        revisions=tuple(revisions),
        running=found,
        decisions=tuple(acts or ()),
    )


def visible(value: Any) -> Any:
    """The value without control characters: what others wrote must not steer the terminal of who reads it."""
    if isinstance(value, str):
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {key: visible(item) for key, item in value.items()}
    return [visible(item) for item in value] if isinstance(value, list) else value


def _revision(item: Object) -> Revision:
    return Revision(
        name=item["metadata"]["name"],
        spec=ModelRevisionSpec.model_validate(item["spec"]),
        status=ModelRevisionStatus.model_validate(item.get("status") or {}),
    )


async def _nothing() -> tuple[()]:
    return ()


async def _acts(kube: Kube, namespace: str, name: str, uid: str) -> tuple[Decision, ...]:
    try:
        listed = await kube.list(MODEL_DECISIONS, namespace)
    except (Forbidden, NotFound):
        return ()
    found = [
        Decision(
            item["metadata"]["name"],
            item["metadata"]["uid"],
            parse_time(item["metadata"]["creationTimestamp"]),
            ModelDecisionSpec.model_validate(item["spec"]),
        )
        for item in listed
        if item["spec"]["target"]["deployment"] == name and item["spec"]["target"]["uid"] == uid
    ]
    return tuple(sorted(found, key=lambda d: (d.created_at, d.name)))


async def _children(kube: Kube, namespace: str, name: str) -> tuple[list[Object], ...] | None:
    async def mine(kind: Kind) -> list[Object]:
        return [i for i in await kube.list(kind, namespace) if _belongs(i, name)]

    try:
        return tuple(await asyncio.gather(mine(INFERENCE_SERVICES), mine(DEPLOYMENTS), mine(PODS)))
    except Forbidden:
        return None
    except NotFound:  # no KServe here
        return ()


def _belongs(item: Object, name: str) -> bool:
    labels = item["metadata"].get("labels") or {}
    return labels.get(DEPLOYMENT_LABEL) == name or str(labels.get(_OF, "")).rpartition("-r")[0] == name


def _running(
    revisions: Sequence[Revision], services: list[Object], deployments: list[Object], pods: list[Object]
) -> dict[str, Running]:
    found = {}
    for revision in revisions:
        service = next((s for s in services if s["metadata"]["name"] == revision.name), None)
        if service is None:
            continue

        def of(items: list[Object], name: str = revision.name) -> list[Object]:
            return [i for i in items if (i["metadata"].get("labels") or {}).get(_OF) == name]

        state = workload.read(service, of(deployments), of(pods), replicas=revision.spec.serving.replicas.min)
        found[revision.name] = Running(state, tuple(_pod(pod) for pod in of(pods)))
    return found


def _pod(item: Object) -> Pod:
    status = item.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready = sum(bool(c.get("ready")) for c in containers)
    restarts = sum(c.get("restartCount", 0) for c in containers)
    phase = "Terminating" if "deletionTimestamp" in item["metadata"] else status.get("phase", "Unknown")
    return Pod(item["metadata"]["name"], phase, f"{ready}/{len(containers)}", restarts)
