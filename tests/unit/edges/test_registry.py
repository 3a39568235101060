"""Model references resolved in processes of their own; here each is a fork of a script with an answer of the test's."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sluice.api.modeldeployment import ModelReference
from sluice.api.modelrevision import ResolvedModel
from sluice.core import reasons
from sluice.core.world import Resolution, Resolved, Resolving, Unresolved
from sluice.edges import registry as edge
from sluice.edges.registry import Question, Registry
from sluice.edges.storage import ForkServer, Storage

DIGEST = f"sha256:{'a' * 64}"
FOUND = {
    "name": "fraud-scorer",
    "version": "7",
    "runId": "run",
    "digest": DIGEST,
    "flavors": ["sklearn"],
    "signature": [{"name": "amount", "type": "double"}],
}
RESOLVED = Resolved(
    ResolvedModel.model_validate({key: value for key, value in FOUND.items() if key not in ("flavors",)})
)
SEVEN = Question(ModelReference(name="fraud-scorer", version="7"))

SCRIPT = """
import pathlib, sys, time
from sluice.storage.server import serve

folder = pathlib.Path(sys.argv[1])

def main(arguments):
    with (folder / "asked").open("a") as asked:
        asked.write(" ".join(arguments) + "\\n")
    time.sleep(float((folder / "delay").read_text()))
    print((folder / "answer").read_text())
    print("what went wrong", file=sys.stderr)

serve(main)
"""


class Played:
    """A registry with the command's answer in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "script.py").write_text(SCRIPT)
        self.server = ForkServer((sys.executable, str(folder / "script.py"), str(folder)))
        self.answers(FOUND)
        self.takes(0)

    def answers(self, document: object) -> None:
        """From now on."""
        (self.folder / "answer").write_text(document if isinstance(document, str) else json.dumps(document))

    def takes(self, seconds: float) -> None:
        """From now on."""
        (self.folder / "delay").write_text(str(seconds))

    def registry(self, retry: float = 60, clock: Callable[[], float] = time.monotonic) -> Registry:
        """A registry that knows nothing yet."""
        return Registry("http://mlflow.example", clock, storage=Storage(self.server), retry=retry)

    @property
    def asked(self) -> list[str]:
        """The command's arguments, call by call."""
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[Played]:
    played = Played(tmp_path)
    yield played
    await played.server.close()
    assert not processes(tmp_path)


async def known(registry: Registry, question: Question = SEVEN) -> Resolution:
    """What is known once the registry says that there is more to know."""
    told = asyncio.Event()
    found = registry.resolve(question, told.set)
    if isinstance(found, Resolving):
        await asyncio.wait_for(told.wait(), 20)
        found = registry.resolve(question, told.set)
    return found


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_it_answers_at_once_and_tells_when_it_knows(played: Played) -> None:
    registry, told = played.registry(), asyncio.Event()
    assert registry.resolve(SEVEN, told.set) == Resolving()
    await asyncio.wait_for(told.wait(), 20)
    assert registry.resolve(SEVEN, told.set) == RESOLVED


async def test_the_command_is_told_all_it_needs(played: Played) -> None:
    await known(played.registry())
    champion = Question(ModelReference(name="--help", alias="champion"))
    await known(played.registry(), champion)
    assert played.asked == [
        "resolve --name=fraud-scorer --version=7 --tracking-uri=http://mlflow.example --digest",
        "resolve --name=--help --alias=champion --tracking-uri=http://mlflow.example --digest",
    ]


async def test_an_answer_is_kept(played: Played) -> None:
    registry = played.registry()
    first, second = await known(registry), await known(registry)
    assert first is second
    assert len(played.asked) == 1


async def test_a_digest_is_not_believed_for_ever_since_a_model_can_be_made_anew(played: Played) -> None:
    now = 0.0
    registry = played.registry(clock=lambda: now)
    await known(registry)
    now += 599
    assert registry.resolve(SEVEN, lambda: None) == RESOLVED
    now += 2
    assert registry.resolve(SEVEN, lambda: None) == Resolving()
    await known(registry)
    assert len(played.asked) == 2


async def test_everyone_who_asks_the_same_is_told_and_mlflow_is_asked_once(played: Played) -> None:
    registry, told = played.registry(), [asyncio.Event() for _ in range(3)]
    for event in told:
        assert registry.resolve(SEVEN, event.set) == Resolving()
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in told)), 20)
    assert len(played.asked) == 1


async def test_the_same_alias_stated_at_another_time_is_another_question(played: Played) -> None:
    registry, alias = played.registry(), ModelReference(name="fraud-scorer", alias="champion")
    await known(registry, Question(alias, "1"))
    await known(registry, Question(alias, "2"))
    assert len(played.asked) == 2


