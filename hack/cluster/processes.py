"""Processes: started in the background, remembered on disk, and ended only if they are provably ours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_PASSED_ON = ("PATH", "HOME", "LANG")
"""Of our environment, what daemons get. Proxies and CA bundles of a developer's shell would mislead them."""
_LARGE_LOG = 20 * 2**20
"""A longer log is put aside at the next start."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Record:
    """A started process. ``started`` is the kernel's start time in clock ticks, which a reused pid does not share."""

    pid: int
    started: int
    command: list[str]
    configuration: str = ""
    """A key of what the process was started with; another key means that it must be restarted."""

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


def memory(pid: int) -> int:
    """Resident bytes of a process; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


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
        try:
            return Record(**json.loads((self._pids / f"{name}.json").read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # a record cut short by a crash, or of another version of this program
            return None

    def alive(self, name: str) -> bool:
        """Whether the process of that name runs."""
        record = self.record(name)
        return record is not None and record.alive()

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        *,
        configuration: str = "",
    ) -> bool:
        """Start a process unless it runs already with this command and configuration; one with others is restarted.

        It outlives us, in a session of its own. Returns whether it was started.
        """
        words = [str(word) for word in command]
        record = self.record(name)
        if record is not None and record.alive():
            if record.command == words and record.configuration == configuration:
                return False
            self.stop(name)
        self._pids.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        if self.log(name).exists() and self.log(name).stat().st_size > _LARGE_LOG:
            self.log(name).replace(self._logs / f"{name}.old.log")
        passed_on = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=passed_on | dict(environment or {}),
                cwd="/",
                start_new_session=True,
            )
        started = started_at(process.pid)
        if started is None:
            raise RuntimeError(f"{name} ended at once: {self.tail(name)}")
        # Replaced, not written in place: a record that is half there would orphan its process.
        scratch = self._pids / f"{name}.partial"
        scratch.write_text(json.dumps(asdict(Record(process.pid, started, words, configuration))))
        scratch.rename(self._pids / f"{name}.json")
        return True

    def answered(self, ask: Callable[[], bool], patience: float, *names: str) -> bool:
        """Wait until a question is answered with yes, ``patience`` seconds, and not once one of these has ended."""
        answer = False

        def settled() -> bool:
            nonlocal answer
            answer = ask()
            return answer or not all(self.alive(name) for name in names)

        # Decided by the answer that ended the wait: on a busy machine the next one may come too late.
        wait(settled, patience)
        return answer

    def stop(self, name: str, patience: float = 15) -> None:
        """End a process and wait until it is gone; forcibly after ``patience`` seconds. Unknown names are fine."""
        record = self.record(name)
        if record is not None and record.alive():
            os.kill(record.pid, signal.SIGTERM)
            if not wait(lambda: not record.alive(), patience):
                os.kill(record.pid, signal.SIGKILL)
                wait(lambda: not record.alive(), 10)
            with contextlib.suppress(ProcessLookupError):  # workers that outlived their parent
                os.killpg(record.pid, signal.SIGKILL)
        (self._pids / f"{name}.json").unlink(missing_ok=True)

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of a process's log."""
        path = self.log(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"


def wait(condition: Callable[[], bool], seconds: float, every: float = 0.1) -> bool:
    """Ask until the answer is yes; False if it is not within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(every)
    return condition()
