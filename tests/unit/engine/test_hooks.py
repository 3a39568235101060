"""What is told to hooks is sent until it is answered, and no longer than it is asked for."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sluice.api.modelrevision import ResolvedModel
from sluice.core import reasons
from sluice.core.plan import Event, Outgoing
from sluice.edges import cloudevent
from sluice.edges.courier import Letter, Undelivered
from sluice.engine.hooks import Hooks
from sluice.engine.store import Key
from tests.unit.engine.answers import PlayedPost

KEY = Key("risk", "fraud")
EVENT = Outgoing(
    url="https://allowed.example.com/train",
    timeout=timedelta(seconds=10),
    id="fraud-r2.error-rate.breached.2026-11-24T12:00:00Z",
    source="/apis/sluice.dev/v1alpha1/namespaces/risk/modeldeployments/fraud",
    type="dev.sluice.watch.breached",
    subject="fraud-r2",
    time=datetime(2026, 11, 24, 12, tzinfo=UTC),
    monitor="error-rate",
    message="error-rate fails since 2026-11-24T11:55:00Z: 50 %",
    model=ResolvedModel(name="fraud", version="7", digest="sha256:" + "7" * 64),
)
AWAY = Undelivered(reasons.SOURCE_UNAVAILABLE, "it does not answer", again=True)


class Away(PlayedPost):
    """Takes no letter."""

    async def deliver(self, letter: Letter) -> None:
        self.letters.append(letter)
        raise Undelivered(reasons.SOURCE_UNAVAILABLE, "it does not answer", again=True)


class Table:
    """Hooks with all that they are given and all that they tell."""

    def __init__(self, *troubles: Exception, away: bool = False) -> None:
        self.post = Away(list(troubles)) if away else PlayedPost(list(troubles))
        self.woken: asyncio.Queue[Key] = asyncio.Queue()
        self.told: list[Event] = []
        self.hooks = Hooks(self.post, self.woken.put_nowait, lambda _key, event: self.told.append(event), pause=0)

    async def until_woken(self) -> None:
        assert await asyncio.wait_for(self.woken.get(), 20) == KEY


async def test_an_event_is_sent_as_a_cloudevent_and_known_to_be_delivered() -> None:
    table = Table()
    table.hooks.want(KEY, (EVENT,))
    assert table.hooks.delivered(KEY) == ()
    await table.until_woken()
    assert table.hooks.delivered(KEY) == (EVENT.id,)
    (letter,) = table.post.letters
    assert (letter.url, letter.content_type) == (EVENT.url, "application/cloudevents+json")
    assert json.loads(letter.body) == {
        "specversion": "1.0",
        "id": EVENT.id,
        "source": EVENT.source,
        "type": "dev.sluice.watch.breached",
        "subject": "fraud-r2",
        "time": "2026-11-24T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "namespace": "risk",
            "deployment": "fraud",
            "revision": "fraud-r2",
            "monitor": "error-rate",
            "message": EVENT.message,
            "model": {"name": "fraud", "version": "7", "digest": EVENT.model.digest},
        },
    }


async def test_what_was_delivered_is_not_sent_again_and_forgotten_when_nobody_asks() -> None:
    table = Table()
    table.hooks.want(KEY, (EVENT,))
    await table.until_woken()
    table.hooks.want(KEY, (EVENT,))
    await asyncio.sleep(0.01)
    assert len(table.post.letters) == 1
    table.hooks.want(KEY, ())
    assert table.hooks.delivered(KEY) == ()


async def test_it_is_tried_again_with_the_same_bytes_and_each_trouble_is_said_once() -> None:
    other = Undelivered(reasons.WEBHOOK_UNUSABLE, "it answers 404")
    table = Table(AWAY, AWAY, AWAY, other, ValueError("nobody foresaw this"))
    table.hooks.want(KEY, (EVENT,))
    await table.until_woken()
    assert len(table.post.letters) == 6
    assert len(set(table.post.letters)) == 1
    assert [event.reason for event in table.told] == [reasons.HOOK_UNANSWERED] * 2
    assert "it does not answer" in table.told[0].message
    assert "it answers 404" in table.told[1].message


async def test_what_is_not_asked_for_any_more_is_not_sent_on() -> None:
    table = Table(away=True)
    table.hooks.want(KEY, (EVENT,))
    await asyncio.sleep(0.01)
    table.hooks.want(KEY, ())
    sent = len(table.post.letters)
    assert sent > 0
    await asyncio.sleep(0.01)
    assert len(table.post.letters) == sent
    assert table.woken.empty()


async def test_a_hook_that_moved_is_told_at_its_new_place() -> None:
    table = Table()
    table.hooks.want(KEY, (EVENT,))
    moved = replace(EVENT, url="https://allowed.example.com/elsewhere")
    table.hooks.want(KEY, (moved,))
    await table.until_woken()
    assert [letter.url for letter in table.post.letters] == [moved.url]


@pytest.mark.parametrize(("url", "allowed"), [("https://allowed.example.com", True), ("https://a.example.com", False)])
def test_it_says_what_may_not_be_asked(url: str, allowed: bool) -> None:
    assert (Table().hooks.refusal(url) == "") is allowed


class Hanging(PlayedPost):
    """Keeps whoever brings a letter waiting."""

    async def deliver(self, letter: Letter) -> None:
        self.letters.append(letter)
        await asyncio.sleep(60)


async def test_slow_hooks_of_one_namespace_hold_up_no_other() -> None:
    post = Hanging()
    hooks = Hooks(post, lambda _: None, lambda _key, _event: None)
    slow = [Key("risk", f"fraud-{number}") for number in range(20)]
    for key in (*slow, Key("credit", "limits")):
        hooks.want(key, (EVENT,))
    await asyncio.sleep(0.01)
    assert len(post.letters) == 5
    for key in (*slow, Key("credit", "limits")):
        hooks.want(key, ())


async def test_what_came_later_is_told_later() -> None:
    end = replace(EVENT, id="recovered", type="dev.sluice.watch.recovered")
    table = Table(AWAY, AWAY)
    table.hooks.want(KEY, (EVENT,))
    await asyncio.sleep(0)
    table.hooks.want(KEY, (EVENT, end))
    await table.until_woken()
    await table.until_woken()
    assert ids(table) == [EVENT.id] * 3 + [end.id]
    assert table.hooks.delivered(KEY) == tuple(sorted((EVENT.id, end.id)))
    table.hooks.want(KEY, ())
    table.hooks.want(KEY, (EVENT,))
    await table.until_woken()
    assert ids(table)[-1] == EVENT.id, "the line begins anew when it is over"


def ids(table: Table) -> list[str]:
    return [json.loads(letter.body)["id"] for letter in table.post.letters]


def test_the_name_that_is_signed_is_one_events_of_one_deployment_and_has_no_full_stop() -> None:
    other = replace(EVENT, source=EVENT.source.replace("risk", "credit"))
    names = {cloudevent.letter(event, "risk", "fraud").name for event in (EVENT, EVENT, other)}
    assert len(names) == 2
    assert all(re.fullmatch("msg_[0-9a-f]{32}", name) for name in names)
