"""What the hook of a watch must be told: it waits in the status, and a crash loses none of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.api.modeldeployment import ModelDeploymentSpec
from sluice.api.modelrevision import MAX_NOTICES
from sluice.api.verdict import Verdict
from sluice.api.watch import Hook, OnBreach, Watch
from sluice.core import reasons
from sluice.core.world import Environment
from tests.unit.core.crashes import crashes
from tests.unit.core.simulation import Cluster, passing
from tests.unit.core.test_records import sound
from tests.unit.core.test_watch import asked, at_rest, saying

HOOK = Hook(url="https://train.example.com/start")


def hooked(version: str = "2", on_breach: OnBreach = OnBreach.ALERT) -> ModelDeploymentSpec:
    watch = Watch(sustained=timedelta(minutes=1), on_breach=on_breach, hook=HOOK)
    return asked(version, on_breach).model_copy(update={"watch": watch})


def serving(on_breach: OnBreach = OnBreach.ALERT, **state: Any) -> Cluster:
    cluster = at_rest(on_breach)
    cluster.ask(hooked(on_breach=on_breach))
    for name, value in state.items():
        setattr(cluster, name, value)
    return cluster


def types(cluster: Cluster) -> list[str]:
    return [event.type.rpartition(".")[2] for event in cluster.told]


def test_a_breach_and_its_end_are_told_once_each() -> None:
    cluster = serving()
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(300)
    assert types(cluster) == ["breached"]
    (told,) = cluster.told
    assert (told.url, told.subject, told.monitor) == (HOOK.url, "scorer-r2", "error-rate")
    assert told.source == "/apis/sluice.dev/v1alpha1/namespaces/bank/modeldeployments/scorer"
    assert told.model.version == "2"
    assert "it serves on" in told.message
    assert cluster.revisions["scorer-r2"].status.notices == []
    assert cluster.reasons().count(reasons.HOOK_TOLD) == 1
    cluster.oracle = passing
    cluster.run(60)
    assert types(cluster) == ["breached", "recovered"]
    sound(cluster)


def test_of_what_was_left_after_a_breach_it_is_told_too() -> None:
    cluster = serving(OnBreach.ROLLBACK)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r1"
    assert [(event.subject, event.type) for event in cluster.told] == [("scorer-r2", "dev.sluice.watch.breached")]
    assert "scorer-r1 takes over" in cluster.told[0].message


def test_while_the_hook_is_away_it_waits_and_nothing_is_written() -> None:
    cluster = serving(hooked=False)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    before = cluster.writes
    cluster.run(600)
    assert cluster.writes == before
    assert [notice.kind for notice in cluster.revisions["scorer-r2"].status.notices] == ["Breached"]
    cluster.hooked = True
    cluster.run(10)
    assert types(cluster) == ["breached"]
    assert cluster.revisions["scorer-r2"].status.notices == []


@pytest.mark.no_cover
def test_of_many_that_wait_the_oldest_make_room() -> None:
    cluster = serving(hooked=False)
    for _ in range(MAX_NOTICES):
        cluster.oracle = saying(Verdict.FAIL)
        cluster.run(90, every=15)
        cluster.oracle = passing
        cluster.run(15, every=15)
    waiting = cluster.revisions["scorer-r2"].status.notices
    assert len(waiting) == MAX_NOTICES
    assert waiting[-1].time > cluster.now - timedelta(seconds=30)


@pytest.mark.parametrize("watch", [None, Watch(sustained=timedelta(minutes=1))])
def test_without_a_hook_nothing_waits(watch: Watch | None) -> None:
    cluster = serving(hooked=False)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    assert cluster.revisions["scorer-r2"].status.notices != []
    cluster.ask(hooked().model_copy(update={"watch": watch}))
    assert cluster.revisions["scorer-r2"].status.notices == []
    assert cluster.outgoing == ()
    assert cluster.told == ()


def test_a_hook_that_may_not_be_asked_is_told_of_before_it_is_needed() -> None:
    cluster = serving()
    cluster.environment = Environment(hook_refusal="the operator may not ask train.example.com")
    cluster.run(10)
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.HOOK_NOT_ALLOWED)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED)


def story(cluster: Cluster) -> None:
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90, every=15)
    cluster.oracle = passing
    cluster.run(30, every=15)


def test_a_crash_after_any_write_loses_nothing() -> None:
    undisturbed, ends = crashes(serving, story)
    assert types(undisturbed) == ["breached", "recovered"]
    told = [event.id for event in undisturbed.told]
    another = list(ends)
    assert another, "no crash left another state: nothing was tried"
    for end in another:
        assert list(dict.fromkeys(event.id for event in end.cluster.told)) == told, end.after
        assert end.cluster.revisions["scorer-r2"].status.notices == [], end.after
        sound(end.cluster)


def test_a_process_that_ends_before_it_is_written_that_the_hook_was_told_is_followed_by_one_that_tells_it_again() -> (
    None
):
    cluster = serving()
    cluster.oracle = saying(Verdict.FAIL)
    for _ in range(100):
        if not cluster.told:
            cluster.tick()
    assert cluster.revisions["scorer-r2"].status.notices != []
    cluster.delivered = ()  # it was in the memory of the process
    cluster.run(30)
    first, again = cluster.told
    assert first == again
    assert cluster.revisions["scorer-r2"].status.notices == []
