"""The shipped gauges: valid, complete, and grouped by labels that the PodMonitors really give."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml

from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec, Workload
from sluice.api.verdict import Verdict
from sluice.core import gates, promql
from sluice.edges.performance import question
from sluice.monitor.contract import PerformanceRequest
from sluice.monitor.grading import GROUPS, Graded, Yardstick
from sluice.monitor.performance import appraise
from tests.chart.helm import ROOT, Manifest, named, render
from tests.unit.core.examples import evaluation

FILES = sorted((ROOT / "monitors").glob("*.yaml"))
SHIPPED = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
LABELLED = [name for name, item in SHIPPED.items() if "performance" in item["spec"]]


def test_these_are_shipped() -> None:
    shelf = [
        *("error-rate", "latency-p50", "latency-p95", "latency-p99", "throughput-floor", "workload-health"),
        *("model-latency", "cpu-saturation"),
        *("mlserver-failures", "mlserver-latency", "mlserver-queue"),
        *("triton-failures", "triton-latency", "triton-queue"),
        *("vllm-answer-length", "vllm-cut-off", "vllm-first-token", "vllm-kv-cache", "vllm-queue", "vllm-token-time"),
        *("input-drift", "population-drift", "prediction-drift", "ranking-overlap"),
        *("accuracy", "f1", "r2", "mrr", "ndcg"),
        *("roc-auc", "brier-score", "calibration"),
    ]
    assert list(SHIPPED) == sorted(shelf)


def test_each_is_documented_with_its_use_and_its_cost() -> None:
    shelf = (ROOT / "docs/monitors.md").read_text().partition("## The shelf")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|(?: [^|]+ \|){3}$", shelf, re.MULTILINE)
    assert sorted(listed) == list(SHIPPED)


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


@pytest.mark.parametrize("name", LABELLED)
def test_of_late_labels_it_is_asked_what_sluice_monitor_can_read(name: str) -> None:
    spec = ModelMonitorSpec.model_validate(SHIPPED[name]["spec"])
    assert spec.performance is not None
    wanted = evaluation(spec, use=MonitorUse(name=name))
    asked = msgspec.convert(question(wanted, spec.performance), PerformanceRequest)
    assert asked.minimum is not None or asked.maximum is not None
    assert asked.max_degradation is not None
    assert set(re.findall(r"\$\{(\w+)\}", str(SHIPPED[name]["spec"]))) == spec.parameters.keys()


@pytest.mark.parametrize("name", LABELLED)
def test_a_model_that_is_worse_fails_by_its_labels_and_one_that_is_not_passes(name: str) -> None:
    spec = ModelMonitorSpec.model_validate(SHIPPED[name]["spec"])
    assert spec.performance is not None
    asked = msgspec.convert(question(evaluation(spec, use=MonitorUse(name=name)), spec.performance), PerformanceRequest)
    yardstick = Yardstick(
        metric=asked.metric,
        positive=asked.positive,
        top=asked.top,
        min_labels=asked.min_labels,
        maximum=asked.maximum,
        minimum=asked.minimum,
        max_degradation=asked.max_degradation,
        confidence=asked.confidence,
    )
    good, bad = (_answers(asked.metric, good=good) for good in (True, False))
    assert appraise(good, good, yardstick).verdict is Verdict.PASS
    assert appraise(bad, good, yardstick).verdict is Verdict.FAIL
    assert appraise(good.take(good.requests < 3), good, yardstick).verdict is Verdict.INCONCLUSIVE


def _answers(metric: str, *, good: bool) -> Graded:
    """4,000 rows and the truth, in requests of ten, by a model that knows something, or by one that knows less."""
    rng = np.random.default_rng(7)
    rows, requests = 4_000, np.arange(4_000) // 10
    chances = rng.beta(0.5, 4.5, rows)
    happened = (rng.random(rows) < chances).astype(float)
    if metric in ("Accuracy", "F1"):
        right = rng.random(rows) < (0.98 if good else 0.7)
        truth, answer = happened, np.where(right, happened, 1 - happened)
    elif metric in ("ROCAUC", "BrierScore", "MeanError"):
        truth, answer = happened, chances if good else np.minimum(rng.permutation(chances) + 0.05, 1.0)
    elif metric == "R2":
        truth = rng.normal(size=rows)
        answer = truth + rng.normal(scale=0.3 if good else 1.0, size=rows)
    else:  # rankings: one row of a request is the right one
        truth = np.zeros(rows)
        truth[np.arange(0, rows, 10) + rng.integers(0, 10, rows // 10)] = 1.0
        answer = (2.0 if good else 0.0) * truth + rng.normal(size=rows)
    return Graded(truth, answer, requests, requests % GROUPS)


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


POD = {
    "__address__": "10.0.0.7",
    "__meta_kubernetes_pod_container_name": "kserve-container",
    "__meta_kubernetes_pod_ip": "10.0.0.7",
    "__meta_kubernetes_pod_label_sluice_dev_deployment": "fraud",
    "__meta_kubernetes_pod_label_sluice_dev_revision": "fraud-r2",
}
"""One of KServe's runtimes, which declare no ports, so that there is none in the address."""
SAID = "__meta_kubernetes_pod_annotation_prometheus_kserve_io_"


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        pytest.param({}, "10.0.0.7:8080", id="nothing is said"),
        pytest.param({f"{SAID}port": "8080"}, "10.0.0.7:8080", id="Scikit-learn"),
        pytest.param({f"{SAID}port": "8002"}, "10.0.0.7:8002", id="Triton"),
        pytest.param({f"{SAID}port": "elsewhere:80"}, "10.0.0.7:8080", id="no port"),
        pytest.param({"__address__": "10.0.0.7:9000"}, "10.0.0.7:8080", id="one of its ports is declared"),
        pytest.param({"__meta_kubernetes_pod_ip": "fd00::7"}, "[fd00::7]:8080", id="IPv6"),
        pytest.param(
            {"__meta_kubernetes_pod_ip": "fd00::7", f"{SAID}port": "8002"}, "[fd00::7]:8002", id="IPv6 and Triton"
        ),
    ],
)
def test_model_pods_are_scraped_where_their_runtime_says(changes: dict[str, str], address: str) -> None:
    labels = {"deployment": "fraud", "revision": "fraud-r2"}
    assert _relabelled(POD | changes, _of_models()) == {"__address__": address, **labels}


