"""One file of golden rows is fetched, if it is the one that is wanted, from a real MLflow or over S3's protocol."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluice import termination
from sluice.storage import __main__ as command
from sluice.storage import golden
from sluice.storage.golden import GoldenError, fetch
from tests.unit.storage.conftest import Mlflow

pytestmark = pytest.mark.xdist_group("mlflow")  # whose database takes four seconds to make

CONTENT = "a,truth\n1,0\n"
DIGEST = f"sha256:{hashlib.sha256(CONTENT.encode()).hexdigest()}"
OTHER = f"sha256:{'0' * 64}"


@pytest.fixture(scope="session")
def run(mlflow: Mlflow) -> str:
    return mlflow.run(golden_csv=CONTENT, sets__golden_csv=CONTENT, model__MLmodel="x", model__golden_csv=CONTENT)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set here is put back."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_S3_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def refused(uri: str, folder: Path, tracking_uri: str, digest: str | None = None) -> GoldenError:
    with pytest.raises(GoldenError) as error:
        fetch(uri, folder / "data", digest, tracking_uri)
    assert list(folder.iterdir()) == []
    return error.value


@pytest.mark.parametrize("path", ["golden.csv", "sets/golden.csv"])
@pytest.mark.parametrize("digest", [None, DIGEST])
def test_a_file_of_a_run_is_put_in_place(
    mlflow: Mlflow, run: str, tmp_path: Path, path: str, digest: str | None
) -> None:
    assert fetch(f"runs:/{run}/{path}", tmp_path / "data", digest, mlflow.uri) == DIGEST
    assert (tmp_path / "data").read_text() == CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


def test_the_file_stays_where_it_was_and_may_be_fetched_again(mlflow: Mlflow, run: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert fetch(f"runs:/{run}/golden.csv", tmp_path / "data", DIGEST, mlflow.uri) == DIGEST


def test_a_file_beside_a_registered_model_is_found_by_version_and_by_alias(
    mlflow: Mlflow, run: str, tmp_path: Path
) -> None:
    mlflow.client.create_registered_model("fraud")
    source = f"{mlflow.client.get_run(run).info.artifact_uri}/model"
    version = mlflow.client.create_model_version("fraud", source, run).version
    mlflow.client.set_registered_model_alias("fraud", "champion", version)
    for model in (f"fraud/{version}", "fraud@champion"):
        assert fetch(f"models:/{model}/golden.csv", tmp_path / "data", DIGEST, mlflow.uri) == DIGEST
    (tmp_path / "data").unlink()
    assert refused("models:/fraud/99/golden.csv", tmp_path, mlflow.uri).reason == "DataNotFound"
    assert refused("models:/nobody@x/golden.csv", tmp_path, mlflow.uri).reason == "DataNotFound"


def test_another_file_is_refused(mlflow: Mlflow, run: str, tmp_path: Path) -> None:
    error = refused(f"runs:/{run}/golden.csv", tmp_path, mlflow.uri, OTHER)
    assert error.reason == "DigestMismatch"
    assert DIGEST in str(error)
    assert OTHER in str(error)


def test_a_directory_is_no_file(mlflow: Mlflow, run: str, tmp_path: Path) -> None:
    error = refused(f"runs:/{run}/sets", tmp_path, mlflow.uri)
    assert error.reason == "DataIsDirectory"
    assert "name a file in it" in str(error)


def test_what_is_not_there_is_told_with_what_is(mlflow: Mlflow, run: str, tmp_path: Path) -> None:
    error = refused(f"runs:/{run}/golden.parquet", tmp_path, mlflow.uri)
    assert error.reason == "DataNotFound"
    assert "beside it there are: golden.csv, model/, sets/" in str(error)
    assert "in none there is nothing" in str(refused(f"runs:/{run}/none/x.csv", tmp_path, mlflow.uri))
    assert refused(f"runs:/{'0' * 32}/x.csv", tmp_path, mlflow.uri).reason == "DataNotFound"


def test_a_large_file_is_refused_before_it_is_fetched(
    mlflow: Mlflow, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "LARGEST", 5)
    error = refused(f"runs:/{run}/golden.csv", tmp_path, mlflow.uri)
    assert error.reason == "DataTooLarge"
    assert "12 bytes, and 5 at most" in str(error)


@pytest.mark.parametrize(
    "uri",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "http://example.com/x.csv",
        "mlflow-artifacts://example.com/x.csv",
        "mlflow-artifacts:////example.com/x.csv",
        "runs://profile@databricks/abc/x.csv",
        "runs:/abc",
        "runs:/abc/../../x.csv",
        "runs:/abc//x.csv",
        "runs:/abc/x.csv?y",
        "models:/fraud/latest/x.csv",
        "models:/fraud/3",
        "mlflow-artifacts:/",
        "dbfs:/x",
        "",
        "s3://",
        "s3://bucket",
        "s3://bucket//",
        "s3://bucket?/x.csv",
        "s3://bucket/x.csv?",
        "s3://bucket/x.csv?region=us-east-1",
        "s3://bucket/x.csv#x",
        "s3://latest/meta-data/x?endpoint=http://169.254.169.254",
    ],
)
def test_no_other_place_is_looked_at(uri: str, mlflow: Mlflow, tmp_path: Path) -> None:
    assert refused(uri, tmp_path, mlflow.uri).reason == "InvalidDataUri"


def test_mlflow_that_does_not_answer_is_no_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert refused("runs:/abc/x.csv", tmp_path, "http://127.0.0.1:9").reason == "DataUnavailable"
    assert refused("mlflow-artifacts:/abc/x.csv", tmp_path, "http://127.0.0.1:9").reason == "DataUnavailable"
    assert "MLFLOW_TRACKING_URI" in str(refused("runs:/abc/x.csv", tmp_path, ""))


# --- S3


class Bucket(BaseHTTPRequestHandler):
    """As much of an S3-compatible store as a download needs: one object, in one bucket."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.split("?")[0]
        found = path == "/golden/sets/fraud.csv" and "Credential=sluice/" in self.headers.get("authorization", "")
        code = "AccessDenied" if path == "/golden/sets/fraud.csv" else "NoSuchKey"
        body = CONTENT if found else f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        self.send_response(200 if found else 403 if code == "AccessDenied" else 404)
        for name, value in {
            "content-length": str(len(body)),
            "content-type": "text/csv" if found else "application/xml",
            "etag": '"1"',
            "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sluice")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", url)
    yield url
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.usefixtures("endpoint")
def test_an_object_is_fetched_from_the_endpoint_that_mlflow_uses(tmp_path: Path) -> None:
    assert fetch("s3://golden/sets/fraud.csv", tmp_path / "data", DIGEST, "") == DIGEST
    assert (tmp_path / "data").read_text() == CONTENT


