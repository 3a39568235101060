"""Resolution and the storage initializer against a real MLflow server with proxied artifacts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from sluice.storage import digest
from tests.component.storage.conftest import READ_ONLY, Mlflow

pytestmark = pytest.mark.component


def test_a_version_is_resolved_with_the_digest_of_its_files(mlflow: Mlflow) -> None:
    code, found = mlflow.resolve("--name", "scorer", "--version", "1", "--digest")
    assert code == 0
    assert (found["name"], found["version"]) == ("scorer", "1")
    assert str(found["digest"]).startswith("sha256:")
    assert found["digest"] == mlflow.resolve("--name", "scorer", "--version", "1", "--digest")[1]["digest"]


def test_a_version_is_described_by_its_registration_and_by_its_files(mlflow: Mlflow) -> None:
    _, found = mlflow.resolve("--name", "scorer", "--version", "1", "--digest")
    assert (found["status"], found["tags"]) == ("READY", {"owner": "risk"})
    assert found["flavors"] == ["python_function", "sklearn"]
    assert found["signature"] == [{"name": "income", "type": "double"}]
    assert found["outputs"] == [{"name": "output0", "type": "double"}]


def test_the_digest_is_of_the_registered_files_and_nothing_that_mlflow_adds(mlflow: Mlflow) -> None:
    found = mlflow.resolve("--name", "scorer", "--version", "1", "--digest")[1]
    assert found["digest"] == digest.directory(mlflow.files("1"))


def test_an_alias_is_resolved_to_where_it_points_now(mlflow: Mlflow) -> None:
    client = MlflowClient(mlflow.uri, mlflow.uri)
    client.set_registered_model_alias("scorer", "champion", "1")
    assert mlflow.resolve("--name", "scorer", "--alias", "champion")[1]["version"] == "1"
    client.set_registered_model_alias("scorer", "champion", "2")
    assert mlflow.resolve("--name", "scorer", "--alias", "champion")[1]["version"] == "2"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--name", "nobody", "--version", "1"),
        ("--name", "scorer", "--version", "99"),
        ("--name", "scorer", "--alias", "x"),
    ],
    ids=["model", "version", "alias"],
)
def test_what_is_not_registered_is_not_found(mlflow: Mlflow, arguments: tuple[str, ...]) -> None:
    code, document = mlflow.resolve(*arguments)
    assert code == 3
    assert document["error"]["reason"] == "ModelNotFound"  # type: ignore[index]


def test_a_registry_that_does_not_answer_is_unavailable_not_absent() -> None:
    nowhere = Mlflow("http://127.0.0.1:9", Path())
    code, document = nowhere.resolve("--name", "scorer", "--version", "1")
    assert code == 5
    assert document["error"]["reason"] == "ModelRegistryUnavailable"  # type: ignore[index]


def test_no_configured_registry_is_said_and_none_is_made() -> None:
    code, document = Mlflow("", Path()).resolve("--name", "scorer", "--version", "1")
    assert code == 5
    assert "MLFLOW_TRACKING_URI" in document["error"]["message"]  # type: ignore[index]


def test_a_command_that_names_neither_version_nor_alias_is_a_usage_error() -> None:
    code, out, err = Mlflow("http://127.0.0.1:9", Path()).run("resolve", "--name", "scorer")
    assert (code, out) == (2, "")
    assert "--version --alias" in err


def test_the_initializer_delivers_the_pinned_files(mlflow: Mlflow, tmp_path: Path) -> None:
    pinned = mlflow.resolve("--name", "scorer", "--version", "1", "--digest")[1]["digest"]
    code, out, err = mlflow.run(f"mlflow://scorer/1?digest={pinned}", str(tmp_path / "models"))
    assert code == 0, err
    assert "verified" in out
    assert (tmp_path / "models" / "version-1.txt").read_text() == "weights of 1"


def test_the_initializer_refuses_altered_files_and_leaves_none(mlflow: Mlflow, tmp_path: Path) -> None:
    pinned = mlflow.resolve("--name", "scorer", "--version", "2", "--digest")[1]["digest"]
    (mlflow.files("2") / "version-2.txt").write_text("other weights")
    code, _, err = mlflow.run(f"mlflow://scorer/2?digest={pinned}", str(tmp_path / "models"))
    assert code == 1
    assert "DigestMismatch" in err
    assert str(pinned) in err
    assert not (tmp_path / "models").exists()


def test_a_refusal_leaves_what_was_in_the_destination(mlflow: Mlflow, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    code, _, err = mlflow.run(f"mlflow://scorer/4?digest=sha256:{'0' * 64}", str(tmp_path))
    assert code == 1, err
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_restarted_initializer_replaces_what_its_first_run_left(mlflow: Mlflow, tmp_path: Path) -> None:
    pinned = digest.directory(mlflow.files("4"))
    (tmp_path / ".sluice-killed").mkdir()
    (tmp_path / ".sluice-killed" / "half").write_text("x")
    (tmp_path / "version-4.txt").write_text("x")
    code, _, err = mlflow.run(f"mlflow://scorer/4?digest={pinned}", str(tmp_path))
    assert code == 0, err
    assert digest.directory(tmp_path) == pinned


def test_the_initializer_writes_nowhere_but_into_its_destination(mlflow: Mlflow, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a read-only root needs a mount namespace, which only root can make")
    pinned = digest.directory(mlflow.files("4"))
    code, _, err = mlflow.run(f"mlflow://scorer/4?digest={pinned}", str(tmp_path), under=(*READ_ONLY, str(tmp_path)))
    assert code == 0, err
    assert digest.directory(tmp_path) == pinned


def test_the_initializer_refuses_another_scheme(tmp_path: Path) -> None:
    code, _, err = Mlflow("", Path()).run("s3://bucket/model", str(tmp_path / "models"))
    assert code == 1
    assert "InvalidModelUri" in err


def test_files_deleted_behind_mlflows_back_are_missing(mlflow: Mlflow) -> None:
    shutil.rmtree(mlflow.files("3"))
    code, document = mlflow.resolve("--name", "scorer", "--version", "3", "--digest")
    assert code == 4, document
    assert document["error"]["reason"] == "ModelArtifactMissing"  # type: ignore[index]
