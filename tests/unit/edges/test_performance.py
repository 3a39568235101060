"""What sluice-monitor is asked about performance, and what becomes of its answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from sluice.api.measure import PerformanceMetric
from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.plan import Evaluation
from sluice.edges.monitorservice import MonitorService
from sluice.edges.performance import PerformanceService
from sluice.monitor.contract import PerformanceAnswer, PerformanceRequest, ReportLink
from sluice.monitor.performance import Figure
from tests.unit.core.examples import evaluation
from tests.unit.edges.servers import serving

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def wanted(**changes: Any) -> Evaluation:
    performance = {
        "metric": "Recall",
        "prediction": "score",
        "positive": "1",
        "threshold": "0.5",
        "minLabels": 300,
        "window": "36h",
        "limits": {"min": "${least}"},
        "compare": {"maxDegradation": "0.02"},
    }
    spec = {"parameters": {"least": "0.7"}, "performance": performance | changes}
    return evaluation(ModelMonitorSpec.model_validate(spec), use=MonitorUse(name="recall", parameters={"least": "0.8"}))


def answer(**changes: Any) -> str:
    """An answer as the service itself would write it."""
    given: dict[str, Any] = {"verdict": Verdict.FAIL, "reason": "OutsideLimits", "message": "Recall 0.5"}
    return msgspec.json.encode(PerformanceAnswer(**(given | changes))).decode()


async def ask(text: str, evaluated: Evaluation | None = None) -> MonitorResult:
    async with serving(text=text) as (server, session):
        return await PerformanceService(MonitorService(server.url, session)).judge(evaluated or wanted(), NOW)


async def test_the_question_is_one_that_the_service_reads() -> None:
    async with serving(text=answer()) as (server, session):
        await PerformanceService(MonitorService(server.url, session)).judge(wanted(), NOW)
        ((method, path, asked),) = server.asked
    assert (method, path) == ("POST", "/v1/performance")
    assert msgspec.convert(asked, PerformanceRequest) == PerformanceRequest(
        namespace="risk",
        deployment="fraud",
        candidate="fraud-r2",
        stable="fraud-r1",
        window=36 * 3600.0,
        metric=PerformanceMetric.RECALL,
        prediction="score",
        positive="1",
        threshold=0.5,
        min_labels=300,
        minimum=0.8,
        max_degradation=0.02,
    )


async def test_what_is_not_stated_is_not_asked() -> None:
    async with serving(text=answer()) as (server, session):
        plain = wanted(threshold=None, compare=None, limits={"max": "1"}, metric="RMSE", positive=None)
        await PerformanceService(MonitorService(server.url, session)).judge(plain, NOW)
        ((_, _, asked),) = server.asked
    question = msgspec.convert(asked, PerformanceRequest)
    assert (question.threshold, question.positive, question.minimum) == (None, None, None)
    assert (question.maximum, question.max_degradation) == (1, None)


async def test_the_answer_becomes_a_result_with_its_figures() -> None:
    ours, theirs = Figure(0.5, 812, 800, 0.01), Figure(1e-7, 900, 900, 0.01)
    found = await ask(answer(candidate=ours, stable=theirs, report=ReportLink("a", "/v1/reports/a"), window_start=NOW))
    assert (found.verdict, found.reason, found.message) == (Verdict.FAIL, "OutsideLimits", "Recall 0.5")
    assert (found.value, found.stable_value, found.samples) == ("0.5", "1e-07", 812)
    assert found.evidence is not None
    assert (found.evidence.url or "").endswith("/v1/reports/a")
    assert (found.window_start, found.observed_at) == (NOW, NOW)


@pytest.mark.parametrize("text", ["[]", "{}", '{"verdict": "Pass", "reason": "R", "message": "m", "candidate": 1}'])
async def test_what_is_no_verdict_is_an_error_that_holds(text: str) -> None:
    found = await ask(text)
    assert (found.verdict, found.reason) == (Verdict.ERROR, reasons.SOURCE_UNAVAILABLE)


async def test_a_limit_that_cannot_be_filled_in_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await ask(answer(), wanted(limits={"min": "${most}"}))
    assert (found.verdict, found.reason) == (Verdict.ERROR, reasons.QUERY_FAILED)
    assert "${most}" in found.message


async def test_nobody_there_is_an_error_that_holds() -> None:
    async with serving() as (server, session):
        nowhere = PerformanceService(MonitorService(server.url.replace("127.0.0.1", "127.0.0.2"), session))
        found = await nowhere.judge(wanted(), NOW)
    assert (found.verdict, found.reason) == (Verdict.ERROR, reasons.SOURCE_UNAVAILABLE)
