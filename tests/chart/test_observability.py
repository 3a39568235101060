"""Alerts and dashboards: about metrics that exist, in PromQL that Prometheus reads, each alert with its page."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from hack.cluster import binaries
from hack.cluster.controlplane import free_port
from sluice.api.modeldeployment import Phase
from sluice.api.modelrevision import RevisionPhase
from sluice.core.governance.catalogue import CATALOGUE
from sluice.edges.metrics import Deployments
from sluice.monitor.telemetry import Metrics
from tests.chart.helm import ROOT, named, render

RULES = ROOT / "monitors" / "rules" / "sluice.yaml"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
RUNBOOKS = ROOT / "docs" / "runbooks"
DASHBOARDS = {path.name: json.loads(path.read_text()) for path in (ROOT / "monitors" / "dashboards").glob("*.json")}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
]


def _series() -> dict[str, set[str]]:
    """The names of all series that the programs can expose, with their labels."""
    found: dict[str, set[str]] = {}
    for registry in (REGISTRY, Metrics().registry):
        for collector, names in registry._collector_to_names.items():
            labels = set(getattr(collector, "_labelnames", ()))
            found |= {name: labels | ({"le"} if name.endswith("_bucket") else set()) for name in names}
    governance = {
        "controls": [{"id": "GOV-AUD-01", "verdict": "Pass", "mode": "Enforce", "severity": "Critical"}],
        "approvals": [{"role": "validator", "required": 1, "given": 0}],
    }
    status = {"phase": "Healthy", "traffic": [{"revision": "fraud-r1", "weight": 100}], "governance": governance}
    deployment = {"metadata": {"namespace": "risk", "name": "fraud"}, "status": status}
    for family in Deployments(lambda: [deployment]).collect():
        found |= {sample.name: set(sample.labels) for sample in family.samples}
    return {name: labels for name, labels in found.items() if name.startswith("sluice_")}


SERIES = _series()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_page_that_says_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    for heading in ("## What it means", "## What to do"):
        assert heading in page
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]


def test_every_page_has_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("Sluice*.md")} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_alerts_are_about_series_that_exist(name: str) -> None:
    _assert_exists(ALERTS[name]["expr"])


def test_alerts_name_phases_and_outcomes_that_exist() -> None:
    text = RULES.read_text()
    phases = {word for words in re.findall(r'phase=~?"([^"]+)"', text) for word in words.split("|")}
    assert phases <= set(Phase)
    assert set(re.findall(r'outcome="([^"]+)"', text)) <= set(RevisionPhase)


def test_alerts_name_controls_that_exist() -> None:
    named = set(re.findall(r'control="([^"]+)"', RULES.read_text()))
    assert named == {"GOV-APP-03", "GOV-AUD-01", "GOV-AUD-02", "GOV-AUD-03", "GOV-INV-04"}
    assert named <= CATALOGUE.keys()


@pytest.mark.parametrize("panel", PANELS)
def test_panels_show_series_that_exist_and_say_what_they_show(panel: dict[str, Any]) -> None:
    assert panel["description"]
    for target in panel["targets"]:
        _assert_exists(target["expr"])
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= set(_grouping(target["expr"]))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_fits_grafanas_grid_and_has_variables_for_what_it_uses(name: str) -> None:
    dashboard = DASHBOARDS[name]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not mine & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= mine
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) - {"__rate_interval"}
    assert used <= variables


def test_dashboards_are_delivered_as_they_are() -> None:
    printed = named(render(), "ConfigMap", "sluice-dashboards")
    assert printed["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {name: json.loads(text) for name, text in printed["data"].items()} == DASHBOARDS


def test_the_rules_are_delivered_as_they_are_with_pages_where_you_publish_them() -> None:
    assert named(render(), "PrometheusRule", "sluice-rules")["spec"] == yaml.safe_load(RULES.read_text())
    values = {"monitoring": {"runbookBase": "https://wiki.example.com/sluice/", "labels": {"release": "prom"}}}
    rules = named(render(values), "PrometheusRule", "sluice-rules")
    assert rules["metadata"]["labels"]["release"] == "prom"
    urls = {rule["annotations"]["runbook_url"] for rule in rules["spec"]["groups"][0]["rules"]}
    assert urls == {f"https://wiki.example.com/sluice/docs/runbooks/{name}.md" for name in ALERTS}


def test_our_own_namespace_labels_win_over_the_pods() -> None:
    for part in ("operator", "monitor"):
        (endpoint,) = named(render(), "PodMonitor", f"sluice-{part}")["spec"]["podMetricsEndpoints"]
        assert endpoint["honorLabels"] is True


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that scrapes nothing and has our rules; its URL."""
    binaries.build("prometheus")
    directory = tmp_path_factory.mktemp("prometheus")
    (directory / "prometheus.yml").write_text(yaml.safe_dump({"rule_files": [str(RULES)]}))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(binaries.path("prometheus")),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await(url, process, directory / "log")
            yield url
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.component
def test_prometheus_reads_the_rules(prometheus: str) -> None:
    groups = _get(f"{prometheus}/api/v1/rules")["data"]["groups"]
    assert {rule["name"] for group in groups for rule in group["rules"]} == ALERTS.keys()


@pytest.mark.component
@pytest.mark.parametrize("panel", PANELS)
def test_prometheus_reads_the_panels(prometheus: str, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", "1m")
        answer = _get(f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}")
        assert answer["status"] == "success", answer


def _assert_exists(expression: str) -> None:
    names = set(re.findall(r"\bsluice_\w+", expression))
    assert names
    assert names <= SERIES.keys(), names - SERIES.keys()
    known = set().union(*(SERIES[name] for name in names))
    filters = {
        label for text in re.findall(r"\{([^}]*)\}", expression) for label in re.findall(r"(\w+)\s*(?:=|!)", text)
    }
    assert filters | set(_grouping(expression)) <= known, expression


def _grouping(expression: str) -> list[str]:
    return [label.strip() for text in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for label in text.split(",")]


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-2000:]) from None
            time.sleep(0.1)


def _get(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
