"""What is exposed of deployments comes from their status and goes with them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from sluice.api.governance import ControlVerdict
from sluice.edges import metrics
from tests.unit.engine.fakes import deployment


def test_shares_and_phases_are_those_of_the_deployments_that_there_are() -> None:
    items: list[dict[str, Any]] = [
        deployment(name="a") | {"status": {"phase": "Progressing", "traffic": [{"revision": "a-r2", "weight": 25}]}},
        deployment(name="b") | {"status": {"phase": "Healthy"}},
        deployment(name="new"),
    ]
    registry = CollectorRegistry()
    registry.register(metrics.Deployments(lambda: items))
    share = {"namespace": "risk", "deployment": "a", "revision": "a-r2"}
    assert registry.get_sample_value("sluice_traffic_weight", share) == 25
    assert registry.get_sample_value("sluice_deployments", {"phase": "Pending"}) == 1
    phase = {"namespace": "risk", "deployment": "b", "phase": "Healthy"}
    assert registry.get_sample_value("sluice_deployment_phase", phase) == 1
    items.clear()
    assert registry.get_sample_value("sluice_traffic_weight", share) is None


def test_what_governance_says_is_exposed_while_it_says_it() -> None:
    said = {
        "blockedBy": "GOV-VAL-01",
        "controls": [
            {"id": f"C-{verdict}", "verdict": verdict, "mode": "Enforce", "severity": "High"}
            for verdict in ControlVerdict
        ],
        "approvals": [
            {"role": "validator", "required": 2, "given": 1},
            {"role": "owner", "required": 1, "given": 3},
        ],
    }
    items: list[dict[str, Any]] = [
        deployment(name="a") | {"status": {"governance": said}},
        deployment(name="b") | {"status": {"governance": {"summary": {}}}},
        deployment(name="free") | {"status": {}},
    ]
    registry = CollectorRegistry()
    registry.register(metrics.Deployments(lambda: items))
    where = {"namespace": "risk", "deployment": "a"}
    found = {
        verdict: registry.get_sample_value(
            "sluice_control_verdict", where | {"control": f"C-{verdict}", "mode": "Enforce", "severity": "High"}
        )
        for verdict in ControlVerdict
    }
    assert found == {"Pass": 1, "Skipped": 0, "Waived": 0, "Fail": -1, "Error": -2}
    assert registry.get_sample_value("sluice_approvals_missing", where | {"role": "validator"}) == 1
    assert registry.get_sample_value("sluice_approvals_missing", where | {"role": "owner"}) == 0
    blocked = {
        name: registry.get_sample_value("sluice_governance_blocked", {"namespace": "risk", "deployment": name})
        for name in ("a", "b", "free")
    }
    assert blocked == {"a": 1, "b": 0, "free": None}
    items.clear()
    assert registry.get_sample_value("sluice_governance_blocked", where) is None


def test_what_serves_has_breached_where_the_condition_says_so_with_that_reason() -> None:
    def saying(name: str, status: str, reason: str, kind: str = "MonitorsPassing") -> dict[str, Any]:
        said = {"type": kind, "status": status, "reason": reason}
        return deployment(name=name) | {"status": {"conditions": [said]}}

    items = [
        saying("bad", "False", "Breached"),
        saying("rolled-back", "False", "OutsideLimits"),
        saying("left", "False", "ReturnedAfterBreach", "Promoted"),
        saying("good", "True", "AllPassing"),
        deployment(name="new") | {"status": {}},
    ]
    registry = CollectorRegistry()
    registry.register(metrics.Deployments(lambda: items))
    found = {
        item["metadata"]["name"]: registry.get_sample_value(
            "sluice_breached", {"namespace": "risk", "deployment": item["metadata"]["name"]}
        )
        for item in items
    }
    assert found == {"bad": 1, "left": 1, "rolled-back": 0, "good": 0, "new": 0}


def test_the_figures_of_a_monitor_are_let_go() -> None:
    labels = ("risk", "a", "a-r2", "error-rate")
    metrics.VERDICT.labels(*labels).set(1)
    metrics.forget(*labels)
    metrics.forget(*labels)
    assert not [s for m in metrics.VERDICT.collect() for s in m.samples if s.labels["deployment"] == "a"]
