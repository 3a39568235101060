"""Services of others, asked and not asked: every answer is one of four words, and the question is signed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from pydantic import ValidationError

from sluice.api.modeldeployment import MonitorMode, MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import ResolvedModel
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import reasons
from sluice.edges.courier import Courier, Letter, Undelivered, WebhookKeyError, read_key, signature
from sluice.edges.webhook import Webhooks
from tests.unit.core.examples import evaluation

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=10)
MODEL = ResolvedModel(name="fraud", version="7", digest="sha256:" + "7" * 64)
KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass
class Service:
    """Answers as it is told, the last answer for good, and keeps what it was asked."""

    answers: list[tuple[int, str]] = field(default_factory=lambda: [(200, '{"verdict": "Pass"}')])
    delay: float = 0.0
    asked: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        await asyncio.sleep(self.delay)
        status, text = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return web.Response(status=status, text=text, headers={"location": "/elsewhere"} if status == 302 else {})


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[Service, aiohttp.ClientSession]]:
    service, application = Service(**settings), web.Application()
    application.router.add_route("*", "/{path:.*}", service.answer)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        service.url = str(server.make_url("/check"))
        yield service, session


def wanted(url: str, **webhook: Any) -> Any:
    monitor = ModelMonitorSpec.model_validate({"webhook": {"url": url} | webhook, "parameters": {"floor": "0.7"}})
    use = MonitorUse(name="golden", mode=MonitorMode.OBSERVE, parameters={"floor": "0.8"})
    return evaluation(monitor, use=use, since=SINCE, weight=10, model=MODEL)


async def ask(*answers: tuple[int, str], **webhook: Any) -> tuple[MonitorResult, Service]:
    async with serving(answers=list(answers)) as (service, session):
        webhooks = Webhooks(Courier(session, ["127.0.0.1"]), pause=0)
        return await webhooks.judge(wanted(service.url, **webhook), NOW), service


async def test_a_service_is_told_what_is_released_and_its_answer_is_the_verdict() -> None:
    said = {"verdict": "Fail", "message": "AUC 0.71 on the golden set", "value": 0.71, "samples": 5000}
    result, service = await ask((200, json.dumps(said)))
    assert json.loads(service.asked[0][1]) == {
        "namespace": "risk",
        "deployment": "fraud",
        "revision": "fraud-r2",
        "stable": "fraud-r1",
        "monitor": "golden",
        "parameters": {"floor": "0.8"},
        "model": {"name": "fraud", "version": "7", "digest": MODEL.digest},
        "weight": 10,
        "mirrored": False,
        "since": "2026-11-24T11:50:00Z",
    }
    assert result == MonitorResult(
        name="golden",
        verdict=Verdict.FAIL,
        reason=reasons.WEBHOOK_FAILED,
        message="AUC 0.71 on the golden set",
        mode="Observe",
        value="0.71",
        samples=5000,
        window_start=SINCE,
        observed_at=NOW,
    )


@pytest.mark.parametrize(
    ("verdict", "reason"), [("Pass", reasons.WEBHOOK_PASSED), ("Inconclusive", reasons.WEBHOOK_UNDECIDED)]
)
async def test_a_verdict_alone_is_an_answer(verdict: str, reason: str) -> None:
    result, _ = await ask((200, json.dumps({"verdict": verdict})))
    assert (result.verdict, result.reason, result.value, result.samples) == (verdict, reason, None, None)


@pytest.mark.parametrize("figure", ["high", None, [], float("inf"), {"a": 1}, "nan"])
async def test_a_figure_that_is_none_is_left_out(figure: Any) -> None:
    result, _ = await ask((200, json.dumps({"verdict": "Pass", "value": figure, "samples": figure})))
    assert (result.verdict, result.value, result.samples) == (Verdict.PASS, None, None)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param(200, "", id="nothing"),
        pytest.param(200, "Pass", id="no-json"),
        pytest.param(200, "[]", id="no-object"),
        pytest.param(200, '{"verdict": "pass"}', id="another-word"),
        pytest.param(200, '{"verdict": "Error"}', id="error-is-ours-to-say"),
        pytest.param(200, '{"verdict": ["Pass"]}', id="another-type"),
        pytest.param(200, '{"verdict": "Pass", "message": "' + "x" * 70_000 + '"}', id="too-long"),
        pytest.param(404, '{"verdict": "Pass"}', id="not-found"),
        pytest.param(302, '{"verdict": "Pass"}', id="redirected"),
        pytest.param(204, "", id="no-content"),
        pytest.param(202, '{"verdict": "Pass"}', id="queued"),
    ],
)
async def test_what_is_no_verdict_is_an_error_at_once(status: int, text: str) -> None:
    result, service = await ask((status, text))
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.WEBHOOK_UNUSABLE)
    assert len(service.asked) == 1
    assert len(result.message) <= 1024


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end() -> None:
    async def piecemeal(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"verdict": ', b'"Fail"}'):
            await response.write(piece)
            await asyncio.sleep(0.05)
        return response

    application = web.Application()
    application.router.add_post("/check", piecemeal)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        result = await Webhooks(Courier(session, ["127.0.0.1"])).judge(wanted(str(server.make_url("/check"))), NOW)
    assert result.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("given", "value", "samples"),
    [
        ({"value": 1_000_000, "samples": 1 << 53}, "1e06", 1 << 53),
        ({"value": -2.5e-9, "samples": 1 << 54}, "-2.5e-09", None),
        ({"value": 10**400, "samples": -1}, None, None),
        ({"message": "caf\ud83d"}, None, None),
    ],
)
async def test_no_figure_and_no_text_destroys_a_verdict(given: Any, value: str | None, samples: int | None) -> None:
    result, _ = await ask((200, json.dumps({"verdict": "Fail", **given})))
    assert (result.verdict, result.value, result.samples) == (Verdict.FAIL, value, samples)
    result.model_dump_json()


async def test_slow_services_of_one_namespace_hold_up_no_other() -> None:
    async with serving(delay=5) as (service, session):
        webhooks = Webhooks(Courier(session, ["127.0.0.1"]))
        hanging = [asyncio.create_task(webhooks.judge(wanted(service.url), NOW)) for _ in range(40)]
        await asyncio.sleep(0.2)
        assert len(service.asked) == 4
        other = replace(wanted(service.url), namespace="fraud")
        waiting = asyncio.create_task(webhooks.judge(other, NOW))
        await asyncio.sleep(0.2)
        assert len(service.asked) == 5
        for task in (*hanging, waiting):
            task.cancel()
        await asyncio.gather(*hanging, waiting, return_exceptions=True)


async def test_a_service_that_is_overloaded_is_asked_again_about_the_same() -> None:
    result, service = await ask((503, "busy"), (429, "later"), (200, '{"verdict": "Pass"}'))
    assert result.verdict is Verdict.PASS
    assert len({headers["webhook-id"] for headers, _ in service.asked}) == 1
    assert len({body for _, body in service.asked}) == 1
    other, asked = await ask((200, '{"verdict": "Pass"}'))
    assert other.verdict is Verdict.PASS
    assert asked.asked[0][0]["webhook-id"] != service.asked[0][0]["webhook-id"]


@pytest.mark.parametrize("status", [429, 500, 501, 503, 520])
async def test_every_trouble_of_a_server_is_tried_again(status: int) -> None:
    result, service = await ask((status, "no"), (200, '{"verdict": "Pass"}'))
    assert (result.verdict, len(service.asked)) == (Verdict.PASS, 2)


@pytest.mark.parametrize("retries", [0, 2])
async def test_after_the_last_try_it_is_an_error(retries: int) -> None:
    result, service = await ask((500, "no"), retries=retries)
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.SOURCE_UNAVAILABLE)
    assert "500" in result.message
    assert len(service.asked) == retries + 1


async def test_a_service_that_hangs_or_is_away_is_an_error() -> None:
    async with serving(delay=30) as (service, session):
        webhooks = Webhooks(Courier(session, ["127.0.0.1"]), pause=0)
        result = await webhooks.judge(wanted(service.url, timeout="1s", retries=0), NOW)
        assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.SOURCE_UNAVAILABLE)
        away = await webhooks.judge(wanted(f"http://127.0.0.1:{unused_port()}/check", retries=1), NOW)
        assert (away.verdict, away.reason) == (Verdict.ERROR, reasons.SOURCE_UNAVAILABLE)


@pytest.mark.parametrize(
    ("hosts", "url", "asked"),
    [
        ([], "http://checks.risk.svc/x", False),
        (["checks.risk.svc"], "http://checks.risk.svc/x", True),
        (["checks.risk.svc"], "http://checks.risk.svc:8080/x", True),
        (["checks.risk.svc:8080"], "http://checks.risk.svc:8080/x", True),
        (["checks.risk.svc:8080"], "http://checks.risk.svc:9090/x", False),
        (["*.risk.svc"], "https://checks.risk.svc", True),
        (["*.risk.svc"], "https://CHECKS.Risk.svc", True),
        (["*.risk.svc"], "https://checks.risk.svc.example.com/", False),
        (["*.risk.svc"], "https://169.254.169.254/?a=.risk.svc", False),
    ],
)
async def test_only_hosts_that_the_installer_names_are_asked(hosts: list[str], url: str, asked: bool) -> None:
    async with aiohttp.ClientSession() as session:
        courier = Courier(session, hosts)
        assert (courier.refusal(url) == "") is asked
        if not asked:
            result = await Webhooks(courier).judge(wanted(url), NOW)
            assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.WEBHOOK_NOT_ALLOWED)
            assert "operator.webhooks.hosts" in result.message


@pytest.mark.parametrize(
    "url",
    ["ftp://a/b", "checks.risk.svc", "http://user:password@a/b", "http://a@b/", "http://a/b#c", "http://", "http:/a"],
)
def test_what_is_no_url_for_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        wanted(url)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of their documentation."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_question_is_signed_and_an_exchanged_key_is_used(tmp_path: Path) -> None:
    file = tmp_path / "key"
    async with serving() as (service, session):
        webhooks = Webhooks(Courier(session, ["127.0.0.1"], file))
        for text in (KEY, "whsec_" + base64.b64encode(b"another key of thirty-two bytes.").decode()):
            file.write_text(text + "\n")
            await webhooks.judge(wanted(service.url), NOW)
            headers, body = service.asked[-1]
            expected = signature(read_key(file), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
            assert headers["webhook-signature"] == expected
        assert len({headers["webhook-signature"] for headers, _ in service.asked}) == 2
        file.write_text("gone wrong")
        result = await webhooks.judge(wanted(service.url), NOW)
        assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.WEBHOOK_UNUSABLE)
        assert len(service.asked) == 2


async def test_without_a_key_nothing_is_signed() -> None:
    _, service = await ask((200, '{"verdict": "Pass"}'))
    assert "webhook-signature" not in service.asked[0][0]


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_c2hvcnQ=", "c29tZSB0aGlydHktdHdvIGJ5dGVzIG9mIGEga2V5IQ==", "whsec_*"]
)
def test_a_key_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(WebhookKeyError):
        read_key(tmp_path / "key")
    with pytest.raises(WebhookKeyError):
        read_key(tmp_path / "missing")


async def test_a_letter_is_delivered_by_its_status_whatever_is_said_with_it() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        await response.write(b"x" * (1 << 17))
        await asyncio.sleep(30)
        return response

    application = web.Application()
    application.router.add_post("/train", endless)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        letter = Letter(str(server.make_url("/train")), "event-1", b"{}", timedelta(seconds=20))
        await asyncio.wait_for(Courier(session, ["127.0.0.1"]).deliver(letter), 10)


@pytest.mark.parametrize(("status", "again"), [(302, False), (404, False), (429, True), (503, True)])
async def test_what_is_not_taken_is_said_without_the_query(status: int, again: bool) -> None:
    async with serving(answers=[(status, "no")]) as (service, session):
        letter = Letter(f"{service.url}?token=secret", "event-1", b"{}", timedelta(seconds=20))
        with pytest.raises(Undelivered) as caught:
            await Courier(session, ["127.0.0.1"]).deliver(letter)
    assert caught.value.again is again
    assert f"{service.url} answers {status}: no" in caught.value.message
    assert "secret" not in caught.value.message
