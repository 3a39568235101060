"""Evaluation: the Jobs that ask golden data, made where there is none, and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sluice.api.sender import evaluation_prefix
from sluice.api.verdict import MonitorResult
from sluice.core import examination, promql, reasons, testimony
from sluice.core.examination import Equipment
from sluice.core.objects import Object
from sluice.core.plan import Evaluation
from sluice.edges.kinds import JOBS, PODS, Kind
from sluice.edges.kube import Conflict, KubeError, NotFound, Unavailable
from sluice.edges.monitorservice import no_verdict

_UNEQUIPPED = (
    "the operator was not told which images evaluations are made with; set operator.evaluation.enabled in the chart's "
    "values (SLUICE_OPERATOR_IMAGE, SLUICE_MONITOR_IMAGE)"
)


class Cluster(Protocol):
    """What is needed of the Kubernetes API."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object: ...

    async def list(self, kind: Kind, namespace: str | None = None) -> list[Object]: ...

    async def create(self, kind: Kind, item: Object) -> Object: ...


class Evaluations:
    """Sees to it that golden data is asked, and reads what came of it."""

    def __init__(
        self,
        kube: Cluster,
        equipment: Equipment | None,
        key: bytes | None,
        owner: Callable[[str, str], str | None],
    ) -> None:
        """Args:
        kube: the API server.
        equipment: what Jobs are made of; None where the operator was not told.
        key: what the request ids' tokens are made with; None where there are none.
        owner: gives the uid of a ModelRevision by namespace and name; None where it is gone.
        """
        self._kube = kube
        self._equipment = equipment
        self._key = key
        self._owner = owner

    async def judge(self, wanted: Evaluation, now: datetime) -> MonitorResult:
        """How far it is: Evaluating, a verdict, or Error, which holds."""
        if self._equipment is None:
            return testimony.not_made(wanted, _UNEQUIPPED, now)
        if (uid := self._owner(wanted.namespace, wanted.revision)) is None:
            return testimony.waiting(wanted, f"ModelRevision {wanted.revision} is gone", now)
        try:
            asked = examination.question(wanted, evaluation_prefix(self._key, wanted.namespace))
        except promql.TemplateError as error:
            return no_verdict(wanted, error, now, reasons.QUERY_FAILED)
        try:
            job = await self._found_or_made(examination.build(wanted, asked, self._equipment, uid))
            # Found by the uid of this very Job: one of its name may have been deleted a moment ago.
            mine = replace(PODS, label=f"{examination.JOB_UID}={job['metadata']['uid']}")
            pods = await self._kube.list(mine, wanted.namespace)
        except (Unavailable, Conflict) as error:  # it passes by itself
            return testimony.waiting(wanted, f"the API server does not help just now: {error}", now)
        except KubeError as error:
            return testimony.not_made(wanted, f"the Job of the evaluation cannot be made: {error}", now)
        return testimony.read(wanted, job, pods, uid, now)

    async def _found_or_made(self, wanted: Object) -> Object:
        """The Job. It is created and never applied: applying would make somebody else's Job of this name ours."""
        metadata = wanted["metadata"]
        try:
            return await self._kube.get(JOBS, metadata["namespace"], metadata["name"])
        except NotFound:
            return await self._kube.create(JOBS, wanted)
