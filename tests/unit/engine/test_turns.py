"""A change that concerns every deployment, such as a policy's, and the releases that go on meanwhile."""

from __future__ import annotations

from sluice.core.objects import Object
from sluice.engine.queue import Queue
from sluice.engine.store import Key
from sluice.engine.turns import PACE, turns


def deployment(name: str, candidate: str | None = None) -> Object:
    status = {"candidateRevision": candidate} if candidate else {}
    return {"metadata": {"namespace": "risk", "name": name}, "status": status}


def test_releases_in_progress_are_first_and_the_rest_follow_at_a_pace() -> None:
    found = dict(turns([deployment("a"), deployment("b"), deployment("c", "c-r2"), deployment("d")]))
    assert found == {Key("risk", "a"): 0, Key("risk", "b"): PACE, Key("risk", "c"): 0, Key("risk", "d"): 2 * PACE}


def test_a_deployment_without_a_status_is_at_rest() -> None:
    new: Object = {"metadata": {"namespace": "risk", "name": "a"}}
    assert dict(turns([new])) == {Key("risk", "a"): 0}


def test_what_happens_to_a_release_meanwhile_does_not_wait_for_a_thousand_others() -> None:
    now = 100.0
    queue: Queue[Key] = Queue(lambda: now)
    for key, after in turns([deployment(f"m-{number}") for number in range(1000)]):
        queue.add(key, after)
    for _ in range(100):
        now += PACE
        looked_at = queue.pop()
        assert looked_at is not None
        queue.done(looked_at, failed=False)
    queue.add(Key("risk", "m-999"))  # its spec is changed
    assert Key("risk", "m-999") in {queue.pop(), queue.pop()}
