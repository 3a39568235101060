"""Monitors are tried when they change, and what came of it is in their status."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.slo import Sample
from sluice.edges.kinds import CLUSTER_MODEL_MONITORS
from sluice.edges.prometheus import PrometheusUnavailableError, QueryRejectedError
from sluice.engine.dryrun import DryRun
from tests.unit.engine.answers import Answer
from tests.unit.engine.fakes import Engine, FakeKube, Time

KIND = CLUSTER_MODEL_MONITORS


@pytest.fixture
def dry_run(engine: Engine, kube: FakeKube, time: Time) -> DryRun:
    return DryRun(
        engine.store, kube, engine.evaluator, time, lambda url: "" if "checks.risk.svc" in url else "not asked"
    )


def monitor(kube: FakeKube, **spec: Any) -> None:
    slo = {"bad": "bad", "total": "total", "limits": {"max": "0.01"}}
    kube.put(KIND, {"kind": KIND.kind, "metadata": {"name": "errors"}, "spec": spec or {"slo": slo}})


def ready(kube: FakeKube) -> Any:
    (condition,) = kube.objects[KIND, "", "errors"]["status"]["conditions"]
    return condition


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        pytest.param([Sample({}, 1.0)], "True", "QueriesAnswered", id="answered"),
        pytest.param([], "Unknown", "NoData", id="no-series"),
        pytest.param(QueryRejectedError("parse error"), "False", "QueryFailed", id="syntax"),
        pytest.param(PrometheusUnavailableError("refused"), "Unknown", "SourceUnavailable", id="prometheus-away"),
    ],
)
async def test_what_prometheus_says_is_said(
    dry_run: DryRun, engine: Engine, kube: FakeKube, answer: Answer, status: str, reason: str
) -> None:
    engine.prometheus.default = answer
    monitor(kube)
    await dry_run.all(KIND, again=False)
    assert (ready(kube)["status"], ready(kube)["reason"]) == (status, reason)


@pytest.mark.parametrize(
    ("host", "status", "reason"),
    [("checks.risk.svc", "True", "HostAllowed"), ("elsewhere.example", "False", "WebhookNotAllowed")],
)
async def test_of_a_webhook_it_is_said_whether_it_will_be_asked(
    dry_run: DryRun, kube: FakeKube, host: str, status: str, reason: str
) -> None:
    monitor(kube, webhook={"url": f"https://{host}/fraud"})
    await dry_run.all(KIND, again=False)
    assert (ready(kube)["status"], ready(kube)["reason"]) == (status, reason)


async def test_a_host_that_the_installer_added_since_is_said(engine: Engine, kube: FakeKube, time: Time) -> None:
    monitor(kube, webhook={"url": "https://checks.risk.svc/fraud"})
    for refusal, status in (("not asked", "False"), ("", "True"), ("not asked", "False")):
        dry_run = DryRun(engine.store, kube, engine.evaluator, time, lambda _url, said=refusal: said)  # type: ignore[misc]
        for _ in range(2):
            await dry_run.all(KIND, again=False)
        assert ready(kube)["status"] == status
    assert len(kube.writes) == 3


async def test_a_monitor_that_was_tried_is_left_alone(dry_run: DryRun, engine: Engine, kube: FakeKube) -> None:
    engine.prometheus.default = [Sample({}, 1.0)]
    monitor(kube)
    for again in (False, False, True):
        await dry_run.all(KIND, again=again)
    assert len(kube.writes) == 1
    assert len(engine.prometheus.asked) == 2


async def test_one_without_an_answer_is_tried_again_later_and_written_when_that_changes(
    dry_run: DryRun, engine: Engine, kube: FakeKube
) -> None:
    monitor(kube)
    await dry_run.all(KIND, again=False)
    await dry_run.all(KIND, again=False)
    assert len(engine.prometheus.asked) == 2
    await dry_run.all(KIND, again=True)
    assert len(kube.writes) == 1
    engine.prometheus.default = [Sample({}, 1.0)]
    await dry_run.all(KIND, again=True)
    assert ready(kube)["reason"] == "QueriesAnswered"


async def test_a_changed_monitor_is_tried_again(dry_run: DryRun, engine: Engine, kube: FakeKube) -> None:
    engine.prometheus.answers["broken("] = QueryRejectedError("parse error")
    monitor(kube)
    await dry_run.all(KIND, again=False)
    monitor(kube, slo={"bad": "broken("})
    await dry_run.all(KIND, again=False)
    assert ready(kube)["status"] == "False"
    assert "broken(" in ready(kube)["message"]


async def test_one_that_asks_prometheus_nothing_is_ready(dry_run: DryRun, kube: FakeKube) -> None:
    monitor(kube, drift={})
    await dry_run.all(KIND, again=False)
    assert ready(kube)["reason"] == "NothingToQuery"


@pytest.mark.parametrize(("limit", "reason"), [("0.8", "NothingToQuery"), ("${least}", "QueryFailed")])
async def test_the_limits_of_an_evaluation_are_tried(dry_run: DryRun, kube: FakeKube, limit: str, reason: str) -> None:
    golden = {"uri": "s3://golden/fraud.parquet"}
    monitor(kube, evaluation={"data": golden, "metric": "Accuracy", "label": "truth", "limits": {"min": limit}})
    await dry_run.all(KIND, again=False)
    assert ready(kube)["reason"] == reason


async def test_one_that_cannot_be_read_says_why(dry_run: DryRun, kube: FakeKube) -> None:
    monitor(kube, slo={"total": 7})
    await dry_run.all(KIND, again=False)
    assert ready(kube)["status"] == "False"
