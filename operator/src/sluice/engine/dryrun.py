"""Dry run: a monitor's queries are asked once when it is created, so that a mistake is said then."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from sluice.api.base import Condition, ConditionStatus
from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec, ModelMonitorStatus
from sluice.core import promql, reasons
from sluice.core.objects import Object
from sluice.edges.kinds import Kind
from sluice.edges.kube import KubeError, Writer
from sluice.edges.prometheus import PrometheusUnavailableError, QueryRejectedError
from sluice.engine.evaluator import Answer, Evaluator
from sluice.engine.store import Store

Says = tuple[ConditionStatus, str, str]


class DryRun:
    """Tries monitors and writes what came of it into their status."""

    def __init__(self, store: Store, writer: Writer, evaluator: Evaluator) -> None:
        self._store = store
        self._writer = writer
        self._evaluator = evaluator

    async def all(self, kind: Kind, now: datetime) -> None:
        """Try every monitor of a kind that was not tried in its present form, or could not be."""
        for item in self._store.all(kind):
            if _due(item):
                await self._try(kind, item, now)

    async def _try(self, kind: Kind, item: Object, now: datetime) -> None:
        status, reason, message = await self._said(item)
        before = {c["type"]: c for c in item.get("status", {}).get("conditions", [])}.get("Ready")
        unchanged = before is not None and before["status"] == status
        condition = Condition(
            type="Ready",
            status=status,
            reason=reason,
            message=message[:4096],
            last_transition_time=before["lastTransitionTime"] if before and unchanged else now,
            observed_generation=item["metadata"]["generation"],
        )
        wanted = ModelMonitorStatus(conditions=[condition], observed_generation=item["metadata"]["generation"])
        if wanted.dump() == item.get("status"):
            return
        try:
            self._store.put(kind, await self._writer.apply_status(kind, item, wanted.dump()))
        except KubeError:
            return  # the next round tries again

    async def _said(self, item: Object) -> Says:
        try:
            spec = ModelMonitorSpec.model_validate(item["spec"])
            if spec.slo is None:
                return ConditionStatus.TRUE, "NothingToQuery", "this monitor asks Prometheus nothing"
            values = promql.parameters(spec, MonitorUse(name=item["metadata"]["name"]))
            queries = promql.queries(spec.slo, values).all
            for limits in (spec.slo.limits, spec.slo.compare):
                for limit in limits.dump().values() if limits else ():
                    promql.number(str(limit), values)
        except (ValidationError, promql.TemplateError) as error:
            return ConditionStatus.FALSE, reasons.QUERY_FAILED, str(error)
        return _verdict(await self._evaluator.ask(queries))


def _due(item: Object) -> bool:
    status = item.get("status", {})
    ready = {c["type"]: c for c in status.get("conditions", [])}.get("Ready", {})
    tried = status.get("observedGeneration") == item["metadata"]["generation"]
    return not tried or ready.get("status") == ConditionStatus.UNKNOWN


def _verdict(answers: dict[str, Answer]) -> Says:
    for query, answer in answers.items():
        if isinstance(answer, QueryRejectedError):
            return ConditionStatus.FALSE, reasons.QUERY_FAILED, f"Prometheus refuses `{query}`: {answer}"
        if isinstance(answer, PrometheusUnavailableError):
            return ConditionStatus.UNKNOWN, reasons.SOURCE_UNAVAILABLE, str(answer)
    silent = [query for query, answer in answers.items() if answer == []]
    if silent:
        message = f"`{silent[0]}` matches no series yet: either nothing was measured so far, or a name is misspelt"
        return ConditionStatus.UNKNOWN, reasons.NO_DATA, message
    return ConditionStatus.TRUE, "QueriesAnswered", f"Prometheus answers all {len(answers)} queries"
