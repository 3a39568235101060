"""What a container leaves about its end is cut to what Kubernetes keeps, and costs it nothing where nobody asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice import termination


def test_a_reason_is_left_and_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setattr(termination, "LOG", log)
    with pytest.raises(SystemExit) as ended:
        termination.refuse("DataNotFound", "it is not there")
    assert ended.value.code == 1
    assert log.read_text() == "DataNotFound: it is not there"
    assert capsys.readouterr().err == "DataNotFound: it is not there\n"


def test_a_long_text_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setattr(termination, "LOG", log)
    termination.conclude("x" * 5000)
    assert log.stat().st_size == termination.BYTES


def test_outside_a_pod_there_is_nowhere_to_leave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(termination, "LOG", tmp_path / "none")
    termination.conclude("x")
    assert list(tmp_path.iterdir()) == []
