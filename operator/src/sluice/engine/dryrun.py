"""Dry run: a monitor's queries are asked once when it is created, so that a mistake is said then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from sluice.api.base import Condition, ConditionStatus
from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec, ModelMonitorStatus, Webhook
from sluice.core import promql, reasons
from sluice.core.objects import Object
from sluice.edges.kinds import CLUSTER_MODEL_MONITORS, MODEL_MONITORS, Kind
from sluice.edges.kube import KubeError, Writer
from sluice.edges.prometheus import PrometheusUnavailableError, QueryRejectedError
from sluice.engine.evaluator import Answer, Evaluator
from sluice.engine.store import Store

log = logging.getLogger(__name__)

Says = tuple[ConditionStatus, str, str]


_AGAIN_SECONDS = 60.0
"""How often to try a monitor again of which nothing could be told: no data yet, or no Prometheus."""


class DryRun:
    """Tries monitors and writes what came of it into their status."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        evaluator: Evaluator,
        clock: Callable[[], datetime],
        refusal: Callable[[str], str],
    ) -> None:
        """``refusal`` says why a webhook's URL is not asked; empty if it is."""
        self._store = store
        self._refusal = refusal
        self._writer = writer
        self._evaluator = evaluator
        self._clock = clock
        self._news = asyncio.Event()

    def wake(self) -> None:
        """A monitor is new or has changed."""
        self._news.set()

    async def run(self) -> None:
        """Try monitors when they change, and those without an answer now and then, until cancelled."""
        again = False
        while True:
            try:
                for kind in (MODEL_MONITORS, CLUSTER_MODEL_MONITORS):
                    await self.all(kind, again=again)
            except Exception:  # one monitor's trouble is not the others'
                log.exception("trying monitors failed")
            try:
                await asyncio.wait_for(self._news.wait(), _AGAIN_SECONDS)
                again = False
            except TimeoutError:
                again = True
            self._news.clear()

    async def all(self, kind: Kind, *, again: bool) -> None:
        """Try every monitor of a kind that was not tried in its present form; ``again``, also if it could not be.

        Webhooks are not asked, and which hosts may be is the installer's to change: they are looked at each time.
        """
        for item in self._store.all(kind):
            if _untried(item) or (again and _untold(item)) or item["spec"].get("webhook"):
                await self._try(kind, item, self._clock())

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
        except KubeError as error:
            log.info("%s %s: its status is not written: %s", kind.kind, item["metadata"]["name"], error)

    async def _said(self, item: Object) -> Says:
        try:
            spec = ModelMonitorSpec.model_validate(item["spec"])
            if spec.webhook is not None:
                return self._asked(spec.webhook)
            values = promql.parameters(spec, MonitorUse(name=item["metadata"]["name"]))
            measured = spec.slo or spec.performance or spec.evaluation
            for limits in (measured.limits, measured.compare) if measured is not None else ():
                for limit in limits.dump().values() if limits else ():
                    promql.number(str(limit), values)
            if spec.slo is None:
                return ConditionStatus.TRUE, "NothingToQuery", "this monitor asks Prometheus nothing"
            queries = promql.queries(spec.slo, values).all
            promql.share(spec.slo.quantile, values)
        except (ValidationError, promql.TemplateError) as error:
            return ConditionStatus.FALSE, reasons.QUERY_FAILED, str(error)
        return _verdict(await self._evaluator.ask(queries))

    def _asked(self, webhook: Webhook) -> Says:
        # It is not asked now: it would have to answer about no release.
        if refusal := self._refusal(webhook.url):
            return ConditionStatus.FALSE, reasons.WEBHOOK_NOT_ALLOWED, refusal
        return ConditionStatus.TRUE, "HostAllowed", "the operator may ask this host; it is asked at the first step"


def _untried(item: Object) -> bool:
    return bool(item.get("status", {}).get("observedGeneration") != item["metadata"]["generation"])


def _untold(item: Object) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == ConditionStatus.UNKNOWN for c in conditions)


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
