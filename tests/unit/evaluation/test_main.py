"""The program as the Job runs it: a file and a question in, a result or a reason out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sluice import termination
from sluice.evaluation.__main__ import main
from tests.unit.evaluation.examples import PREFIX, document, server
from tests.unit.evaluation.servers import Model, in_a_thread

ROWS = 300


def careful(instances: list[list[Any]]) -> list[Any]:
    return [int(amount > 50) for amount, _ in instances]


def careless(instances: list[list[Any]]) -> list[Any]:
    """Takes every payment from Peru for a good one."""
    return [int(amount > 50 and country != "PE") for amount, country in instances]


class Job:
    """The files and the environment of its container."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        self.log = folder / "termination-log"
        self.log.touch()
        monkeypatch.setattr(termination, "LOG", self.log)
        duckdb.execute(
            f"COPY (SELECT (i * 37 % 101)::DOUBLE AS amount, ['BR', 'CL', 'PE'][i % 3 + 1] AS country, "
            f"(i * 37 % 101 > 50)::BIGINT AS truth FROM range({ROWS}) t(i)) TO '{folder / 'data'}' (FORMAT parquet)"
        )

    def run(self, candidate: Model, stable: Model, **changes: Any) -> dict[str, Any]:
        sides = {"candidate": server(url=candidate.url), "stable": server("fraud-r1", stable.url)}
        asked = document(**{"minRows": 90, "slices": ["country"], **sides, **changes})
        self._monkeypatch.setenv("SLUICE_EVALUATION", json.dumps(asked))
        assert main([str(self.folder / "data"), str(self.folder / "result.json")]) == 0
        found: dict[str, Any] = json.loads(self.result)
        return found

    @property
    def result(self) -> bytes:
        return (self.folder / "result.json").read_bytes()


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    return Job(tmp_path, monkeypatch)


@pytest.fixture
def good() -> Iterator[Model]:
    model = Model(careful)
    with in_a_thread(model):
        yield model


def test_a_candidate_that_fails_a_slice_fails(job: Job, good: Model) -> None:
    bad = Model(careless)
    with in_a_thread(bad):
        found = job.run(bad, good)
    assert (found["verdict"], found["reason"]) == ("Fail", "WorseThanStable")
    worst = found["slices"][0]
    assert (worst["column"], worst["value"], worst["rows"], worst["verdict"]) == ("country", "PE", 100, "Fail")
    assert worst["stable"] == 1.0
    assert found["candidate"].keys() == {"value", "rows", "margin"}
    assert found["rows"] == ROWS
    assert found["data"].startswith("sha256:")
    assert job.log.read_text() == ""


def test_a_result_tells_what_was_asked_and_no_token(job: Job, good: Model) -> None:
    found = job.run(good, good)
    assert found["verdict"] == "Pass"
    assert found["question"]["candidate"]["revision"] == "fraud-r2"
    assert PREFIX not in job.result.decode()
    assert good.asked[0][0].startswith(PREFIX)
    assert good.asked[0][1][0] == [0.0, "BR"]


def test_the_same_answers_give_the_same_result_to_the_byte(job: Job, good: Model) -> None:
    job.run(good, good)
    first = job.result
    job.run(good, good)
    assert job.result == first


def test_stable_is_left_alone_where_nothing_is_held_against_it(job: Job, good: Model) -> None:
    stable = Model(careful)
    with in_a_thread(stable):
        assert job.run(good, stable, maxDegradation=None, minimum=0.9)["stable"] is None
    assert stable.asked == []


@pytest.mark.parametrize(
    ("changes", "reason", "part"),
    [
        pytest.param({"label": "y"}, "InvalidData", "no column y", id="no-such-label"),
        pytest.param({"lable": "y"}, "InvalidQuestion", "unknown field", id="no-such-field"),
        pytest.param({"prediction": "score"}, "Ungraded", "no column score", id="no-such-answer"),
        pytest.param(
            {"data": {"uri": "runs:/x/y", "digest": f"sha256:{'0' * 64}"}}, "DigestMismatch", "is wanted", id="changed"
        ),
    ],
)
def test_why_there_is_no_verdict_is_left_for_the_operator(
    job: Job, good: Model, changes: dict[str, Any], reason: str, part: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        job.run(good, good, **changes)
    assert ended.value.code == 1
    assert job.log.read_text().startswith(f"{reason}: ")
    assert part in job.log.read_text()
    assert not (job.folder / "result.json").exists()


def test_a_refusing_server_is_named(job: Job, good: Model) -> None:
    bad = Model(careful, statuses=[404] * 99)
    with in_a_thread(bad), pytest.raises(SystemExit):
        job.run(bad, good)
    assert job.log.read_text().startswith("ServerRefused: candidate fraud-r2 at http://127.0.0.1")


def test_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
