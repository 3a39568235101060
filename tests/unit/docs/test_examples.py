"""Manifests in the documents are ones that the typed models take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.api.modeldeployment import ModelDeploymentSpec
from sluice.api.modelmonitor import ModelMonitorSpec

ROOT = Path(__file__).parents[3]
SPECS: dict[str, Any] = {
    "ModelDeployment": ModelDeploymentSpec,
    "ModelMonitor": ModelMonitorSpec,
    "ClusterModelMonitor": ModelMonitorSpec,
}
EXAMPLES = [
    pytest.param(document, id=f"{page.name}: {document['kind']} {document['metadata']['name']}")
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for text in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    for document in yaml.safe_load_all(text)
    if isinstance(document, dict) and document.get("kind") in SPECS
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("document", EXAMPLES)
def test_an_example_is_taken(document: dict[str, Any]) -> None:
    assert document["apiVersion"] == "sluice.dev/v1alpha1"
    SPECS[document["kind"]].model_validate(document["spec"])
