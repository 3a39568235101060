"""Reports are written when they differ, repaired, removed, and never taken from others."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.objects import Object
from sluice.edges.kinds import MODEL_DEPLOYMENTS, REPORTS
from sluice.edges.kube import Forbidden
from sluice.engine.reports import Reports
from sluice.engine.resync import Offers
from sluice.engine.store import Store
from tests.unit.engine.fakes import FakeKube, deployment

ADDRESS = (REPORTS, "risk", "sluice-scorer")
SAID = {
    "controls": [
        {"id": "GOV-AUD-01", "verdict": "Pass", "mode": "Enforce", "severity": "Critical", "assurance": "Derived"}
    ]
}


class Desk:
    """Reports with an API server in memory."""

    def __init__(self) -> None:
        self.kube, self.store, self.offers = FakeKube(), Store(), Offers(open_reports=True)
        self.kube.watchers.append(self._seen)
        self.reports = Reports(self.store, self.kube, self.offers)
        self.kube.put(MODEL_DEPLOYMENTS, deployment("1"))

    def say(self, governance: Any) -> None:
        self.kube.put(MODEL_DEPLOYMENTS, deployment("1") | {"status": {"governance": governance}})

    @property
    def report(self) -> Object | None:
        return self.kube.objects.get(ADDRESS)

    def _seen(self, kind: Any, item: Object, gone: bool) -> None:
        if gone:
            self.store.drop(kind, item)
        else:
            self.store.put(kind, item)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_it_is_written_once_and_not_again_while_it_says_the_same(desk: Desk) -> None:
    desk.say(SAID)
    for message in ("a", "b", "c"):
        desk.kube.put(MODEL_DEPLOYMENTS, deployment("1") | {"status": {"message": message}})
        await desk.reports.all()
    await Reports(desk.store, desk.kube, desk.offers).all()  # as after a restart
    assert desk.kube.writes == [("apply", "Report", "sluice-scorer")]
    desk.say({"controls": [SAID["controls"][0] | {"verdict": "Fail"}]})
    await desk.reports.all()
    assert desk.report is not None
    assert desk.report["summary"]["fail"] == 1


async def test_it_is_removed_when_nothing_governs_any_more(desk: Desk) -> None:
    await desk.reports.all()
    assert desk.kube.writes == []
    desk.say(SAID)
    await desk.reports.all()
    desk.say(None)
    await desk.reports.all()
    assert desk.report is None


async def test_one_that_somebody_changed_is_put_right_when_it_is_looked_at_again(desk: Desk) -> None:
    desk.say(SAID)
    await desk.reports.all()
    desk.kube.put(REPORTS, {"metadata": {"name": "sluice-scorer", "namespace": "risk"}, "summary": {"pass": 99}})
    desk.reports.doubt()
    await desk.reports.all()
    assert desk.report is not None
    assert desk.report["summary"]["pass"] == 1


@pytest.mark.parametrize("governance", [SAID, None])
async def test_somebody_elses_of_the_same_name_is_left_alone(desk: Desk, governance: Any) -> None:
    desk.kube.put(REPORTS, {"metadata": {"name": "sluice-scorer", "namespace": "risk"}, "source": "kyverno"})
    desk.say(governance)
    await desk.reports.all()
    assert desk.kube.writes == []


async def test_a_refusal_stops_nothing_and_is_tried_again(desk: Desk) -> None:
    desk.say(SAID)
    desk.kube.refuse[ADDRESS] = Forbidden(403, "no")
    await desk.reports.all()
    desk.kube.refuse.clear()
    await desk.reports.all()
    assert desk.report is not None


async def test_nothing_is_asked_where_the_api_is_not(desk: Desk) -> None:
    desk.offers.open_reports = False
    desk.say(SAID)
    await desk.reports.all()
    assert desk.kube.writes == []
    desk.offers.open_reports = True
    await desk.reports.all()
    assert desk.report is not None
