"""A process is ours only if its pid and its start time are those that we recorded."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.processes import Processes, memory, started_at, wait

SLEEP = ["sleep", "60"]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    for name in made.names():
        made.stop(name)


def test_started_remembered_and_stopped(processes: Processes) -> None:
    assert processes.start("sleeper", SLEEP)
    record = processes.record("sleeper")
    assert record is not None
    assert record.command == SLEEP
    assert memory(record.pid) > 0

    processes.stop("sleeper")

    assert not record.alive()
    assert processes.names() == []


def test_started_twice_is_one_process(processes: Processes) -> None:
    processes.start("sleeper", SLEEP)
    before = processes.record("sleeper")

    assert not processes.start("sleeper", SLEEP)
    assert processes.record("sleeper") == before


@pytest.mark.parametrize(("command", "configuration"), [(["sleep", "61"], ""), (SLEEP, "other")])
def test_another_command_or_configuration_restarts(
    processes: Processes, command: list[str], configuration: str
) -> None:
    processes.start("sleeper", SLEEP)
    before = processes.record("sleeper")
    assert before is not None

    assert processes.start("sleeper", command, configuration=configuration)
    assert not before.alive()
    assert processes.alive("sleeper")


def test_a_reused_pid_is_not_killed(processes: Processes, tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEP)
    try:
        (tmp_path / "pids").mkdir()
        record = {"pid": stranger.pid, "started": (started_at(stranger.pid) or 0) - 1, "command": SLEEP}
        (tmp_path / "pids" / "sleeper.json").write_text(json.dumps(record))

        assert not processes.alive("sleeper")
        processes.stop("sleeper")

        assert stranger.poll() is None
        assert processes.names() == []
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', '{"pid": 1, "started": 2, "command": [], "novel": 3}'])
def test_a_broken_record_counts_as_none(processes: Processes, tmp_path: Path, content: str) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "pids" / "sleeper.json").write_text(content)

    assert processes.record("sleeper") is None
    processes.stop("sleeper")
    assert processes.names() == []


def test_daemons_do_not_inherit_proxies(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    processes.start("printer", ["sh", "-c", "env; sleep 60"], {"GIVEN": "1"})

    assert wait(lambda: "GIVEN=1" in processes.tail("printer"), 5)
    assert "HTTPS_PROXY" not in processes.tail("printer")


def test_start_time_of_the_living_and_the_dead() -> None:
    assert started_at(os.getpid()) is not None
    finished = subprocess.Popen(["true"])
    assert wait(lambda: started_at(finished.pid) is None, 5)  # a corpse, until it is waited for
    finished.wait()
    assert started_at(finished.pid) is None