def test_an_address_cannot_name_another_endpoint(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    error = refused(f"s3://golden/sets/fraud.csv?endpoint={endpoint}", tmp_path, "")
    assert error.reason == "InvalidDataUri"
    assert "without ? and #" in str(error)


@pytest.mark.parametrize("configured", ["minio:9000", "http://minio/path", "http://minio:port"])
def test_an_endpoint_that_is_none_is_no_fault_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str
) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", configured)
    error = refused("s3://golden/x.csv", tmp_path, "")
    assert error.reason == "DataUnavailable"
    assert f"MLFLOW_S3_ENDPOINT_URL={configured}" in str(error)


@pytest.mark.parametrize(("path", "user", "reason"), [
    ("sets/x.csv", "sluice", "DataNotFound"),
    ("sets", "sluice", "DataNotFound"),
    ("sets/fraud.csv", "mallory", "DataUnavailable"),
])  # fmt: skip
@pytest.mark.usefixtures("endpoint")
def test_an_object_that_cannot_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, user: str, reason: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", user)
    assert refused(f"s3://golden/{path}", tmp_path, "").reason == reason


def test_a_store_that_is_down_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    assert refused("s3://golden/x.csv", tmp_path, "").reason == "DataUnavailable"


# --- the command


def test_the_command_puts_the_file_in_place_or_tells_why_not(
    mlflow: Mlflow, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setattr(termination, "LOG", log)
    monkeypatch.setattr(command, "_set_environment", lambda scratch: None)
    target = tmp_path / "golden" / "data"
    target.parent.mkdir()
    arguments = ["fetch", f"runs:/{run}/golden.csv", str(target), f"--tracking-uri={mlflow.uri}"]
    assert command.main([*arguments, f"--digest={DIGEST}"]) == 0
    assert log.read_text() == ""
    with pytest.raises(SystemExit) as ended:
        command.main([*arguments, f"--digest={OTHER}"])
    assert ended.value.code == 1
    assert log.read_text().startswith(f"DigestMismatch: runs:/{run}/golden.csv is {DIGEST}, but")
    assert [entry.name for entry in target.parent.iterdir()] == ["data"]
