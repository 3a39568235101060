"""The shipped gauges before a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    assert merged(kept["spec"], stated["spec"]) == kept["spec"]  # defaults are added, nothing is pruned


def merged(below: Any, above: Any) -> Any:
    """What is stated above, and of what is below, all that it leaves open."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {name: merged(below.get(name), value) for name, value in above.items()}
