"""The drift service, asked and not asked: every answer is one of four words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import unused_port

from sluice.api.modeldeployment import MonitorMode, MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import Column
from sluice.api.verdict import Evidence, LookKind, MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.looks import Look
from sluice.edges import monitorservice
from sluice.edges.drift import DriftService
from sluice.edges.monitorservice import MonitorService
from sluice.monitor.contract import DriftAnswer, DriftRequest, ReportLink, SampleCounts
from tests.unit.core.examples import evaluation, level
from tests.unit.edges.servers import serving

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=10)
MONITOR = ModelMonitorSpec.model_validate(
    {"drift": {"subject": "Inputs", "minSamples": 300, "minEffect": "0.15", "columns": ["amount"]}}
)
WANTED = evaluation(
    MONITOR,
    use=MonitorUse(name="input-drift", mode=MonitorMode.OBSERVE),
    since=SINCE,
    weight=10,
    alpha=0.002,
)
SIGNATURE = [Column(name="amount", type="double"), Column(name="country", type="string")]


def answer(**changes: Any) -> str:
    """An answer as the service itself would write it."""
    given: dict[str, Any] = {"verdict": Verdict.FAIL, "reason": "DriftDetected", "message": "amount moved"}
    return msgspec.json.encode(DriftAnswer(**(given | changes))).decode()


async def ask(text: str, status: int = 200) -> MonitorResult:
    async with serving(text=text, status=status) as (server, session):
        return await DriftService(MonitorService(server.url, session)).judge(WANTED, SIGNATURE, NOW)


async def test_the_question_is_one_that_the_service_reads() -> None:
    async with serving(text=answer()) as (server, session):
        await DriftService(MonitorService(f"{server.url}/", session)).judge(WANTED, SIGNATURE, NOW)
        ((method, path, asked),) = server.asked
    assert (method, path) == ("POST", "/v1/drift")
    question = msgspec.convert(asked, DriftRequest)
    assert (question.namespace, question.deployment) == ("risk", "fraud")
    assert (question.candidate, question.stable) == ("fraud-r2", "fraud-r1")
    assert (question.since, question.subject) == (SINCE, "Inputs")
    assert (question.min_samples, question.min_effect, question.alpha) == (300, 0.15, 0.002)
    assert question.share == 0.1
    assert question.columns == ["amount"]
    assert [column.name for column in question.schema or []] == ["amount", "country"]


async def test_the_answers_of_a_model_are_not_named_after_its_inputs() -> None:
    predictions = evaluation(ModelMonitorSpec.model_validate({"drift": {}}), since=SINCE, alpha=0.002)
    async with serving(text=answer()) as (server, session):
        await DriftService(MonitorService(server.url, session)).judge(predictions, SIGNATURE, NOW)
        ((_, _, asked),) = server.asked
    question = msgspec.convert(asked, DriftRequest)
    assert question.schema in (None, [])
    assert (question.guard, question.min_effect) == (False, 0.1)
    assert question.share is None, "it answers copies"


@pytest.mark.parametrize(
    ("drift", "least"), [({}, 0.3), ({"guardEffect": "0.5"}, 0.5), ({"guardEffect": "0.2", "minEffect": "0.4"}, 0.4)]
)
async def test_a_guard_asks_for_gross_failure_only(drift: dict[str, str], least: float) -> None:
    wanted = evaluation(
        ModelMonitorSpec.model_validate({"drift": drift}), since=SINCE, alpha=0.0001, look=Look(SINCE, LookKind.GUARD)
    )
    async with serving(text=answer()) as (server, session):
        found = await DriftService(MonitorService(server.url, session)).judge(wanted, SIGNATURE, NOW)
        ((_, _, asked),) = server.asked
    question = msgspec.convert(asked, DriftRequest)
    assert (question.guard, question.min_effect) == (True, least)
    assert found.look is LookKind.GUARD


async def test_an_answer_becomes_a_result_with_its_evidence() -> None:
    begun = SINCE + timedelta(seconds=5)
    text = answer(samples=SampleCounts(412, 3_809), window_start=begun, report=ReportLink("abc", "/v1/reports/abc"))
    async with serving(text=text) as (server, session):
        found = await DriftService(MonitorService(f"{server.url}/", session)).judge(WANTED, SIGNATURE, NOW)
        where = f"{server.url.rstrip('/')}/v1/reports/abc"
    assert found == MonitorResult(
        name="input-drift",
        verdict=Verdict.FAIL,
        reason="DriftDetected",
        message="amount moved",
        mode="Observe",
        samples=412,
        window_start=begun,
        observed_at=NOW,
        evidence=Evidence(url=where),
    )


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_all_four_words_come_through(verdict: Verdict) -> None:
    assert (await ask(answer(verdict=verdict))).verdict is verdict


async def test_without_a_window_of_its_own_the_answer_is_about_what_was_asked() -> None:
    found = await ask('{"verdict": "Pass", "reason": "NoDrift", "message": "m"}')
    assert (found.window_start, found.samples, found.evidence) == (SINCE, None, None)


async def test_a_long_message_is_cut_to_what_a_status_holds() -> None:
    assert len((await ask(answer(message="x" * 5_000))).message) == 1024


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        pytest.param(
            400, answer(message="minSamples is too high"), "answers 400: minSamples is too high", id="refused"
        ),
        pytest.param(503, answer(message="too many wait"), "answers 503: too many wait", id="busy"),
        pytest.param(500, "null", "answers 500: None", id="broken"),
        pytest.param(502, "<html>", "does not answer at", id="a-proxy-before-it"),
        pytest.param(200, "[]", "gives no verdict", id="a-list"),
        pytest.param(200, "{}", "gives no verdict", id="nothing"),
        pytest.param(
            200, json.dumps({"verdict": "Maybe", "reason": "R", "message": "m"}), "no verdict", id="a-fifth-word"
        ),
        pytest.param(200, json.dumps({"verdict": "Pass", "reason": 1, "message": "m"}), "no verdict", id="no-reason"),
        pytest.param(200, json.dumps({"verdict": "Pass", "reason": "R", "message": 1}), "no verdict", id="no-message"),
        pytest.param(
            200,
            json.dumps({"verdict": "Pass", "reason": "R", "message": "m", "report": {"url": "/" + "x" * 600}}),
            "no verdict",
            id="a-report-that-does-not-fit",
        ),
    ],
)
async def test_what_is_no_verdict_is_an_error_that_holds(status: int, text: str, message: str) -> None:
    found = await ask(text, status)
    assert (found.verdict, found.reason) == (Verdict.ERROR, reasons.SOURCE_UNAVAILABLE)
    assert message in found.message
    assert (found.name, found.mode, found.observed_at) == ("input-drift", "Observe", NOW)


async def test_nobody_there_is_an_error_that_holds() -> None:
    async with aiohttp.ClientSession() as session:
        service = DriftService(MonitorService(f"http://127.0.0.1:{unused_port()}", session))
        found = await service.judge(WANTED, SIGNATURE, NOW)
    assert (found.verdict, found.reason) == (Verdict.ERROR, reasons.SOURCE_UNAVAILABLE)


async def test_too_slow_is_an_error_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitorservice, "_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    async with serving(delay=0.5) as (server, session):
        found = await DriftService(MonitorService(server.url, session)).judge(WANTED, SIGNATURE, NOW)
    assert (found.verdict, found.message.endswith("TimeoutError")) == (Verdict.ERROR, True)


async def test_only_drift_monitors_are_its_business() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ValueError, match="error-rate is no drift monitor"):
            await DriftService(MonitorService("http://127.0.0.1:9", session)).judge(
                evaluation(level(limits={"max": "1"})), [], NOW
            )
