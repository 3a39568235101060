"""What people's acts come to, and when they end: on a guarded API server, by an operator that never looks by chance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sluice.edges.kinds import INFERENCE_SERVICES
from sluice.edges.kube import Access
from tests.component.governance.atwork import AtWork, PlayedEvidence, soon
from tests.component.governance.guarded import OPERATOR, Guarded
from tests.component.platform import install_platform
from tests.component.rig import condition
from tests.component.rig import rig as make_rig

pytestmark = pytest.mark.component

LATE = timedelta(seconds=3)
"""How late an end may be noticed. The next full list would be in an hour."""


@pytest.fixture(scope="session")
def platform(guarded: Guarded) -> Guarded:
    """The guarded API server with KServe's and the Gateway API's CRDs."""
    guarded.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateways"}})
    install_platform(guarded.admin)
    return guarded


@pytest.fixture
async def atwork(platform: Guarded, space: str) -> AsyncIterator[AtWork]:
    """A namespace with an operator's identity to work in it."""
    access = Access(kubeconfig=str(platform.plane.kubeconfig), user=OPERATOR, groups=("system:masters",))
    async with make_rig(platform.plane, space, access) as rig:
        yield AtWork(platform, rig)


async def test_an_exception_is_answered_and_ends_in_time(atwork: AtWork, tmp_path: Path) -> None:
    rig = atwork.rig
    await atwork.govern(controls=[{"id": "GOV-VAL-02"}])
    async with rig.operating(surroundings=PlayedEvidence(rig.kube, tmp_path)), rig.gateway_controller():
        await atwork.asks("dan", "1")
        await rig.says("GovernanceSatisfied", "GovernanceBlocked")
        assert await rig.kube.list(INFERENCE_SERVICES, rig.namespace) == []
        ends, written = soon(15)
        name = await atwork.waives("wendy", "GOV-VAL-02", "scorer-r1", written)
        await atwork.answered("GovernanceException", name, "True", "Accepted")
        await rig.ready("scorer-r1")
        await rig.phase("scorer", "Healthy")
        at = await atwork.answered("GovernanceException", name, "False", "Expired")
        assert ends <= at < ends + LATE
        assert condition(await rig.says("GovernanceSatisfied", "GovernanceBlocked"), "Ready")["status"] == "True"
        told = [r for r in await atwork.records("scorer-r1") if r["kind"] == "Waived"]
        assert [(r["actor"], r["reason"]) for r in told] == [("wendy", "GOV-VAL-02"), ("sluice", "Expired")]
    await atwork.ungovern()


async def test_an_exception_of_somebody_who_asked_for_the_release_is_told_that_it_waives_nothing(
    atwork: AtWork, tmp_path: Path
) -> None:
    rig = atwork.rig
    await atwork.govern(controls=[{"id": "GOV-VAL-02"}])
    async with rig.operating(surroundings=PlayedEvidence(rig.kube, tmp_path)), rig.gateway_controller():
        await atwork.asks("admin", "1")
        await rig.says("GovernanceSatisfied", "GovernanceBlocked")
        _, written = soon(600)
        name = await atwork.waives("admin", "GOV-VAL-02", "scorer-r1", written)
        await atwork.answered("GovernanceException", name, "False", "NotIndependent")
        assert await rig.kube.list(INFERENCE_SERVICES, rig.namespace) == []
    await atwork.ungovern()


async def test_an_approval_that_expires_freezes_new_releases_at_that_time_and_leaves_what_serves_alone(
    atwork: AtWork, tmp_path: Path
) -> None:
    rig = atwork.rig
    await atwork.govern(controls=[{"id": "GOV-APP-03"}], approvals=[{"role": "model-validator"}])
    async with rig.operating(surroundings=PlayedEvidence(rig.kube, tmp_path)), rig.gateway_controller():
        await atwork.asks("dan", "1")
        await rig.says("GovernanceSatisfied", "AwaitingApproval")
        ends, written = soon(15)
        approval = await atwork.decides("vera", "Approve", "scorer-r1", "model-validator", written)
        await atwork.answered("ModelDecision", approval, "True", "Accepted")
        await rig.ready("scorer-r1")
        await rig.phase("scorer", "Healthy")
        async with rig.untouched():
            at = await atwork.answered("ModelDecision", approval, "False", "Expired")
            assert ends <= at < ends + LATE
            expired = [r["kind"] for r in await atwork.records("scorer-r1")][-1]
            assert expired == "Expired"
            await atwork.asks("dan", "2")
            await rig.says("GovernanceSatisfied", "ApprovalLapsed")
    await atwork.ungovern()
