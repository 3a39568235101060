"""A real monitor in a process of its own, spoken to over HTTP."""

from __future__ import annotations

import copy
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

GENEROUS = 120.0
"""Seconds after which something will never happen, on however busy a machine."""
BUCKET_SECONDS = 0.1
KIND = "org.kubeflow.serving.inference."

_numbers = itertools.count(1)


class Answer(NamedTuple):
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Monitor:
    """A running ``sluice-monitor``."""

    def __init__(self, folder: Path, environment: Mapping[str, str], **settings: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        chosen = {"host": "127.0.0.1", "port": self.port, "reports_dir": folder / "reports"} | settings
        arguments = [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        self.log = folder / f"monitor-{self.port}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sluice.monitor", *arguments],
                stdout=log,
                stderr=log,
                cwd=folder,
                env=os.environ | dict(environment),
                process_group=0,
            )
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GENEROUS)
        self.namespace = "models"
        """Where the revisions are that a test sends and asks about."""
        self.since = datetime.now(UTC)
        """Rows sent from here on belong to the test."""
        self._pairs: Callable[[], float] = lambda: 0.0

    def wait_until_ready(self) -> None:
        """Returns once events and questions are taken."""
        self.eventually(self._is_ready)
        self._begin()

    def apart(self) -> Monitor:
        """This very monitor for one of the tests that share it: in a namespace of its own, nothing is there yet."""
        mine = copy.copy(self)
        mine.namespace = f"models-{next(_numbers)}"
        mine._begin()
        return mine

    def _begin(self) -> None:
        self._pairs = self.growth("sluice_monitor_pairs_total")
        self.since = datetime.now(UTC)
        # A window begins with the first whole bucket.
        time.sleep(2 * BUCKET_SECONDS)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/readyz").status == 200
        except ConnectionRefusedError:
            self._connection.close()
            return False

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Any request, on a connection that is kept for the next."""
        try:
            self._connection.request(method, path, body, dict(headers or {}))
            response = self._connection.getresponse()
        except (ConnectionResetError, BrokenPipeError):  # it was idle for too long
            self._connection.close()
            self._connection.request(method, path, body, dict(headers or {}))
            response = self._connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def get(self, path: str) -> Answer:
        """A GET."""
        return self.request("GET", path)

    def infer(
        self, revision: str, identity: str, request: object, response: object | None, request_id: str | None = None
    ) -> None:
        """Both events of one inference, or the request's alone."""
        halves = [("request", request)] if response is None else [("request", request), ("response", response)]
        for half, body in halves:
            headers = event(revision, identity, half, self.namespace, request_id)
            answer = self.request("POST", "/events", json.dumps(body).encode(), headers)
            assert answer.status == 202

    def ask(self, candidate: str, stable: str, **changes: object) -> Answer:
        """``POST /v1/drift`` about two revisions, from the start of the test."""
        question = {
            "namespace": self.namespace,
            "deployment": "m",
            "candidate": candidate,
            "stable": stable,
            "since": self.since.isoformat(),
            "subject": "Prediction",
            "minSamples": 100,
            "minEffect": 0.1,
            "alpha": 0.01,
        }
        return self.request("POST", "/v1/drift", json.dumps(question | changes).encode())

    def metric(self, sample: str) -> float:
        """One sample of ``/metrics`` by its name and labels."""
        lines = self.get("/metrics").body.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0)

    def growth(self, sample: str) -> Callable[[], float]:
        """Tells how much a sample has grown since this call, for a monitor that tests share."""
        before = self.metric(sample)
        return lambda: self.metric(sample) - before

    def settle(self, pairs: int) -> None:
        """Returns once that many inferences of the test have been worked off."""
        self.eventually(lambda: self._pairs() >= pairs)

    def report(self, report_id: str) -> Any:
        """The record of a report, once it is no longer pending."""
        path = f"/v1/reports/{report_id}.json"
        self.eventually(lambda: self.get(path).json["state"] != "Pending")
        return self.get(path).json

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self._connection.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(GENEROUS)

    def kill(self) -> None:
        """SIGKILL, as a container ends: no last words, and what renders its reports ends with it."""
        self._connection.close()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @staticmethod
    def eventually(condition: Callable[[], bool]) -> None:
        """Returns once the condition holds, fails when it never does."""
        deadline = time.monotonic() + GENEROUS
        while not condition():
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.05)


def event(
    revision: str, identity: str, half: str, namespace: str = "models", request_id: str | None = None
) -> dict[str, str]:
    """The headers of KServe's logger."""
    return {
        "ce-metadata": json.dumps({"X-Request-Id": [request_id]} if request_id else {}),
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-type": KIND + half,
        "ce-id": identity,
        "ce-namespace": namespace,
        "ce-inferenceservicename": revision,
        "ce-time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }


Start = Callable[..., Monitor]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts monitors that live in the test's directory, and ends those that the test leaves running."""
    started: list[Monitor] = []

    def begin(environment: Mapping[str, str] | None = None, **settings: object) -> Monitor:
        monitor = Monitor(tmp_path, environment or {}, bucket_seconds=BUCKET_SECONDS, **settings)
        started.append(monitor)
        monitor.wait_until_ready()
        return monitor

    yield begin
    for monitor in started:
        if monitor.process.poll() is None:
            monitor.kill()


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts monitors that the tests of a module share; they must still end as they should."""
    started: list[Monitor] = []

    def begin(**settings: object) -> Monitor:
        monitor = Monitor(tmp_path_factory.mktemp("shared"), {}, bucket_seconds=BUCKET_SECONDS, **settings)
        started.append(monitor)
        monitor.wait_until_ready()
        return monitor

    yield begin
    assert [monitor.stop() for monitor in started] == [0] * len(started)


@pytest.fixture
def headers() -> Callable[..., dict[str, str]]:
    """Builds the headers of one event."""
    return event
