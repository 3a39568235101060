"""Monitors whose queries are wrong, with the operator on a real API server: said where they are, and never a pass.

Prometheus is played, in words that ``monitors/test_gauges.py`` has from a real one.
"""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.objects import Object
from sluice.edges.kinds import MODEL_DEPLOYMENTS, MODEL_MONITORS
from tests.component.rig import Rig, condition
from tests.component.test_operator import deployment, released

pytestmark = pytest.mark.component

BAD, TOTAL = "sum by (namespace, revision) (errors", "requests"


def monitor(rig: Rig) -> Object:
    slo = {"bad": BAD, "total": TOTAL, "window": "1s", "limits": {"max": "0.05"}}
    metadata = {"name": "errors", "namespace": rig.namespace}
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelMonitor", "metadata": metadata, "spec": {"slo": slo}}


def judged(rig: Rig, version: str) -> Object:
    item = deployment(rig, version, steps=[{"weight": 50, "hold": "2s"}, {"weight": 100}])
    item["spec"]["monitors"] = [{"name": "errors", "kind": "ModelMonitor"}]
    return item


def series(rig: Rig, revision: str, figure: str, **labels: str) -> dict[str, Any]:
    return {"metric": {"namespace": rig.namespace, "revision": revision} | labels, "value": [0, figure]}


def unclosed(rig: Rig) -> None:
    rig.prometheus.refused[BAD] = "1:37: parse error: unclosed left parenthesis"
    rig.prometheus.others[TOTAL] = [series(rig, "scorer-r2", "1000")]


def misspelt(rig: Rig) -> None:
    rig.prometheus.others[TOTAL] = []


def several(rig: Rig) -> None:
    rig.prometheus.others[TOTAL] = [series(rig, "scorer-r2", "1000", pod=pod) for pod in "ab"]


@pytest.mark.parametrize(
    ("mistake", "ready", "verdict", "promoted", "said"),
    [
        pytest.param(
            unclosed,
            ("False", "QueryFailed", "unclosed left parenthesis"),
            ("Error", "QueryFailed"),
            "GatesUnanswered",
            "unclosed left parenthesis",
            id="a syntax error",
        ),
        pytest.param(
            misspelt,
            ("Unknown", "NoData", "matches no series yet"),
            ("Inconclusive", "NoData"),
            "GatesInconclusive",
            "Prometheus has no requests of scorer-r2",
            id="a metric that does not exist",
        ),
        pytest.param(
            several,
            ("Unknown", "NoData", f"`{BAD}` matches no series yet"),
            ("Inconclusive", "SeveralSeries"),
            "GatesInconclusive",
            "2 series for scorer-r2; group the query by (namespace, revision)",
            id="several series of one revision",
        ),
    ],
)
async def test_a_query_that_cannot_be_read_holds_the_release_where_it_is_until_it_is_mended(
    rig: Rig, mistake: Any, ready: tuple[str, str, str], verdict: tuple[str, str], promoted: str, said: str
) -> None:
    mistake(rig)
    async with rig.operating(), rig.gateway_controller():
        made = await rig.kube.apply(MODEL_MONITORS, monitor(rig))

        async def tried() -> bool:
            return "status" in await rig.get(MODEL_MONITORS, "errors")

        await rig.eventually("the monitor was tried", tried)
        told = condition((await rig.get(MODEL_MONITORS, "errors"))["status"], "Ready")
        assert (told["status"], told["reason"]) == ready[:2]
        assert ready[2] in told["message"]
        assert told["observedGeneration"] == made["metadata"]["generation"]

        await released(rig)
        await rig.kube.apply(MODEL_DEPLOYMENTS, judged(rig, "2"))
        await rig.ready("scorer-r2")
        await rig.share("scorer-r2", 50)
        status = await rig.says("MonitorsPassing", promoted)
        async with rig.untouched(4):  # longer than the hold
            pass
        status = await rig.says("MonitorsPassing", promoted)
        (result,) = (each for each in status["monitors"] if each["name"] == "errors")
        assert (result["verdict"], result["reason"]) == verdict
        assert said in result["message"]
        assert condition(status, "Promoted")["status"] == "Unknown"

        rig.prometheus.refused.clear()
        rig.prometheus.others[BAD] = [series(rig, "scorer-r2", "0")]
        rig.prometheus.others[TOTAL] = [series(rig, "scorer-r2", "1000")]
        await rig.phase("scorer", "Healthy")
