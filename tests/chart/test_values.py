"""The schemas of the values: a mistake is refused, in words that name it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.helm import ROOT, HelmError, Values, render

CHARTS = (ROOT, ROOT / "charts" / "operator", ROOT / "charts" / "monitor")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param({"operater": {}}, "additional properties 'operater' not allowed", id="part"),
        pytest.param({"global": {"prometeus": {}}}, "additional properties 'prometeus' not allowed", id="global"),
        pytest.param({"operator": {"replics": 3}}, "additional properties 'replics' not allowed", id="operator"),
        pytest.param({"monitor": {"replicas": 3}}, "additional properties 'replicas' not allowed", id="monitor"),
        pytest.param({"operator": {"replicas": 0}}, "/replicas", id="too few"),
        pytest.param({"operator": {"replicas": "2"}}, "/replicas", id="text for a number"),
        pytest.param({"operator": {"logLevel": "debug"}}, "/logLevel", id="level"),
        pytest.param({"operator": {"watchNamespaces": "risk"}}, "/watchNamespaces", id="text for a list"),
        pytest.param({"operator": {"watchNamespaces": ["Risk"]}}, "/watchNamespaces/0", id="no namespace"),
        pytest.param({"monitoring": {"podMonitors": True}}, "/monitoring/podMonitors", id="a boolean for a choice"),
        pytest.param({"global": {"prometheus": {"url": "prometheus:9090"}}}, "/global/prometheus/url", id="no URL"),
        pytest.param({"global": {"image": {"pullPolicy": "Sometimes"}}}, "/global/image/pullPolicy", id="policy"),
        pytest.param({"global": {"governance": {"anchor": {"url": "https://x/y"}}}}, "/anchor/url", id="no store"),
        pytest.param(
            {"global": {"governance": {"anchor": {"url": "file:///records"}}}},
            "governance.anchor.volume",
            id="no place",
        ),
        pytest.param({"monitor": {"persistence": {"size": "much"}}}, "/persistence/size", id="quantity"),
        pytest.param({"monitor": {"rows": {"url": "gs://bucket"}}}, "/rows/url", id="store"),
        pytest.param({"monitor": {"checkpointSeconds": 0}}, "/checkpointSeconds", id="too often"),
    ],
)
def test_a_mistake_is_refused_in_words_that_name_it(values: Values, said: str) -> None:
    with pytest.raises(HelmError) as refused:
        render(values)
    assert said in str(refused.value)


def test_every_default_is_in_the_schema_and_every_object_of_it_is_closed() -> None:
    for chart in CHARTS:
        schema = json.loads((chart / "values.schema.json").read_text())
        defaults = yaml.safe_load((chart / "values.yaml").read_text())
        assert not list(_undescribed(schema, defaults)), chart.name
        assert not list(_open(schema)), chart.name


def test_every_value_of_the_schema_has_a_default() -> None:
    for chart in CHARTS:
        schema = json.loads((chart / "values.schema.json").read_text())
        defaults = yaml.safe_load((chart / "values.yaml").read_text())
        if chart != ROOT:
            del schema["properties"]["global"]  # whose defaults are the root's
        assert not list(_without_default(schema, defaults)), chart.name


def _undescribed(schema: Any, values: Any, path: str = "") -> Iterator[str]:
    properties = schema.get("properties")
    if properties is None or not isinstance(values, dict):
        return
    for name, value in values.items():
        if name not in properties:
            yield f"{path}.{name}"
        else:
            yield from _undescribed(properties[name], value, f"{path}.{name}")


def _without_default(schema: Any, values: Any, path: str = "") -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        if name not in values:
            yield f"{path}.{name}"
        elif name != "resources":  # as in a pod: any part may be absent
            yield from _without_default(part, values[name], f"{path}.{name}")


def _open(schema: Any, path: str = "") -> Iterator[str]:
    if "properties" in schema:
        if schema.get("additionalProperties") is not False:
            yield path or "."
        for name, part in schema["properties"].items():
            yield from _open(part, f"{path}.{name}")
