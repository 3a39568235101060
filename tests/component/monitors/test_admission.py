"""The shipped gauges before a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.component.kube import Api

pytestmark = pytest.mark.component

FILES = sorted((Path(__file__).parents[3] / "monitors").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_api_server_takes_it_as_it_is(api: Api, file: Path) -> None:
    stated = yaml.safe_load(file.read_text(encoding="utf-8"))
    stated["metadata"]["name"] += "-only-here"  # another test may have installed the shipped ones
    kept = api.create(stated, dryRun="All", fieldValidation="Strict")
    (kind,) = {"slo", "drift", "workload", "webhook", "performance"} & stated["spec"].keys()
    # Defaults are added, nothing is pruned.
    assert kept["spec"][kind] | stated["spec"][kind] == kept["spec"][kind]
    assert kept["spec"].get("parameters") == stated["spec"].get("parameters")
