"""The demo's model server as KServe runs it: a process, a port, a directory with an MLflow model."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest

from hack.demo.models import ExpensiveHome, Matrix, Slow, Swapped

pytestmark = pytest.mark.component

FEATURES = 8


@dataclass(frozen=True)
class Server:
    """A running model server."""

    port: int
    process: subprocess.Popen[str]

    def get(self, path: str) -> tuple[int, Any]:
        return self._send(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}"))

    def post(self, path: str, body: object) -> tuple[int, Any]:
        headers = {"content-type": "application/json"}
        data = json.dumps(body).encode()
        return self._send(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers))

    def _send(self, request: urllib.request.Request) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def command(directory: Path, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "hack.demo.modelserver", "--model_name=california"),
        *(f"--model_dir={directory}", f"--http_port={port}"),
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(directory: Path) -> Iterator[Server]:
    port = free_port()
    with subprocess.Popen(command(directory, port), stderr=subprocess.PIPE, text=True) as process:
        server = Server(port, process)
        try:
            for _ in range(200):
                assert process.poll() is None, process.stderr and process.stderr.read()
                try:
                    if server.get("/v2/health/ready")[0] == 200:
                        break
                except OSError:
                    time.sleep(0.2)
            yield server
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.fixture(scope="module")
def rows() -> Matrix:
    return np.random.default_rng(0).normal(size=(200, FEATURES))


@pytest.fixture(scope="module")
def good(rows: Matrix) -> ExpensiveHome:
    return ExpensiveHome().fit(rows, (rows[:, 0] > 0).astype(np.int64))


@pytest.fixture(scope="module")
def server(good: ExpensiveHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("model") / "good"
    mlflow.sklearn.save_model(
        good,
        directory,
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
        input_example=pd.DataFrame(np.zeros((2, FEATURES))),
    )
    assert (directory / "input_example.json").exists()
    with serving(directory) as running:
        yield running


@pytest.fixture(scope="module")
def slow(good: ExpensiveHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("model") / "slow"
    model = Slow(good, seconds=1.5, failing=0.5)
    mlflow.sklearn.save_model(model, directory, serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
    with serving(directory) as running:
        yield running


def test_the_v1_protocol_answers_one_score_a_row(server: Server, rows: Matrix, good: ExpensiveHome) -> None:
    status, body = server.post("/v1/models/california:predict", {"instances": rows[:3].tolist()})
    assert (status, body) == (200, {"predictions": pytest.approx(good.predict(rows[:3]).tolist())})


def test_the_v2_protocol_answers_the_same(server: Server, rows: Matrix, good: ExpensiveHome) -> None:
    tensor = {"name": "rows", "shape": [3, FEATURES], "datatype": "FP64", "data": rows[:3].ravel().tolist()}
    status, body = server.post("/v2/models/california/infer", {"inputs": [tensor]})
    assert status == 200
    assert body["outputs"][0]["data"] == pytest.approx(good.predict(rows[:3]).tolist())


def test_the_v2_protocol_takes_one_tensor_a_column(server: Server, rows: Matrix, good: ExpensiveHome) -> None:
    columns = [
        {"name": f"x{i}", "shape": [3, 1], "datatype": "FP64", "data": rows[:3, i].tolist()} for i in range(FEATURES)
    ]
    _, body = server.post("/v2/models/california/infer", {"inputs": columns})
    assert body["outputs"][0]["data"] == pytest.approx(good.predict(rows[:3]).tolist())


@pytest.mark.parametrize("instances", [[["tall", "wide"]], [1.0, 2.0], [[1.0], [1.0, 2.0]]], ids=str)
def test_a_request_without_a_table_of_numbers_is_the_callers_fault(server: Server, instances: object) -> None:
    status, body = server.post("/v1/models/california:predict", {"instances": instances})
    assert status == 400
    assert "the request" in body["error"]


def test_a_model_that_raises_answers_500_and_the_next_request_is_answered(server: Server, rows: Matrix) -> None:
    status, body = server.post("/v1/models/california:predict", {"instances": [[1.0, 2.0]]})
    assert status == 500
    assert "ValueError" in body["error"]
    assert server.post("/v1/models/california:predict", {"instances": rows[:1].tolist()})[0] == 200


def test_a_slow_model_does_not_hold_up_the_probes(slow: Server, rows: Matrix) -> None:
    asking = threading.Thread(
        target=slow.post, args=("/v1/models/california:predict", {"instances": rows[:1].tolist()})
    )
    asking.start()
    time.sleep(0.3)
    started = time.monotonic()
    assert slow.get("/v2/health/ready")[0] == 200
    assert time.monotonic() - started < 1
    asking.join()


def test_a_terminated_server_ends_by_itself(good: ExpensiveHome, tmp_path: Path) -> None:
    mlflow.sklearn.save_model(
        Swapped(good, 0, 1), tmp_path / "m", serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
    )
    with serving(tmp_path / "m") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("mlmodel", "reason"),
    [
        (None, "cannot be loaded"),
        ("flavors: {xgboost: {}}", "runs the sklearn flavour"),
        ("flavors: {sklearn: {pickled_model: model.pkl}}", "cannot be loaded"),
    ],
    ids=["nothing", "another flavour", "not a pickle"],
)
def test_a_directory_without_a_usable_model_ends_the_server_with_the_reason(
    tmp_path: Path, mlmodel: str | None, reason: str
) -> None:
    (tmp_path / "model.pkl").write_bytes(b"no pickle")
    if mlmodel is not None:
        (tmp_path / "MLmodel").write_text(mlmodel)
    done = subprocess.run(command(tmp_path, free_port()), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
