"""What the initializer leaves for Kubernetes to put into the pod's status."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from sluice import termination
from sluice.core import workload
from sluice.storage import __main__ as command
from sluice.storage.registry import DigestMismatchError, Registry
from tests.unit.core.examples import container, pod

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setattr(termination, "LOG", path)
    monkeypatch.setattr(command, "_set_environment", lambda scratch: None)
    monkeypatch.setattr(Registry, "by_version", lambda *_: SimpleNamespace())
    return path


def test_success_is_left_in_the_words_that_the_operator_reads(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "fetch", lambda *_: None)
    assert command.main([f"mlflow://m/1?digest={DIGEST}", str(tmp_path / "models"), "--tracking-uri=http://x"]) == 0
    ended = {"terminated": {"exitCode": 0, "message": log.read_text()}}
    initialized = container(name="storage-initializer", ready=True, state=ended)
    seen = pod(
        container(ready=True), initContainerStatuses=[initialized], conditions=[{"type": "Ready", "status": "True"}]
    )
    assert workload.read({"metadata": {}}, [], [seen], replicas=1).loaded_digest == DIGEST


def test_a_refusal_verifies_nothing(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DigestMismatchError("other files")

    monkeypatch.setattr(Registry, "fetch", refuse)
    with pytest.raises(SystemExit):
        command.main([f"mlflow://m/1?digest={DIGEST}", str(tmp_path / "models"), "--tracking-uri=http://x"])
    assert log.read_text() == "DigestMismatch: other files"
