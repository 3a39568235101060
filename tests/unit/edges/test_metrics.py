"""What is exposed of deployments comes from their status and goes with them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

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


def test_the_figures_of_a_monitor_are_let_go() -> None:
    labels = ("risk", "a", "a-r2", "error-rate")
    metrics.VERDICT.labels(*labels).set(1)
    metrics.forget(*labels)
    metrics.forget(*labels)
    assert not [s for m in metrics.VERDICT.collect() for s in m.samples if s.labels["deployment"] == "a"]
