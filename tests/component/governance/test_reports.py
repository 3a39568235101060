"""Reports on a real API server with the real CustomResourceDefinition of openreports.io."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sluice.core.objects import Object
from sluice.edges.kinds import GOVERNANCE_POLICIES, MODEL_DEPLOYMENTS, REPORTS
from sluice.edges.kube import NotFound
from tests.component.kube import Api
from tests.component.platform import wait_until_served
from tests.component.rig import Rig
from tests.component.test_operator import released

pytestmark = pytest.mark.component

_MODULE = "github.com/openreports/reports-api@v0.2.1"


@pytest.fixture
def open_reports(platform: Api) -> Iterator[None]:
    """The CRD as its Go module ships it; gone again after the test, as other tests have no such API."""
    command = ["go", "mod", "download", "-json", _MODULE]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    folder = Path(json.loads(said.stdout)["Dir"])
    definition = yaml.safe_load((folder / "config" / "crd" / "openreports.io_reports.yaml").read_text())
    platform.create(definition)
    wait_until_served(platform, [definition])
    yield
    platform.request(
        "DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
    )


@pytest.mark.usefixtures("open_reports")
async def test_a_governed_deployment_has_a_report_that_is_written_only_when_it_differs_and_goes_with_the_policy(
    rig: Rig,
) -> None:
    policy: Object = {
        "apiVersion": GOVERNANCE_POLICIES.api_version,
        "kind": "GovernancePolicy",
        "metadata": {"name": f"reports-{rig.namespace}"},
        "spec": {"appliesTo": {"namespaces": [rig.namespace]}, "controls": [{"id": "GOV-AUD-01", "mode": "Warn"}]},
    }
    made = await rig.kube.apply(GOVERNANCE_POLICIES, policy)
    async with rig.operating(resync=2), rig.gateway_controller():
        await released(rig)

        async def reported() -> bool:
            report = await rig.get(REPORTS, "sluice-scorer")
            return [(r["policy"], r["result"]) for r in report["results"]] == [("GOV-AUD-01", "pass")]

        await rig.eventually("the report says what governance says", reported)
        report = await rig.get(REPORTS, "sluice-scorer")
        owner = await rig.get(MODEL_DEPLOYMENTS, "scorer")
        assert report["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
        assert report["summary"] == {"pass": 1, "fail": 0, "warn": 0, "error": 0, "skip": 0}
        await asyncio.sleep(3)  # until the last record of the promotion is in it
        settled = await rig.get(REPORTS, "sluice-scorer")
        await asyncio.sleep(5)  # two resyncs
        assert await rig.get(REPORTS, "sluice-scorer") == settled
        await rig.kube.delete(GOVERNANCE_POLICIES, made)

        async def gone() -> bool:
            try:
                await rig.get(REPORTS, "sluice-scorer")
            except NotFound:
                return True
            return False

        await rig.eventually("the report goes with the policy", gone)
