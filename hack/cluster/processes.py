"""Processes: started in the background, remembered on disk, and ended only if they are provably ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """A started process. ``started`` is the kernel's start time in clock ticks, which a reused pid does not share."""

    pid: int
    started: int
    command: list[str]

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return started_at(self.pid) == self.started


def started_at(pid: int) -> int | None:
    """A process's start time in clock ticks since boot; None if there is none, or only its corpse."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


class Processes:
    """The processes whose records lie in one directory."""

    def __init__(self, directory: Path) -> None:
        self._pids = directory / "pids"
        self._logs = directory / "logs"

    def log(self, name: str) -> Path:
        """Where a process writes what it says."""
        return self._logs / f"{name}.log"

    def names(self) -> list[str]:
        """Everything that was started and not stopped."""
        return sorted(path.stem for path in self._pids.glob("*.json"))

    def record(self, name: str) -> Record | None:
        """What was started under a name, if anything."""
        path = self._pids / f"{name}.json"
        return Record(**json.loads(path.read_text())) if path.exists() else None

    def alive(self, name: str) -> bool:
        """Whether the process of that name runs."""
        record = self.record(name)
        return record is not None and record.alive()

    def start(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        """Start a process unless it runs already. It outlives us, in a session of its own."""
        if self.alive(name):
            return
        self._pids.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        words = [str(word) for word in command]
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        started = started_at(process.pid)
        if started is None:
            raise RuntimeError(f"{name} ended at once: {self.tail(name)}")
        record = Record(process.pid, started, words)
        (self._pids / f"{name}.json").write_text(json.dumps(asdict(record)))

    def stop(self, name: str, patience: float = 15) -> None:
        """End a process and wait until it is gone; forcibly after ``patience`` seconds. Unknown names are fine."""
        record = self.record(name)
        if record is not None and record.alive():
            os.kill(record.pid, signal.SIGTERM)
            if not wait(lambda: not record.alive(), patience):
                os.kill(record.pid, signal.SIGKILL)
                wait(lambda: not record.alive(), 10)
        (self._pids / f"{name}.json").unlink(missing_ok=True)

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of a process's log."""
        path = self.log(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"


def wait(condition: object, seconds: float, every: float = 0.1) -> bool:
    """Ask a callable until it says yes; False if it does not within the time."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(every)
    return bool(condition())
