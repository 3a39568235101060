"""A service of somebody else decides about a release, on a real API server and over real HTTP."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice.core import reasons
from sluice.core.objects import Object
from sluice.edges.courier import read_key, signature
from sluice.edges.kinds import MODEL_DEPLOYMENTS, MODEL_MONITORS, MODEL_REVISIONS
from tests.component.rig import Rig
from tests.component.test_operator import deployment

pytestmark = pytest.mark.component


@dataclass
class Checks:
    """A service that checks who asks, and says of each revision what it is told to."""

    key: Path
    verdicts: dict[str, Any] = field(default_factory=dict)
    """What to say, by revision; of others that they pass."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    forged: int = 0
    status: int = 200

    async def answer(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        wanted = signature(read_key(self.key), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        self.forged += headers.get("webhook-signature") != wanted
        question = await request.json()
        self.asked.append(question)
        return web.json_response(self.verdicts.get(question["revision"], {"verdict": "Pass"}), status=self.status)


@asynccontextmanager
async def checking(rig: Rig, tmp_path: Path) -> AsyncIterator[Checks]:
    """The service runs, a monitor names it, and the operator may ask it."""
    key = tmp_path / "key"
    key.write_text("whsec_" + base64.b64encode(bytes(32)).decode())
    checks, application = Checks(key), web.Application()
    application.router.add_post("/golden", checks.answer)
    async with TestServer(application) as server:
        webhook = {"url": str(server.make_url("/golden")), "interval": "5s", "retries": 0}
        await rig.kube.apply(MODEL_MONITORS, monitor(rig, webhook))
        rig.settings = {"webhook_hosts": ("127.0.0.1",), "webhook_key": key}
        yield checks


def monitor(rig: Rig, webhook: dict[str, Any]) -> Object:
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelMonitor",
        "metadata": {"name": "golden", "namespace": rig.namespace},
        "spec": {"webhook": webhook, "parameters": {"floor": "0.8"}},
    }


def checked(rig: Rig, version: str, **spec: Any) -> Object:
    item = deployment(rig, version)
    item["spec"] |= {"monitors": [{"name": "golden", "kind": "ModelMonitor"}], **spec}
    return item


async def release(rig: Rig, version: str, **spec: Any) -> None:
    await rig.kube.apply(MODEL_DEPLOYMENTS, checked(rig, version, **spec))
    await rig.ready(f"scorer-r{version}")


async def promote(rig: Rig, *versions: str, **spec: Any) -> None:
    for version in versions:
        await release(rig, version, **spec)
        await rig.share(f"scorer-r{version}", 100)
        await rig.phase("scorer", "Healthy")


async def test_its_pass_promotes_and_its_fail_takes_back(rig: Rig, tmp_path: Path) -> None:
    async with checking(rig, tmp_path) as checks, rig.operating(), rig.gateway_controller():
        await promote(rig, "1", "2")
        checks.verdicts["scorer-r3"] = {"verdict": "Fail", "message": "AUC 0.71", "value": 0.71, "samples": 5000}
        await release(rig, "3")
        await rig.phase("scorer", "Degraded")
        revision = await rig.get(MODEL_REVISIONS, "scorer-r3")
    assert (revision["status"]["reason"], revision["status"]["message"]) == (
        reasons.WEBHOOK_FAILED,
        "golden: AUC 0.71",
    )
    result = next(r for r in revision["status"]["steps"][-1]["results"] if r["name"] == "golden")
    assert (result["verdict"], result["value"], result["samples"]) == ("Fail", "0.71", 5000)
    asked = next(question for question in checks.asked if question["revision"] == "scorer-r2")
    assert asked["model"]["version"] == "2"
    assert (asked["stable"], asked["weight"], asked["parameters"]) == ("scorer-r1", 50, {"floor": "0.8"})
    assert checks.forged == 0


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        pytest.param(200, {"verdict": "Inconclusive"}, reasons.GATES_INCONCLUSIVE, id="does-not-know-yet"),
        pytest.param(200, {"verdict": "fine"}, reasons.GATES_UNANSWERED, id="no-verdict"),
        pytest.param(503, {}, reasons.GATES_UNANSWERED, id="overloaded"),
    ],
)
async def test_until_it_says_pass_the_release_holds(
    rig: Rig, tmp_path: Path, status: int, answer: dict[str, Any], reason: str
) -> None:
    async with checking(rig, tmp_path) as checks, rig.operating(), rig.gateway_controller():
        await promote(rig, "1")
        checks.status, checks.verdicts["scorer-r2"] = status, answer
        await release(rig, "2")
        await rig.share("scorer-r2", 50)
        await rig.says("MonitorsPassing", reason)
        async with rig.untouched(2):
            pass
        checks.status = 200
        checks.verdicts.clear()
        await rig.share("scorer-r2", 100)


async def test_what_serves_is_watched_by_it_too(rig: Rig, tmp_path: Path) -> None:
    async with checking(rig, tmp_path) as checks, rig.operating(), rig.gateway_controller():
        await promote(rig, "1", "2", watch={"sustained": "1s", "onBreach": "Rollback"})
        checks.verdicts["scorer-r2"] = {"verdict": "Fail", "message": "complaints"}
        await rig.share("scorer-r1", 100)


async def test_a_host_that_the_installer_did_not_name_is_not_asked_and_that_is_said(rig: Rig, tmp_path: Path) -> None:
    async with checking(rig, tmp_path) as checks:
        rig.settings = {"webhook_hosts": ("checks.risk.svc",)}
        async with rig.operating(), rig.gateway_controller():

            async def said() -> bool:
                item = await rig.get(MODEL_MONITORS, "golden")
                conditions = item.get("status", {}).get("conditions", [])
                return [(c["status"], c["reason"]) for c in conditions] == [("False", reasons.WEBHOOK_NOT_ALLOWED)]

            await rig.eventually("the monitor is not ready", said)
            await promote(rig, "1")
            await release(rig, "2")
            await rig.says("MonitorsPassing", reasons.GATES_UNANSWERED)
    assert checks.asked == []
