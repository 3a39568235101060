"""Events are posted in the background, and their loss is no harm."""

from __future__ import annotations

import asyncio

from sluice.core.plan import Event, EventType
from sluice.edges.events import Events
from sluice.edges.kinds import EVENTS, MODEL_DEPLOYMENTS
from sluice.edges.kube import Unavailable
from tests.unit.engine.fakes import START, FakeKube, deployment

PROMOTED = Event(EventType.NORMAL, "RevisionPromoted", "scorer-r2: every gate passed", "scorer-r2")


async def posted(events: Events, kube: FakeKube, count: int = 1) -> None:
    about = kube.put(MODEL_DEPLOYMENTS, deployment())
    for _ in range(count):
        events.post(about, PROMOTED, START)
    await asyncio.gather(*events._tasks)


async def test_an_event_is_about_the_deployment() -> None:
    kube = FakeKube()
    await posted(Events(kube), kube)
    (event,) = [item for (kind, _, _), item in kube.objects.items() if kind == EVENTS]
    assert (event["type"], event["reason"]) == ("Normal", "RevisionPromoted")
    assert event["involvedObject"]["uid"] == kube.objects[MODEL_DEPLOYMENTS, "risk", "scorer"]["metadata"]["uid"]
    assert event["metadata"]["namespace"] == "risk"


async def test_while_the_api_server_is_away_they_do_not_pile_up() -> None:
    class Away(FakeKube):
        asked = 0

        async def create(self, *_: object) -> dict[str, object]:
            self.asked += 1
            raise Unavailable(0, "connection refused")

    kube = Away()
    await posted(Events(kube), kube, count=500)
    assert kube.asked == 100
