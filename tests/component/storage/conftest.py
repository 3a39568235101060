"""A real MLflow server with proxied artifacts, and ``python -m sluice.storage`` as it is in the operator's image."""

from __future__ import annotations

import atexit
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

MLMODEL = {
    "flavors": {"sklearn": {}, "python_function": {"loader_module": "mlflow.sklearn"}},
    "signature": {
        "inputs": json.dumps([{"name": "income", "type": "double", "required": True}]),
        "outputs": json.dumps([{"type": "double", "required": True}]),
    },
}

SKINNY = """
import sys
sys.modules.update(numpy=None, pandas=None)  # which the operator's image has not
from sluice.storage.__main__ import main
"""
FORKING = """
import json, os, signal
from sluice.storage import evidence, golden, publication, registry, signature  # what the commands load
for line in sys.stdin:
    asked = json.loads(line)
    if not (child := os.fork()):
        signal.alarm(120)
        for number, (path, flags) in enumerate(asked["streams"]):
            os.dup2(os.open(path, flags), number)
        os.environ["MLFLOW_TRACKING_URI"] = asked["uri"]
        sys.exit(main(asked["arguments"]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""A process that has MLflow loaded and forks for each command, as the operator's does: loading takes three seconds."""

_REMOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && if touch /tmp/x; then exit 99; fi && exec "$@"'
READ_ONLY = ("unshare", "--mount", "sh", "-c", _REMOUNT)
"""Runs a command where only one directory can be written to: the next argument."""


@dataclass(frozen=True)
class Mlflow:
    """A running server and the directory behind its artifact proxy."""

    uri: str
    artifacts: Path

    def run(self, *arguments: str, under: tuple[str, ...] = ()) -> tuple[int, str, str]:
        """What a command ends with and prints: in a process of its own where it runs under another, else in a fork."""
        if not under:
            return _forked(self.uri, arguments)
        done = subprocess.run(
            [*under, sys.executable, "-c", f"{SKINNY}sys.exit(main())", *arguments],
            env=_environment() | {"MLFLOW_TRACKING_URI": self.uri},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def resolve(self, *arguments: str) -> tuple[int, dict[str, object]]:
        code, out, _ = self.run("resolve", *arguments)
        return code, json.loads(out)

    def files(self, version: str) -> Path:
        """Where the files of a version of model ``scorer`` lie."""
        return next(path.parent for path in self.artifacts.rglob(f"version-{version}.txt"))


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DO_NOT_TRACK": "true"}


@functools.cache
def _forking() -> subprocess.Popen[str]:
    """Ends when its standard input does, with us."""
    command = [sys.executable, "-c", SKINNY + FORKING]
    pipe = subprocess.PIPE
    forking = subprocess.Popen(command, env=_environment(), cwd="/", stdin=pipe, stdout=pipe, text=True, bufsize=1)
    atexit.register(forking.communicate)
    return forking


def _forked(uri: str, arguments: Sequence[str]) -> tuple[int, str, str]:
    forking = _forking()
    assert forking.stdin is not None
    assert forking.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        written = os.O_WRONLY | os.O_CREAT
        streams = [("/dev/null", os.O_RDONLY), (str(out), written), (str(err), written)]
        forking.stdin.write(json.dumps({"uri": uri, "arguments": arguments, "streams": streams}) + "\n")
        code = int(forking.stdout.readline())
        return code, out.read_text(), err.read_text()


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    root = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{root}/db", "--artifacts-destination", str(root / "artifacts")]
    # Without its ten workers for jobs, which are idle and take a tenth of a processor.
    quiet = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        (root / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=root, env=quiet) as server,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/health", server)
            served = Mlflow(f"http://127.0.0.1:{port}", root / "artifacts")
            for version in ("1", "2", "3", "4"):
                _register(served.uri, version, root)
            yield served
        finally:
            server.terminate()


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert server.poll() is None, "MLflow ended"
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("MLflow did not start")


def _register(uri: str, version: str, root: Path) -> None:
    client = MlflowClient(uri, uri)
    if version == "1":
        client.create_registered_model("scorer")
    run = client.create_run(client.get_experiment_by_name("Default").experiment_id)  # type: ignore[union-attr]
    folder = root / f"model-{version}"
    folder.mkdir()
    (folder / f"version-{version}.txt").write_text(f"weights of {version}")
    (folder / "MLmodel").write_text(json.dumps(MLMODEL))
    client.log_artifacts(run.info.run_id, str(folder), "model")
    source = f"{run.info.artifact_uri}/model"
    client.create_model_version("scorer", source, run.info.run_id, tags={"owner": "risk"})
