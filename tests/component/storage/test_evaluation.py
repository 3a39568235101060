"""The ends of an evaluation's Job against a real MLflow server: golden rows come from it, and results go there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from sluice.storage.golden import GoldenError, fetch
from sluice.storage.publication import publish
from tests.component.storage.conftest import READ_ONLY, Mlflow
from tests.unit.storage.test_publication import document

pytestmark = pytest.mark.component

CONTENT = "a,truth\n1,0\n"
DIGEST = f"sha256:{hashlib.sha256(CONTENT.encode()).hexdigest()}"


@pytest.fixture(scope="module")
def trained(mlflow: Mlflow) -> str:
    """The run of version 1, with golden rows beside the model and in it."""
    client = MlflowClient(mlflow.uri, mlflow.uri)
    run = str(client.get_model_version("scorer", "1").run_id)
    client.log_text(run, CONTENT, "golden/rows.csv")
    client.log_text(run, CONTENT, "model/golden.csv")
    return run


def test_golden_rows_are_fetched_from_each_of_mlflows_places(mlflow: Mlflow, trained: str, tmp_path: Path) -> None:
    root = MlflowClient(mlflow.uri, mlflow.uri).get_run(trained).info.artifact_uri
    assert root.startswith("mlflow-artifacts:/")
    for uri in (f"runs:/{trained}/golden/rows.csv", "models:/scorer/1/golden.csv", f"{root}/golden/rows.csv"):
        assert fetch(uri, tmp_path / "data", DIGEST, mlflow.uri) == DIGEST
        assert (tmp_path / "data").read_text() == CONTENT
        (tmp_path / "data").unlink()


@pytest.mark.parametrize(
    ("path", "reason"),
    [("golden/none.csv", "DataNotFound"), ("golden", "DataIsDirectory"), ("MLmodel/x", "DataNotFound")],
)
def test_what_is_no_file_there_is_refused(mlflow: Mlflow, trained: str, tmp_path: Path, path: str, reason: str) -> None:
    root = MlflowClient(mlflow.uri, mlflow.uri).get_run(trained).info.artifact_uri
    for uri in (f"runs:/{trained}/{path}", f"{root}/{path}"):
        with pytest.raises(GoldenError) as refused:
            fetch(uri, tmp_path / "data", None, mlflow.uri)
        assert refused.value.reason == reason
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_in_a_word_why_there_are_no_rows(mlflow: Mlflow, trained: str, tmp_path: Path) -> None:
    code, _, err = mlflow.run("fetch", f"runs:/{trained}/golden/none.csv", str(tmp_path / "data"))
    assert (code, err.splitlines()[-1].partition(":")[0]) == (1, "DataNotFound")


def test_a_result_becomes_a_run_with_its_document(mlflow: Mlflow, trained: str, tmp_path: Path) -> None:
    content = document(run_id=trained)
    (tmp_path / "result.json").write_bytes(content)
    code, out, err = mlflow.run("publish", str(tmp_path / "result.json"))
    assert code == 0, err
    run, client = json.loads(out)["run"], MlflowClient(mlflow.uri, mlflow.uri)
    assert client.get_run(run).data.tags["mlflow.parentRunId"] == trained
    copy = client.download_artifacts(run, "evaluation.json", str(tmp_path))
    assert Path(copy).read_bytes() == content
    again = publish(tmp_path / "result.json", mlflow.uri)  # as a Job that is tried anew
    assert json.loads(again)["run"] == run


def test_both_write_nowhere_but_beside_their_file(mlflow: Mlflow, trained: str, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a read-only root needs a mount namespace, which only root can make")
    (tmp_path / "result.json").write_bytes(document(run_id=trained))
    for arguments in (
        ("fetch", f"runs:/{trained}/golden/rows.csv", str(tmp_path / "data")),
        ("publish", str(tmp_path / "result.json")),
    ):
        code, _, err = mlflow.run(*arguments, under=(*READ_ONLY, str(tmp_path)))
        assert code == 0, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "result.json"]