@pytest.mark.parametrize(
    ("answer", "reason", "message"),
    [
        pytest.param(
            {"error": {"reason": "ModelNotFound", "message": "version 7 is not in MLflow"}},
            reasons.MODEL_NOT_FOUND,
            "version 7 is not in MLflow",
            id="what-the-registry-says",
        ),
        pytest.param(
            {"error": {"reason": "ModelNotFound", "message": "m", "hint": "new in some later version"}},
            reasons.MODEL_NOT_FOUND,
            "m",
            id="more-than-expected",
        ),
        pytest.param({"error": {}}, reasons.MODEL_REGISTRY_UNAVAILABLE, "", id="less-than-expected"),
        pytest.param("", reasons.MODEL_REGISTRY_UNAVAILABLE, "what went wrong", id="no-document"),
        pytest.param("[]", reasons.MODEL_REGISTRY_UNAVAILABLE, "what went wrong", id="another-document"),
        pytest.param("Traceback", reasons.MODEL_REGISTRY_UNAVAILABLE, "what went wrong", id="no-json"),
        pytest.param(FOUND | {"digest": "md5:1"}, reasons.MODEL_UNUSABLE, "digest", id="no-digest-of-ours"),
        pytest.param(
            FOUND | {"signature": [{"name": f"c{n}", "type": "double"} for n in range(513)]},
            reasons.MODEL_UNUSABLE,
            "signature",
            id="more-columns-than-a-revision-holds",
        ),
    ],
)
async def test_what_is_no_model_is_unresolved_and_says_why(
    played: Played, answer: object, reason: str, message: str
) -> None:
    played.answers(answer)
    found = await known(played.registry())
    assert isinstance(found, Unresolved)
    assert found.reason == reason
    assert message in found.message


async def test_a_command_that_cannot_be_started_is_an_outage() -> None:
    found = await known(Registry("", storage=Storage(ForkServer(("/nowhere/at-all",)))))
    assert isinstance(found, Unresolved)
    assert found.reason == reasons.MODEL_REGISTRY_UNAVAILABLE


async def test_a_failure_is_believed_for_a_while(played: Played) -> None:
    played.answers({"error": {"reason": "ModelNotFound", "message": "m"}})
    registry = played.registry(retry=60)
    await known(registry)
    played.answers(FOUND)
    assert isinstance(await known(registry), Unresolved)
    assert len(played.asked) == 1


async def test_after_a_while_it_is_tried_again_by_itself(played: Played) -> None:
    played.answers({"error": {"reason": "ModelNotFound", "message": "m"}})
    registry, seen = played.registry(retry=0.2), list[Resolution]()

    def look() -> None:
        seen.append(registry.resolve(SEVEN, look))

    look()
    await until(lambda: isinstance(seen[-1], Unresolved))
    played.answers(FOUND)
    await until(lambda: seen[-1] == RESOLVED)
    # While it is asked again, what was wrong stays known.
    assert list(dict.fromkeys(type(found) for found in seen)) == [Resolving, Unresolved, Resolved]


async def test_each_further_failure_is_believed_twice_as_long(played: Played) -> None:
    now = 0.0
    registry = played.registry(retry=15, clock=lambda: now)
    played.answers({"error": {"reason": "ModelNotFound", "message": "m"}})
    for number, seconds in enumerate((15, 30, 60, 120, 240, 300, 300), start=1):
        told = asyncio.Event()
        registry.resolve(SEVEN, told.set)
        await asyncio.wait_for(told.wait(), 20)
        now += seconds - 1
        registry.resolve(SEVEN, told.set)
        await asyncio.sleep(0)
        assert len(played.asked) == number
        now += 1


async def test_at_most_two_processes_run_at_once(played: Played) -> None:
    played.takes(0.3)
    registry, told = played.registry(), [asyncio.Event() for _ in range(4)]
    for number, event in enumerate(told):
        registry.resolve(Question(ModelReference(name="fraud-scorer", version=str(number + 1))), event.set)
    await until(lambda: len(played.asked) == 2)
    await asyncio.sleep(0.1)
    assert len(played.asked) == 2
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in told)), 20)
    assert len(played.asked) == 4


async def test_one_that_takes_too_long_is_ended_and_said(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "_PATIENCE", 0.3)
    played.takes(60)
    found = await known(played.registry())
    assert isinstance(found, Unresolved)
    assert "took longer than" in found.message
    await until(lambda: len(processes(played.folder)) == 1)


async def test_a_registry_that_is_stopped_leaves_no_process(played: Played) -> None:
    played.takes(60)
    registry = played.registry()
    registry.resolve(SEVEN, lambda: None)
    await until(lambda: len(played.asked) == 1)
    (task,) = registry._answers.running.values()
    task.cancel()
    assert len(processes(played.folder)) == 2
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: len(processes(played.folder)) == 1)


def processes(folder: Path) -> list[str]:
    """The processes of a test's script that still run: the one that forks, and its forks."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and str(folder / "script.py") in (entry / "cmdline").read_text():
                found.append(entry.name)
    return found


async def test_where_an_alias_points_now_is_asked_without_a_download(played: Played) -> None:
    alias = ModelReference(name="fraud-scorer", alias="champion")
    assert await played.registry().version_of_alias(alias) == "7"
    assert played.asked == ["resolve --name=fraud-scorer --alias=champion --tracking-uri=http://mlflow.example"]


async def test_where_an_alias_points_may_be_unknown(played: Played) -> None:
    played.answers({"error": {"reason": "ModelNotFound", "message": "m"}})
    assert await played.registry().version_of_alias(ModelReference(name="fraud-scorer", alias="champion")) is None
