"""The shipped gauges: valid, complete, and grouped by labels that the PodMonitors really give."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
import yaml

from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec, Workload
from sluice.core import gates, promql
from sluice.edges.performance import question
from sluice.monitor.contract import PerformanceRequest
from tests.chart.helm import ROOT, Manifest, named, render
from tests.unit.core.examples import evaluation

FILES = sorted((ROOT / "monitors").glob("*.yaml"))
SHIPPED = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}


def test_these_are_shipped() -> None:
    latencies = ["latency-p50", "latency-p95", "latency-p99", "model-latency"]
    assert list(SHIPPED) == [
        "accuracy",
        "error-rate",
        "input-drift",
        *latencies,
        "ndcg",
        "prediction-drift",
        "r2",
        "ranking-overlap",
        "roc-auc",
        "workload-health",
    ]


def test_they_are_printed_as_they_are_placeholders_included() -> None:
    printed = {m["metadata"]["name"]: m for m in render() if m["kind"] == "ClusterModelMonitor"}
    assert printed == SHIPPED


def test_they_can_be_left_out() -> None:
    manifests = render({"clusterModelMonitors": {"install": False}})
    assert not [item for item in manifests if item["kind"] == "ClusterModelMonitor"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_gauge_is_named_like_its_file_and_says_what_it_tells(name: str) -> None:
    assert SHIPPED[name]["metadata"]["name"] == name
    assert ModelMonitorSpec.model_validate(SHIPPED[name]["spec"]).description


@pytest.mark.parametrize("name", [name for name, item in SHIPPED.items() if "slo" in item["spec"]])
def test_queries_and_limits_can_be_filled_in_and_use_every_parameter(name: str) -> None:
    spec = ModelMonitorSpec.model_validate(SHIPPED[name]["spec"])
    assert spec.slo is not None
    values = promql.parameters(spec, MonitorUse(name=name))
    for query in promql.queries(spec.slo, values).all:
        assert "$" not in query
    limits = [spec.slo.limits, spec.slo.compare]
    stated = [text for part in limits if part for text in part.dump().values()]
    assert all(promql.number(str(text), values) is not None for text in stated)
    assert 0 < promql.share(spec.slo.quantile, values) < 1
    used = set(re.findall(r"\$\{(\w+)\}", str(SHIPPED[name]["spec"]["slo"])))
    assert used == spec.parameters.keys() | {"window"}


@pytest.mark.parametrize("name", [name for name, item in SHIPPED.items() if "slo" in item["spec"]])
def test_queries_group_by_the_labels_that_tell_revisions_apart(name: str) -> None:
    for text in re.findall(r"by \(([^)]*)\)", str(SHIPPED[name]["spec"]["slo"])):
        labels = {label.strip() for label in text.split(",")} - {"le"}
        assert labels in ({"route_namespace", "route", "backend"}, {"namespace", "revision"})


@pytest.mark.parametrize("name", [name for name, item in SHIPPED.items() if "performance" in item["spec"]])
def test_of_late_labels_it_is_asked_what_sluice_monitor_can_read(name: str) -> None:
    spec = ModelMonitorSpec.model_validate(SHIPPED[name]["spec"])
    assert spec.performance is not None
    wanted = evaluation(spec, use=MonitorUse(name=name))
    asked = msgspec.convert(question(wanted, spec.performance), PerformanceRequest)
    assert asked.minimum is not None
    assert asked.max_degradation is not None
    assert set(re.findall(r"\$\{(\w+)\}", str(SHIPPED[name]["spec"]))) == spec.parameters.keys()


def test_the_percentiles_ask_prometheus_one_question() -> None:
    levels = [SHIPPED[f"latency-p{percent}"]["spec"]["slo"] for percent in (50, 95, 99)]
    assert len({(level["histogram"], level["window"]) for level in levels}) == 1


def test_the_workload_gauge_is_the_built_in_one() -> None:
    spec = ModelMonitorSpec.model_validate(SHIPPED["workload-health"]["spec"])
    assert gates.WORKLOAD.name == "workload-health"
    assert spec.workload == Workload()  # the defaults, so that listing it changes nothing


@pytest.mark.parametrize(
    ("cluster", "labels"),
    [
        pytest.param(
            "httproute/risk/fraud/rule/0/backend/1",
            {"route_namespace": "risk", "route": "fraud", "rule": "0", "backend": "1"},
            id="a lane",
        ),
        pytest.param(
            "httproute/risk/fraud/rule/0-mirror-0",
            {"route_namespace": "risk", "route": "fraud", "rule": "0", "backend": "mirror"},
            id="the copies",
        ),
        pytest.param("httproute/risk/fraud/rule/0", {}, id="a route without a cluster per backend"),
        pytest.param("grpcroute/risk/fraud/rule/0/backend/1", {}, id="another kind of route"),
        pytest.param("prometheus_stats", {}, id="one of Envoy's own"),
    ],
)
def test_the_gateway_says_route_and_lane(cluster: str, labels: dict[str, str]) -> None:
    (endpoint,) = named(render(), "PodMonitor", "sluice-gateway")["spec"]["podMetricsEndpoints"]
    assert _relabelled({"envoy_cluster_name": cluster}, endpoint["metricRelabelings"]) == labels


def test_model_pods_say_deployment_and_revision_and_are_counted_once() -> None:
    (endpoint,) = named(render(), "PodMonitor", "sluice-models")["spec"]["podMetricsEndpoints"]
    pod = {
        "__meta_kubernetes_pod_container_port_number": "8080",
        "__meta_kubernetes_pod_label_sluice_dev_deployment": "fraud",
        "__meta_kubernetes_pod_label_sluice_dev_revision": "fraud-r2",
    }
    assert _relabelled(pod, endpoint["relabelings"]) == {"deployment": "fraud", "revision": "fraud-r2"}
    agent = {**pod, "__meta_kubernetes_pod_container_port_number": "9081"}
    assert _relabelled(agent, endpoint["relabelings"]) is None


def _relabelled(source: dict[str, str], rules: list[Manifest]) -> dict[str, str] | None:
    """The labels that Prometheus would add; None if it would drop the target."""
    added: dict[str, str] = {}
    for rule in rules:
        (label,) = rule["sourceLabels"]
        match: Any = re.fullmatch(rule.get("regex", "(.*)"), source.get(label, ""))
        if rule.get("action", "replace") == "keep":
            if match is None:
                return None
        elif match is not None:
            added[rule["targetLabel"]] = match.expand(rule.get("replacement", "$1").replace("$", "\\"))
    return added
