"""A result becomes one run in a real MLflow, and a summary that fits where Kubernetes keeps it."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import _validate_metric_name

from sluice import termination
from sluice.api.verdict import Verdict
from sluice.evaluation import result as results
from sluice.evaluation.result import Figure, Judged, Slice
from sluice.storage import __main__ as command
from sluice.storage import bounds
from sluice.storage.publication import EXPERIMENT, PublicationError, metrics, publish, summary
from tests.unit.evaluation import examples
from tests.unit.storage.conftest import Mlflow

pytestmark = pytest.mark.xdist_group("mlflow")  # whose database takes four seconds to make


def of_slice(value: str, column: str = "country", **changes: Any) -> Slice:
    stated: dict[str, Any] = {
        "column": column, "value": value, "rows": 250, "candidate": 0.8123456789, "stable": 0.9, "margin": 0.03,
        "verdict": Verdict.FAIL, "reason": "WorseThanStable", "message": "Recall 0.81; stable: Recall 0.9.",
    }  # fmt: skip
    return Slice(**stated | changes)


def document(*slices: Slice, run_id: str | None = None, **changes: Any) -> bytes:
    """As ``python -m sluice.evaluation`` writes it; no two are alike."""
    stated: dict[str, Any] = {
        "verdict": Verdict.FAIL, "reason": "WorseThanStable", "message": f"It is worse. {uuid.uuid4()}",
        "candidate": Figure(0.8512345678, 1000, 0.02), "stable": Figure(0.91, 1000, 0.015), "confidence": 0.995,
    }  # fmt: skip
    model = {"name": "fraud", "version": "2", "digest": examples.DIGEST, "runId": run_id}
    asked = examples.question(metric="Recall", positive="1", slices=["country"], candidate=examples.server(model=model))
    judged = Judged(slices=slices, **stated | changes)
    return results.document(asked, examples.golden(1200, truth=[0] * 1200), judged)


def published(mlflow: Mlflow, folder: Path, content: bytes) -> tuple[dict[str, Any], Run]:
    path = folder / "result.json"
    path.write_bytes(content)
    found = json.loads(publish(path, mlflow.uri))
    return found, mlflow.client.get_run(found["run"])


def test_the_run_is_a_child_of_the_one_that_trained_the_model(mlflow: Mlflow, tmp_path: Path) -> None:
    trained = mlflow.run()
    _, run = published(mlflow, tmp_path, document(of_slice("BR"), run_id=trained))
    assert run.info.experiment_id == mlflow.experiment
    assert run.data.tags["mlflow.parentRunId"] == trained
    assert (run.info.run_name, run.info.status) == ("fraud/golden r2", "FINISHED")
    assert run.data.metrics == {
        "Recall": 0.8512345678, "stable/Recall": 0.91, "slice/country:BR/Recall": 0.8123456789,
    }  # fmt: skip
    assert run.data.tags["sluice.verdict"] == "Fail"
    assert run.data.tags["sluice.revision"] == "fraud-r2"
    assert run.data.tags["mlflow.note.content"].startswith("It is worse.")
    said = run.data.params
    assert (said["data.uri"], said["data.digest"], said["rows"]) == (
        "runs:/abc/golden.parquet",
        examples.DIGEST,
        "1200",
    )
    assert (said["model.name"], said["model.version"], said["model.digest"]) == ("fraud", "2", examples.DIGEST)
    assert (said["stable"], said["positive"], said["confidenceEach"]) == ("fraud-r1", "1", "0.995")
    assert "group" not in said


def test_the_artifact_is_the_result_to_the_byte_and_its_digest_is_told(mlflow: Mlflow, tmp_path: Path) -> None:
    content = document()
    found, run = published(mlflow, tmp_path, content)
    copy = mlflow.client.download_artifacts(run.info.run_id, "evaluation.json", str(tmp_path))
    assert Path(copy).read_bytes() == content
    assert found["result"] == f"sha256:{hashlib.sha256(content).hexdigest()}" == run.data.tags["sluice.result"]


@pytest.mark.parametrize("run_id", [None, "0" * 32])
def test_a_model_without_a_run_has_its_evaluations_in_an_experiment_of_their_own(
    mlflow: Mlflow, tmp_path: Path, run_id: str | None
) -> None:
    for _ in range(2):
        _, run = published(mlflow, tmp_path, document(run_id=run_id))
        assert mlflow.client.get_experiment(run.info.experiment_id).name == EXPERIMENT
        assert "mlflow.parentRunId" not in run.data.tags


def test_a_result_that_is_published_twice_is_one_run(mlflow: Mlflow, tmp_path: Path) -> None:
    content = document()
    assert published(mlflow, tmp_path, content)[0]["run"] == published(mlflow, tmp_path, content)[0]["run"]
    assert published(mlflow, tmp_path, content)[0] != published(mlflow, tmp_path, document())[0]


def test_a_run_that_could_not_be_finished_is_marked_and_made_anew(
    mlflow: Mlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = mlflow.run()
    content = document(run_id=trained)

    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("the artifact store is full")

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_text", refuse)
        with pytest.raises(PublicationError, match="the artifact store is full") as told:
            published(mlflow, tmp_path, content)
    assert told.value.reason == "MlflowUnavailable"
    published(mlflow, tmp_path, content)
    children = mlflow.client.search_runs([mlflow.experiment], f"tags.`mlflow.parentRunId` = '{trained}'")
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED"]


def test_every_slice_has_its_figure_in_mlflow(mlflow: Mlflow, tmp_path: Path) -> None:
    slices = [of_slice(f"c{number}", candidate=number / 1000) for number in range(200)]
    _, run = published(mlflow, tmp_path, document(*slices))
    assert run.data.metrics["slice/country:c199/Recall"] == 0.199
    assert len(run.data.metrics) == 202


@given(st.lists(st.tuples(st.text(min_size=1, max_size=300), st.text(max_size=300)), max_size=8, unique=True))
def test_names_of_metrics_are_such_as_mlflow_takes_and_no_two_are_one(named: list[tuple[str, str]]) -> None:
    slices = [of_slice(value, column, candidate=float(place)) for place, (column, value) in enumerate(named)]
    found = metrics(json.loads(document(*slices)))
    assert list(found.values())[2:] == [float(place) for place in range(len(named))]
    for name in found:
        _validate_metric_name(name)  # type: ignore[no-untyped-call]
        assert len(name) <= 250


@example([], "\N{GRINNING FACE}" * 800)
@example(["BR", '"' * 128], '\\"' * 400)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=128), max_size=60),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=800),
)
def test_the_summary_fits_and_has_the_worst_slices(values: list[str], message: str) -> None:
    result = json.loads(document(*(of_slice(value) for value in values), message=message))
    text = summary(result, examples.DIGEST, "f" * 32)
    assert len(text.encode()) <= 12 * 1024 // 8
    shown = [one["value"] for one in json.loads(text)["slices"]]
    assert shown == values[: len(shown)]
    assert bool(json.loads(text)["message"]) == bool(bounds.word(message))


def test_the_summary_has_what_the_operator_reads() -> None:
    result = json.loads(document(of_slice("BR"), of_slice("CL", candidate=None, verdict=Verdict.INCONCLUSIVE)))
    assert json.loads(summary(result, "sha256:1", "abc")) == {
        "verdict": "Fail",
        "reason": "WorseThanStable",
        "message": result["message"],
        "candidate": {"value": 0.851235, "rows": 1000, "margin": 0.02},
        "stable": {"value": 0.91, "rows": 1000, "margin": 0.015},
        "slices": [
            {"column": "country", "value": "BR", "rows": 250, "candidate": 0.812346, "stable": 0.9, "verdict": "Fail"},
            {
                "column": "country", "value": "CL", "rows": 250, "candidate": None, "stable": 0.9,
                "verdict": "Inconclusive",
            },
        ],
        "data": examples.DIGEST,
        "rows": 1200,
        "result": "sha256:1",
        "run": "abc",
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"verdict": "Pass"}', b"\xff"])
def test_what_is_no_result_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(PublicationError) as refused:
        publish(tmp_path / "result.json", "sqlite://")
    assert refused.value.reason == "InvalidResult"


def test_the_command_concludes_with_the_summary_or_tells_why_not(
    mlflow: Mlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, path = tmp_path / "termination-log", tmp_path / "result.json"
    log.touch()
    path.write_bytes(document())
    monkeypatch.setattr(termination, "LOG", log)
    monkeypatch.setattr(command, "_set_environment", lambda scratch: None)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert command.main(["publish", str(path), f"--tracking-uri={mlflow.uri}"]) == 0
    assert mlflow.client.get_run(json.loads(log.read_text())["run"]).info.status == "FINISHED"
    for uri in ("http://127.0.0.1:9", ""):
        with pytest.raises(SystemExit) as ended:
            command.main(["publish", str(path), f"--tracking-uri={uri}"])
        assert ended.value.code == 1
        assert log.read_text().startswith("MlflowUnavailable: ")
