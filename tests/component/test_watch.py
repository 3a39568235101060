"""What serves is watched on a real API server: a breach outlives the operator, and the traffic goes back."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice.core import reasons
from sluice.core.objects import Object
from sluice.edges.courier import read_key, signature
from sluice.edges.kinds import HTTP_ROUTES, MODEL_DEPLOYMENTS, MODEL_MONITORS, MODEL_REVISIONS
from tests.component.rig import Rig
from tests.component.test_crash import monitor, series
from tests.component.test_operator import deployment, reasons_told

pytestmark = pytest.mark.component


def watching(rig: Rig, version: str, on_breach: str, sustained: str = "3s", **watch: Any) -> Object:
    item = deployment(rig, version)
    item["spec"]["monitors"] = [{"name": "errors", "kind": "ModelMonitor"}]
    item["spec"]["watch"] = {"sustained": sustained, "onBreach": on_breach, **watch}
    return item


def answering(rig: Rig, **errors: str) -> None:
    """Of a thousand requests to each revision, the errors that Prometheus knows of: 0 where nothing is said."""
    names = ("scorer-r1", "scorer-r2")
    figures = {name: errors.get(name.removeprefix("scorer-"), "0") for name in names}
    rig.prometheus.others["errors"] = series(rig, figures)
    rig.prometheus.others["requests"] = series(rig, dict.fromkeys(names, "1000"))


async def release(rig: Rig, on_breach: str, **watch: Any) -> None:
    """Version 2 serves; version 1 still runs."""
    answering(rig)
    await rig.kube.apply(MODEL_MONITORS, monitor(rig))
    for version in ("1", "2"):
        await rig.kube.apply(MODEL_DEPLOYMENTS, watching(rig, version, on_breach, **watch))
        await rig.ready(f"scorer-r{version}")
        await rig.share(f"scorer-r{version}", 100)
        await rig.phase("scorer", "Healthy")


async def test_a_breach_takes_the_traffic_back_to_the_revision_before(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await release(rig, "Rollback")
        await rig.says("MonitorsPassing", reasons.ALL_PASSING)
        answering(rig, r2="500")
        await rig.share("scorer-r1", 100)
        await rig.phase("scorer", "Degraded")
        told = await reasons_told(rig)
    route = await rig.get(HTTP_ROUTES, "scorer")
    weights = {backend["name"]: backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]}
    assert weights == {"scorer-r1-predictor": 999_999, "scorer-r2-predictor": 1}
    left = await rig.get(MODEL_REVISIONS, "scorer-r2")
    assert [item["monitor"] for item in left["status"]["breached"]] == ["errors"]
    assert [record["kind"] for record in left["status"]["records"]][-2:] == ["Breached", "Replaced"]
    assert {reasons.BREACHED, reasons.RETURNED} <= told


async def test_since_when_it_fails_is_not_forgotten_with_the_process(rig: Rig) -> None:
    async with rig.gateway_controller():
        async with rig.operating():
            await release(rig, "Alert", sustained="8s")
            answering(rig, r2="500")
            status = await rig.says("MonitorsPassing", reasons.FAILING_BRIEFLY)
        first = (await rig.get(MODEL_REVISIONS, "scorer-r2"))["status"]["failing"]
        assert status["phase"] == "Healthy"
        await asyncio.sleep(1)
        async with rig.operating():
            await rig.says("MonitorsPassing", reasons.BREACHED)
            revision = await rig.get(MODEL_REVISIONS, "scorer-r2")
            assert [item["since"] for item in revision["status"]["breached"]] == [item["since"] for item in first]
            answering(rig)
            await rig.says("MonitorsPassing", reasons.ALL_PASSING)
            revision = await rig.get(MODEL_REVISIONS, "scorer-r2")
    assert [record["kind"] for record in revision["status"]["records"]][-2:] == ["Breached", "Recovered"]
    assert revision["status"].get("breached", []) == []


async def test_a_prometheus_that_is_away_takes_nothing_back_and_nothing_is_written_meanwhile(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await release(rig, "Rollback", sustained="1s")
        rig.prometheus.available = False
        await rig.says("MonitorsPassing", reasons.GATES_UNANSWERED)
        before = await rig.get(MODEL_DEPLOYMENTS, "scorer")
        async with rig.untouched(4):
            pass
        after = await rig.get(MODEL_DEPLOYMENTS, "scorer")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert after["status"]["stableRevision"] == "scorer-r2"


@dataclass
class Trainer:
    """Who is told of a breach: checks who tells, and takes it, or not."""

    key: Path
    status: int = 202
    events: list[dict[str, Any]] = field(default_factory=list)
    """What was taken."""
    refused: int = 0
    forged: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        wanted = signature(read_key(self.key), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        self.forged += headers.get("webhook-signature") != wanted
        if self.status == HTTPStatus.ACCEPTED:
            assert request.content_type == "application/cloudevents+json"
            self.events.append(await request.json())
        else:
            self.refused += 1
        return web.Response(status=self.status)


@asynccontextmanager
async def training(rig: Rig, tmp_path: Path) -> AsyncIterator[tuple[Trainer, str]]:
    """The service runs, and the operator may tell it; with its URL."""
    key = tmp_path / "key"
    key.write_text("whsec_" + base64.b64encode(bytes(32)).decode())
    trainer, application = Trainer(key), web.Application()
    application.router.add_post("/train", trainer.answer)
    async with TestServer(application) as server:
        rig.settings = {"webhook_hosts": ("127.0.0.1",), "webhook_key": key}
        yield trainer, str(server.make_url("/train"))


async def test_a_hook_is_told_of_a_breach_even_if_it_was_away_and_the_operator_ended_meanwhile(
    rig: Rig, tmp_path: Path
) -> None:
    async with training(rig, tmp_path) as (trainer, url), rig.gateway_controller():
        trainer.status = 503

        async def refused() -> bool:
            return trainer.refused > 0 and reasons.HOOK_UNANSWERED in await reasons_told(rig)

        async def settled() -> bool:
            return not (await rig.get(MODEL_REVISIONS, "scorer-r2"))["status"].get("notices")

        async def both() -> bool:
            return len(trainer.events) == 2

        async with rig.operating():
            await release(rig, "Alert", sustained="1s", hook={"url": url})
            answering(rig, r2="500")
            await rig.says("MonitorsPassing", reasons.BREACHED)
            await rig.eventually("the hook was asked and did not take it", refused)
        waiting = (await rig.get(MODEL_REVISIONS, "scorer-r2"))["status"]["notices"]
        assert [(notice["kind"], notice["monitor"]) for notice in waiting] == [("Breached", "errors")]
        trainer.status = 202
        async with rig.operating():
            await rig.eventually("nothing is left to tell", settled)
            answering(rig)
            await rig.says("MonitorsPassing", reasons.ALL_PASSING)
            await rig.eventually("its end is told too", both)
    assert trainer.forged == 0
    assert [event["type"] for event in trainer.events] == ["dev.sluice.watch.breached", "dev.sluice.watch.recovered"]
    assert trainer.events[0]["data"]["revision"] == "scorer-r2"
    assert trainer.events[0]["data"]["model"]["version"] == "2"
    assert trainer.events[0]["source"].endswith(f"/namespaces/{rig.namespace}/modeldeployments/scorer")


async def test_a_hook_that_may_not_be_asked_is_told_of_at_once(rig: Rig) -> None:
    async with rig.operating(), rig.gateway_controller():
        await release(rig, "Alert", hook={"url": "https://elsewhere.example.com/"})
        status = await rig.says("MonitorsPassing", reasons.HOOK_NOT_ALLOWED)
    (said,) = (c["message"] for c in status["conditions"] if c["type"] == "MonitorsPassing")
    assert "operator.webhooks.hosts" in said


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        pytest.param({"hook": {"url": "ftp://a/b"}}, "must be an http or https URL", id="no-url"),
        pytest.param({"sustained": "soon"}, "sustained", id="no-duration"),
        pytest.param({"onBreach": "Panic"}, "onBreach", id="no-such-answer"),
    ],
)
async def test_a_watch_that_cannot_be_is_refused_at_admission(rig: Rig, watch: dict[str, Any], said: str) -> None:
    item = deployment(rig, "1")
    item["spec"]["watch"] = watch
    with pytest.raises(Exception, match=said):
        await rig.kube.apply(MODEL_DEPLOYMENTS, item)
