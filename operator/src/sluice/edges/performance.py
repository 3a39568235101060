"""Performance: the verdicts of sluice-monitor on answers of which the truth is known by now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sluice.api.base import format_time
from sluice.api.modelmonitor import Performance
from sluice.api.verdict import MonitorResult
from sluice.core import promql, reasons
from sluice.core.plan import Evaluation
from sluice.edges.monitorservice import MonitorService, NoVerdict, no_verdict


class PerformanceService:
    """Asks sluice-monitor how good a revision's answers were."""

    def __init__(self, service: MonitorService) -> None:
        self._service = service

    async def judge(self, wanted: Evaluation, now: datetime) -> MonitorResult:
        """One verdict. Where none is to be had it is Error, which holds."""
        performance = wanted.monitor.performance
        assert performance is not None, "only performance monitors are asked here"
        try:
            answer = await self._service.ask("/v1/performance", question(wanted, performance))
        except NoVerdict as error:
            return no_verdict(wanted, error, now)
        except promql.TemplateError as error:
            return no_verdict(wanted, error, now, reasons.QUERY_FAILED)
        try:
            return self._result(wanted, answer, now)
        except (LookupError, TypeError, ValueError, AttributeError):
            return no_verdict(wanted, self._service.not_a_verdict(answer), now)

    def _result(self, wanted: Evaluation, answer: dict[str, Any], now: datetime) -> MonitorResult:
        candidate, stable = answer.get("candidate"), answer.get("stable")
        return self._service.result(
            wanted,
            answer,
            now,
            value=_decimal(candidate["value"]) if candidate else None,
            stable_value=_decimal(stable["value"]) if stable else None,
            samples=candidate["labels"] if candidate else None,
        )


def question(wanted: Evaluation, performance: Performance) -> dict[str, Any]:
    """What sluice-monitor is asked.

    Raises:
        promql.TemplateError: a limit cannot be filled in.
    """
    values = promql.parameters(wanted.monitor, wanted.use)
    limits, compare = performance.limits, performance.compare
    return {
        "namespace": wanted.namespace,
        "deployment": wanted.deployment,
        "candidate": wanted.revision,
        "stable": wanted.stable,
        "since": format_time(wanted.born) if wanted.born else None,
        "stableSince": format_time(wanted.stable_born) if wanted.stable_born else None,
        "window": performance.window.total_seconds(),
        "metric": performance.metric,
        "prediction": performance.prediction,
        "positive": performance.positive,
        "threshold": float(performance.threshold) if performance.threshold is not None else None,
        "top": performance.top,
        "minLabels": performance.min_labels,
        "maximum": promql.number(limits.max, values) if limits is not None else None,
        "minimum": promql.number(limits.min, values) if limits is not None else None,
        "maxDegradation": promql.number(compare.max_degradation, values) if compare is not None else None,
        "confidence": float(performance.confidence),
    }


def _decimal(value: float) -> str:
    return f"{value + 0.0:.6g}".replace("e+", "e")
