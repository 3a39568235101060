"""Who may send: the token in a logger's URL, and KServe's own logger with one."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import binaries
from sluice.api.sender import labels_path, sender_token
from sluice.core.sink import Sink

Start = Callable[..., Any]
"""See conftest: starts a monitor."""
Headers = Callable[..., dict[str, str]]
KEY, OTHER = "k" * 32, "o" * 32


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(KEY)
    return path


@pytest.fixture(scope="module")
def guarded(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A monitor whose keys stay as they are, for the tests that count what they send."""
    path = tmp_path_factory.mktemp("guarded") / "keys"
    path.write_text(KEY)
    return start_shared(sender_keys=path)


def test_only_a_revision_s_own_token_opens_the_door_for_its_events(guarded: Any, headers: Headers) -> None:
    refused = guarded.growth('sluice_monitor_events_refused_total{reason="token"}')
    received = guarded.growth('sluice_monitor_events_received_total{type="request"}')
    mine = sender_token(KEY.encode(), "models", "m-r1")

    def post(path: str, revision: str) -> int:
        answer = guarded.request("POST", path, b'{"instances":[[1]]}', headers(revision, "a", "request"))
        return int(answer.status)

    assert post(f"/events/{mine}", "m-r1") == 202
    assert post(f"/events/{mine}", "m-r2") == 401
    assert [post(path, "m-r1") for path in ("/events", "/", "/events/", "/events/wrong", f"/events/{mine}/x")] == [
        401
    ] * 5
    assert (refused(), received()) == (6, 1)


def test_labels_need_the_token_of_their_namespace(guarded: Any) -> None:
    body = b'{"labels":[{"request":"a","label":1}]}'
    statuses = {
        path: guarded.request("POST", path, body).status
        for path in (labels_path(KEY.encode(), "models"), "/v1/labels/models", "/v1/labels/models/wrong")
    }
    assert list(statuses.values()) == [200, 401, 401]
    mine = labels_path(KEY.encode(), "models").replace("/models/", "/elsewhere/")
    assert guarded.request("POST", mine, body).status == 401


def test_a_key_is_replaced_while_the_monitor_runs(start: Start, keys: Path, headers: Headers) -> None:
    monitor = start(sender_keys=keys)

    def post(key: str) -> int:
        path = f"/events/{sender_token(key.encode(), 'models', 'm-r1')}"
        answer = monitor.request("POST", path, b'{"instances":[[1]]}', headers("m-r1", "a", "request"))
        return int(answer.status)

    assert (post(KEY), post(OTHER)) == (202, 401)
    keys.write_text(f"{OTHER}\n{KEY}\n")
    monitor.eventually(lambda: post(OTHER) == 202)
    assert post(KEY) == 202
    keys.write_text(OTHER)
    monitor.eventually(lambda: post(KEY) == 401)


def test_keys_that_are_too_short_end_the_start(tmp_path: Path) -> None:
    import sys

    keys = tmp_path / "keys"
    keys.write_text("secret")
    ended = subprocess.run(
        [sys.executable, "-m", "sluice.monitor", "--port", "0", "--sender-keys", str(keys)],
        capture_output=True,
        timeout=120,
        check=False,
        text=True,
    )
    assert ended.returncode != 0
    assert "openssl rand -hex 32" in ended.stderr + ended.stdout


class Model(http.server.BaseHTTPRequestHandler):
    """A model server that answers every prediction with the sum of its row."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps({"predictions": [sum(row) for row in asked["instances"]]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts KServe's agent, the one that its webhook puts beside every model, with a log URL: its port."""
    model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    started: list[subprocess.Popen[bytes]] = []

    def begin(log_url: str) -> int:
        binaries.build("kserve")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        told = {
            "port": port, "component-port": model.server_port, "log-url": log_url, "log-mode": "all",
            "inference-service": "m-r1", "namespace": "models", "endpoint": "m-r1", "component": "predictor",
            "metadata-headers": "X-Request-Id",
        }  # fmt: skip
        probe = {"tcpSocket": {"port": model.server_port, "host": "127.0.0.1"}, "successThreshold": 1}
        with (tmp_path / "agent.log").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [binaries.path("kserve-agent"), *(f"--{name}={value}" for name, value in told.items())],
                    env=os.environ | {"SERVING_READINESS_PROBE": json.dumps(probe), "TMPDIR": str(tmp_path)},
                    stdout=log,
                    stderr=log,
                )
            )
        return port

    yield begin
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.wait()
    model.shutdown()
    model.server_close()


def test_kserve_s_own_logger_is_known_by_its_url_and_tells_the_request_id(
    start: Start, keys: Path, tmp_path: Path, agent: Callable[[str], int]
) -> None:
    import duckdb

    monitor = start(sender_keys=keys, rows_url=tmp_path / "rows")
    sink = Sink(f"http://127.0.0.1:{monitor.port}/events", KEY.encode())
    port = agent(sink.url_for("models", "m-r1"))

    def predict(index: int) -> bool:
        body = json.dumps({"instances": [[1.0, float(index)], [2.0, 3.0]]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/models/m:predict", body, {"X-Request-Id": f"request-{index}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bool(json.load(answer)["predictions"] == [1.0 + index, 5.0])
        except urllib.error.URLError:
            return False  # the agent is not up yet

    monitor.eventually(lambda: predict(0))
    assert all(predict(index) for index in range(1, 100))
    monitor.settle(100)
    assert monitor.metric('sluice_monitor_events_refused_total{reason="token"}') == 0
    assert monitor.stop() == 0
    rows = duckdb.execute(
        'SELECT "request.id", "request.row", "request.rows", "outputs.number.prediction" FROM read_parquet(?)',
        [f"{tmp_path}/rows/**/*.parquet"],
    ).fetchall()
    wanted = {(f"request-{index}", row, 2, 5.0 if row else 1.0 + index) for index in range(100) for row in (0, 1)}
    assert set(rows) == wanted
    assert len(rows) == 200
