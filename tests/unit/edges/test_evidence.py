"""Evidence read in processes of their own; here each is a fork of a script with an answer of the test's."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sluice.api.evidence import ModelEvidence
from sluice.api.modelrevision import ResolvedModel
from sluice.edges.evidence import EvidenceProblem, EvidenceReader
from sluice.edges.storage import ForkServer, Storage

DIGEST = f"sha256:{'a' * 64}"
MODEL = ResolvedModel(name="--fraud", version="7", digest=DIGEST)
START = datetime(2026, 11, 25, 12, tzinfo=UTC)
FILES = {"digest": DIGEST}
FOUND = {"observedAt": "2020-01-01T00:00:00Z", "trainedBy": "ann", "tags": {"owner": "risk"}, "files": FILES}

SCRIPT = """
import pathlib, sys
from sluice.storage.server import serve

folder = pathlib.Path(sys.argv[1])

def main(arguments):
    with (folder / "asked").open("a") as asked:
        asked.write(" ".join(arguments) + "\\n")
    if "--known" in arguments:
        (folder / "given").write_text(sys.stdin.read())
    print((folder / "answer").read_text())
    print("what went wrong", file=sys.stderr)

serve(main)
"""


class Played:
    """A reader with the command's answer in a file and a clock of the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 0.0
        (folder / "script.py").write_text(SCRIPT)
        self.server = ForkServer((sys.executable, str(folder / "script.py"), str(folder)))
        self.answers(FOUND)

    def answers(self, document: object) -> None:
        """From now on."""
        (self.folder / "answer").write_text(document if isinstance(document, str) else json.dumps(document))

    def reader(self, **options: Any) -> EvidenceReader:
        """A reader that knows nothing yet."""
        return EvidenceReader(
            "http://mlflow.example",
            lambda: self.seconds,
            now=lambda: START + timedelta(seconds=self.seconds),
            storage=Storage(self.server),
            **options,
        )

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


async def told(read: Callable[[Callable[[], None]], object]) -> object:
    """What is answered at first, after waiting until there is news."""
    news = asyncio.Event()
    first = read(news.set)
    await asyncio.wait_for(news.wait(), 60)
    return first


async def settled(reader: EvidenceReader) -> ModelEvidence | EvidenceProblem | None:
    """What is known once it is known."""
    await told(lambda done: reader.read(MODEL, done))
    return reader.read(MODEL, lambda: None)


async def test_it_answers_at_once_and_tells_when_it_knows(played: Played) -> None:
    reader = played.reader()
    assert await told(lambda done: reader.read(MODEL, done)) is None
    found = reader.read(MODEL, lambda: None)
    assert isinstance(found, ModelEvidence)
    assert (found.trained_by, found.tags) == ("ann", {"owner": "risk"})
    assert found.observed_at == START


async def test_the_command_is_told_all_it_needs(played: Played) -> None:
    await settled(played.reader(trusted_keys=Path("/keys")))
    which = f"--name=--fraud --version=7 --digest={DIGEST}"
    assert played.asked == [f"evidence {which} --tracking-uri=http://mlflow.example --trusted-keys=/keys"]


async def test_evidence_is_kept_while_it_is_fresh(played: Played) -> None:
    reader = played.reader(believed=60)
    first = await settled(reader)
    played.seconds += 29
    assert reader.read(MODEL, lambda: None) is first
    await asyncio.sleep(0)
    assert len(played.asked) == 1


async def test_it_is_read_again_before_it_runs_out(played: Played) -> None:
    reader = played.reader(believed=60)
    first = await settled(reader)
    played.answers(FOUND | {"tags": {"owner": "fraud"}})
    played.seconds += 31
    assert await told(lambda done: reader.read(MODEL, done)) is first
    second = reader.read(MODEL, lambda: None)
    assert isinstance(second, ModelEvidence)
    assert (second.tags, second.observed_at) == ({"owner": "fraud"}, START + timedelta(seconds=31))


async def test_the_same_read_again_changes_nothing_not_even_its_time(played: Played) -> None:
    reader = played.reader(believed=60)
    first = await settled(reader)
    played.seconds += 31
    assert await settled(reader) is first
    assert len(played.asked) == 2


async def test_evidence_that_ran_out_is_not_shown(played: Played) -> None:
    reader = played.reader(believed=60)
    await settled(reader)
    played.seconds += 60
    assert await told(lambda done: reader.read(MODEL, done)) is None


async def test_an_outage_shows_at_once_and_not_the_evidence_before_it(played: Played) -> None:
    reader = played.reader(believed=60)
    await settled(reader)
    played.answers({"error": {"reason": "ModelRegistryUnavailable", "message": "MLflow could not be asked"}})
    played.seconds += 31
    assert await settled(reader) == EvidenceProblem("MLflow could not be asked")


async def test_after_an_outage_there_is_evidence_again(played: Played) -> None:
    reader = played.reader(believed=60, retry=15)
    first = await settled(reader)
    played.answers("Traceback")
    played.seconds += 31
    assert isinstance(await settled(reader), EvidenceProblem)
    played.answers(FOUND)
    played.seconds += 16
    # While it is asked again, what was wrong stays known.
    assert isinstance(await told(lambda done: reader.read(MODEL, done)), EvidenceProblem)
    assert reader.read(MODEL, lambda: None) is first


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param("", "what went wrong", id="no-document"),
        pytest.param("[]", "what went wrong", id="another-document"),
        pytest.param({"error": {"message": "version 7 is not in MLflow"}}, "version 7 is not in MLflow", id="error"),
        pytest.param({"tags": {"a": "x" * 5000}}, "tags.a", id="more-than-evidence-holds"),
        pytest.param({"card": {"digest": "md5:1"}}, "card.source", id="no-card"),
    ],
)
async def test_what_is_no_evidence_is_a_problem_and_says_why(played: Played, answer: object, message: str) -> None:
    played.answers(answer)
    found = await settled(played.reader())
    assert isinstance(found, EvidenceProblem)
    assert message in found.message


async def test_what_was_found_in_the_files_is_told_again_for_a_while(played: Played) -> None:
    reader = played.reader(believed=60)
    await settled(reader)
    played.seconds += 599
    await settled(reader)
    played.seconds += 31
    await settled(reader)
    assert ["--known" in asked for asked in played.asked] == [False, True, False]
    assert json.loads((played.folder / "given").read_text()) == FILES


async def test_a_command_that_cannot_be_started_is_a_problem() -> None:
    found = await settled(EvidenceReader("", storage=Storage(ForkServer(("/nowhere/at-all",)))))
    assert isinstance(found, EvidenceProblem)
    assert "could not be started" in found.message


async def test_evidence_about_other_files_is_another_question(played: Played) -> None:
    reader = played.reader()
    await settled(reader)
    other = MODEL.model_copy(update={"digest": f"sha256:{'b' * 64}"})
    assert reader.read(other, lambda: None) is None