def test_the_path_of_metrics_is_the_runtime_s_too() -> None:
    found = _relabelled({**POD, f"{SAID}path": "/stats"}, _of_models())
    assert found is not None
    assert found["__metrics_path__"] == "/stats"


@pytest.mark.parametrize("other", ["agent", "storage-initializer", "queue-proxy"])
def test_what_else_is_in_a_model_s_pod_is_not_counted(other: str) -> None:
    assert _relabelled({**POD, "__meta_kubernetes_pod_container_name": other}, _of_models()) is None


def _of_models() -> list[Manifest]:
    (endpoint,) = named(render(), "PodMonitor", "sluice-models")["spec"]["podMetricsEndpoints"]
    rules: list[Manifest] = endpoint["relabelings"]
    return rules


def _relabelled(source: dict[str, str], rules: list[Manifest]) -> dict[str, str] | None:
    """The labels that Prometheus would set, one rule after the other; None if it would drop the target."""
    added: dict[str, str] = {}
    for rule in rules:
        value = ";".join((source | added).get(label, "") for label in rule["sourceLabels"])
        match: Any = re.fullmatch(rule.get("regex", "(.*)"), value)
        if rule.get("action", "replace") == "keep":
            if match is None:
                return None
        elif match is not None:
            added[rule["targetLabel"]] = match.expand(rule.get("replacement", "$1").replace("$", "\\"))
    return added
