"""The process that forks: started when needed, ended when not, and never waited for in vain."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sluice.edges.storage import ForkServer, Storage

SCRIPT = """
import json, os, pathlib, sys, tempfile, threading, time
from sluice.storage.server import serve

loaded = os.getpid()

def main(arguments):
    what, *rest = arguments
    if what == "say":
        said = {"said": rest, "input": sys.stdin.read(), "fork": os.getpid(), "of": loaded}
        print(json.dumps(said | {"scratch": tempfile.gettempdir()}))
    elif what == "litter":
        pathlib.Path(tempfile.gettempdir(), "half-a-model").write_bytes(b"x" * 100_000)
        time.sleep(3600)
    elif what == "much":
        print(json.dumps({"much": "x" * 3_000_000}))
    elif what == "die":
        os.kill(os.getpid(), 9)
    elif what == "usage":
        raise SystemExit(2)
    elif what == "fail":
        raise RuntimeError("surprise")
    elif what == "hang":
        with open(rest[0], "w") as file:
            file.write(str(os.getpid()))
        lock = threading.Lock()
        with lock:
            lock.acquire()  # in C, and for ever

serve(main, idle=float(sys.argv[1]))
"""


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., Storage]]:
    script, made = tmp_path / "script.py", list[ForkServer]()
    script.write_text(SCRIPT)

    def new(idle: float = 60) -> Storage:
        made.append(ForkServer((sys.executable, str(script), str(idle))))
        return Storage(made[-1])

    yield new
    for server in made:
        await server.close()


async def ask(storage: Storage, *options: str, patience: float = 20, given: str = "") -> dict[str, Any]:
    return await storage.ask("asking", options, patience, given)


def server(storage: Storage) -> int:
    assert storage._server._process is not None
    return storage._server._process.pid


async def gone(pid: int) -> None:
    for _ in range(400):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{pid} still runs")


async def ended(pid: int) -> None:
    """Wait until a process is at its end; one whose parent was killed may still be listed."""
    for _ in range(400):
        try:
            state = await asyncio.to_thread(Path(f"/proc/{pid}/stat").read_text)
        except FileNotFoundError:
            return
        if state.rpartition(")")[2].split()[0] == "Z":
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{pid} still runs")


async def written(file: Path) -> int:
    """The number that a command writes there."""
    for _ in range(400):
        if text := await asyncio.to_thread(lambda: file.read_text() if file.exists() else ""):
            return int(text)
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing is written to {file}")


async def test_each_command_is_a_fork_of_one_process(make: Callable[..., Storage]) -> None:
    storage = make()
    first, second = await ask(storage, "say", "a", "b", given="c"), await ask(storage, "say")
    assert (first["said"], first["input"], second["input"]) == (["a", "b"], "c", "")
    assert first["of"] == second["of"] == server(storage)
    assert len({first["fork"], second["fork"], first["of"]}) == 3


async def test_an_answer_may_be_long(make: Callable[..., Storage]) -> None:
    assert len((await ask(make(), "much"))["much"]) == 3_000_000


@pytest.mark.parametrize(
    ("what", "says"),
    [("die", "its process died; is the memory limit too low?"), ("usage", "asking failed"), ("fail", "surprise")],
)
async def test_what_goes_wrong_is_said_and_the_next_is_answered(
    make: Callable[..., Storage], what: str, says: str
) -> None:
    storage = make()
    assert says in (await ask(storage, what))["error"]["message"]
    assert (await ask(storage, "say", "a"))["said"] == ["a"]


async def test_where_the_process_was_killed_another_is_started(make: Callable[..., Storage]) -> None:
    storage = make()
    await ask(storage, "say")
    before = server(storage)
    os.kill(before, signal.SIGKILL)
    await gone(before)
    assert (await ask(storage, "say", "a"))["said"] == ["a"]
    assert server(storage) != before


async def test_where_the_process_was_killed_its_commands_end_and_nobody_waits_for_them(
    make: Callable[..., Storage], tmp_path: Path
) -> None:
    storage, file = make(), tmp_path / "pid"
    task = asyncio.create_task(ask(storage, "hang", str(file), patience=600))
    pid = await written(file)
    before = server(storage)
    os.kill(before, signal.SIGKILL)
    await gone(before)
    assert (await ask(storage, "say", "a"))["said"] == ["a"]
    assert "its process died" in (await task)["error"]["message"]
    await ended(pid)


async def test_what_an_ended_command_left_on_the_disk_is_removed(make: Callable[..., Storage]) -> None:
    storage = make()
    folder = Path((await ask(storage, "say"))["scratch"]).parent
    await ask(storage, "litter", patience=0.5)
    for _ in range(400):
        if [entry.name for entry in folder.iterdir()] == ["socket"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(list(folder.iterdir()))


async def test_two_who_share_the_process_do_not_wait_for_each_other(
    make: Callable[..., Storage], tmp_path: Path
) -> None:
    storage, files = make(), (tmp_path / "a", tmp_path / "b")
    tasks = [asyncio.create_task(ask(storage, "hang", str(file), patience=600)) for file in files]
    for file in files:
        await written(file)
    assert (await ask(Storage(storage._server), "say", "a"))["said"] == ["a"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_ends_when_nobody_asks_and_is_started_anew(make: Callable[..., Storage]) -> None:
    storage = make(idle=0.3)
    await ask(storage, "say")
    before = server(storage)
    await gone(before)
    assert (await ask(storage, "say", "a"))["of"] != before


async def test_whoever_loses_patience_ends_the_command_wherever_it_is(
    make: Callable[..., Storage], tmp_path: Path
) -> None:
    storage, file = make(), tmp_path / "pid"
    await ask(storage, "say")
    task = asyncio.create_task(ask(storage, "hang", str(file), patience=5))
    pid = await written(file)
    assert "took longer than" in (await task)["error"]["message"]
    await gone(pid)


async def test_a_command_that_is_not_waited_for_any_more_ends(make: Callable[..., Storage], tmp_path: Path) -> None:
    storage, file = make(), tmp_path / "pid"
    task = asyncio.create_task(ask(storage, "hang", str(file), patience=600))
    pid = await written(file)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await gone(pid)


async def test_with_the_process_end_its_commands(make: Callable[..., Storage], tmp_path: Path) -> None:
    storage, file = make(), tmp_path / "pid"
    task = asyncio.create_task(ask(storage, "hang", str(file), patience=600))
    pid = await written(file)
    await storage._server.close()
    await gone(pid)
    assert "its process died" in (await task)["error"]["message"]


async def test_one_that_does_not_start_says_its_exit_code() -> None:
    storage = Storage(ForkServer((sys.executable, "-c", "raise SystemExit(3)")))
    assert "could not be started" in (found := (await ask(storage, "say"))["error"]["message"])
    assert "ended with exit code 3" in found
