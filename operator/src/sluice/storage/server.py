"""Server: one process that has MLflow loaded, and forks for each command.

To load MLflow takes two seconds of a processor and a hundred megabytes. A process for each command paid that each time,
and the operator reads evidence of every governed model twice a minute. A fork costs milliseconds, shares the memory,
and still takes with it whatever a command leaves behind.

It listens on a socket whose path it prints. A connection is one command: a line of JSON with ``arguments``, ``input``
(its standard input) and ``patience`` (seconds), answered by ``out`` and ``err``, what it printed. A client that hangs
up ends its command. The server ends when its standard input does, or when nobody asked for a while.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import io
import json
import os
import select
import selectors
import shutil
import signal
import socket
import socketserver
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

IDLE_SECONDS = 120.0
"""How long it stays without being asked. Evidence that is in use is read every half minute."""
_GLANCE = 1.0
"""Seconds between two looks at what has ended."""
_TO_ASK = 10.0
"""Seconds that a client has to say what it wants."""
_PR_SET_PDEATHSIG = 1
"""Of Linux' prctl: the signal that a process gets when its parent dies."""

Run = Callable[[list[str]], object]
"""A command: takes arguments, reads standard input, prints."""


def serve(run: Run, idle: float = IDLE_SECONDS) -> None:
    """Answer until nobody wants to know any more."""
    gc.freeze()  # a collection in a fork would copy what they share
    with tempfile.TemporaryDirectory(prefix="sluice-storage-") as folder:
        path = Path(folder, "socket")
        with _Server(path, run) as server, selectors.DefaultSelector() as waiting:
            waiting.register(server, selectors.EVENT_READ)
            waiting.register(sys.stdin, selectors.EVENT_READ)
            print(path, flush=True)
            asked_at = time.monotonic()
            while time.monotonic() < asked_at + idle:
                ready = [key.fileobj for key, _ in waiting.select(min(idle, _GLANCE))]
                if sys.stdin in ready:
                    break  # who started us is gone
                if server in ready:
                    server.handle_request()
                server.collect_children()
                server.tidy()
                if ready or server.active_children:
                    asked_at = time.monotonic()
            server.end_children()


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks for each connection."""

    block_on_close = False

    def __init__(self, path: Path, run: Run) -> None:
        super().__init__(str(path), _Handler)
        self.run = run
        self.folder = path.parent
        """Each fork has a folder in it for what it needs for a while, named by its number."""

    def tidy(self) -> None:
        """Remove what forks left behind that were ended in the midst of a download."""
        for entry in self.folder.iterdir():
            if entry.name.isdecimal() and int(entry.name) not in (self.active_children or ()):
                shutil.rmtree(entry, ignore_errors=True)

    def end_children(self) -> None:
        """Those that are still at work: nobody will read what they say."""
        for child in self.active_children or ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.collect_children(blocking=True)


class _Handler(socketserver.StreamRequestHandler):
    """One command, in a process of its own."""

    server: _Server

    def handle(self) -> None:
        """Run it, and say what it printed."""
        self._settle_in()
        asked = json.loads(self.rfile.readline())
        out, err = io.StringIO(), io.StringIO()
        sys.stdin = io.StringIO(asked["input"])
        printed = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with printed[0], printed[1], _ended_with(self.connection, asked["patience"]):
            try:
                self.server.run(asked["arguments"])
            except SystemExit:  # of argparse, which has said why
                pass
            except Exception:  # noqa: BLE001 - whatever it is, it is said
                traceback.print_exc()
        self.wfile.write(json.dumps({"out": out.getvalue(), "err": err.getvalue()}).encode())

    def _settle_in(self) -> None:
        """What a fork must not share with the server, and what it must share: its end."""
        signal.setitimer(signal.ITIMER_REAL, _TO_ASK)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        self.server.socket.close()  # or whoever connects after the server's end would wait for an answer for ever
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)  # nobody reads it
        scratch = self.server.folder / str(os.getpid())
        scratch.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)


@contextlib.contextmanager
def _ended_with(connection: socket.socket, patience: float) -> Iterator[None]:
    """Within it, the process ends when the client hangs up or its patience is over.

    Both by a signal, for a command may be deep in a download: the kernel sends SIGIO when there is something new about
    the connection, which of a client that has said all can only be that it is gone.
    """
    signal.setitimer(signal.ITIMER_REAL, patience)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC)
    gone = select.poll()
    gone.register(connection, select.POLLRDHUP)
    if gone.poll(0):  # before anybody was told
        os.kill(os.getpid(), signal.SIGIO)
    try:
        yield
    finally:
        fcntl.fcntl(connection, fcntl.F_SETFL, flags)  # an answer that is being read is news about it, too
        signal.setitimer(signal.ITIMER_REAL, 0)
