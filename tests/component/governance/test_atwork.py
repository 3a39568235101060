"""What people's acts come to, and when they end: on a guarded API server, by an operator that never looks by chance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sluice.core import reasons
from sluice.edges.kinds import INFERENCE_SERVICES
from sluice.edges.kube import Access, Kube
from tests.component.governance.atwork import AtWork, PlayedEvidence, soon
from tests.component.governance.guarded import OPERATOR, Guarded
from tests.component.rig import rig as make_rig

pytestmark = pytest.mark.component

LATE = timedelta(seconds=3)
"""How late an end may be noticed. The next full list would be in an hour."""


@pytest.fixture
async def atwork(prepared: Guarded, space: str, tmp_path: Path) -> AsyncIterator[AtWork]:
    """A namespace, and what an operator needs to work in it as its service account."""
    async with make_rig(prepared.plane, space) as rig:
        access = Access(kubeconfig=str(prepared.plane.kubeconfig), user=OPERATOR, groups=("system:masters",))
        rig.operator_kube = await Kube.connect(access)
        rig.surroundings = PlayedEvidence(rig.operator_kube, tmp_path)
        made = AtWork(prepared, rig)
        try:
            async with rig.gateway_controller():
                yield made
        finally:
            await made.ungovern()
            await rig.operator_kube.close()


async def test_an_exception_is_answered_and_ends_in_time(atwork: AtWork) -> None:
    rig = atwork.rig
    await atwork.govern(controls=[{"id": "GOV-VAL-02"}])
    async with rig.operating():
        await atwork.asks("dan", "1")
        await rig.says("GovernanceSatisfied", "GovernanceBlocked")
        assert await rig.kube.list(INFERENCE_SERVICES, rig.namespace) == []
        ends, written = soon(25)
        name = await atwork.waives("wendy", "GOV-VAL-02", "scorer-r1", written)
        at = await atwork.answered("GovernanceException", name, "False", reasons.DECISION_EXPIRED)
        assert ends <= at < ends + LATE
        assert await rig.get(INFERENCE_SERVICES, "scorer-r1")  # it had begun, and is not taken away
        told = [r for r in await atwork.records("scorer-r1") if r["kind"] == "Waived"]
        assert [(r["actor"], r["reason"]) for r in told] == [
            ("wendy", "GOV-VAL-02"),
            ("sluice", reasons.DECISION_EXPIRED),
        ]


async def test_an_exception_of_somebody_who_asked_for_the_release_is_told_that_it_waives_nothing(
    atwork: AtWork,
) -> None:
    rig = atwork.rig
    await atwork.govern(controls=[{"id": "GOV-VAL-02"}])
    async with rig.operating():
        await atwork.asks("admin", "1")
        await rig.says("GovernanceSatisfied", "GovernanceBlocked")
        _, written = soon(600)
        name = await atwork.waives("admin", "GOV-VAL-02", "scorer-r1", written)
        await atwork.answered("GovernanceException", name, "False", reasons.NOT_INDEPENDENT)
        assert await rig.kube.list(INFERENCE_SERVICES, rig.namespace) == []


async def test_an_approval_that_expires_freezes_new_releases_at_that_time_and_leaves_what_serves_alone(
    atwork: AtWork,
) -> None:
    rig = atwork.rig
    await atwork.govern(controls=[{"id": "GOV-APP-03"}], approvals=[{"role": "model-validator"}])
    async with rig.operating():
        await atwork.asks("dan", "1")
        await rig.says("GovernanceSatisfied", "AwaitingApproval")
        ends, written = soon(25)
        approval = await atwork.decides("vera", "Approve", "scorer-r1", "model-validator", written)
        await atwork.answered("ModelDecision", approval, "True", reasons.DECISION_ACCEPTED)
        await rig.ready("scorer-r1")
        await rig.phase("scorer", "Healthy")
        async with rig.untouched():
            at = await atwork.answered("ModelDecision", approval, "False", "Expired")
            assert ends <= at < ends + LATE
            expired = [r["kind"] for r in await atwork.records("scorer-r1")][-1]
            assert expired == "Expired"
            await atwork.asks("dan", "2")
            await rig.says("GovernanceSatisfied", "ApprovalLapsed")
