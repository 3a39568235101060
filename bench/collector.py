"""How many events a second the collector takes on one core, next to a handler that does nothing.

    uv run python -m bench.collector
    uv run python -m bench.collector --rounds 0 --events 10000000    # is memory flat?

Both run on the same server with the same settings, in the same run, in turns. Two loads: as fast as the
connections allow, for events a second; and a steady rate, at which an event waits for a free connection if
there is none and the wait counts, for the time to an answer. The client takes the other core, where there
is one. Then the collector alone is given ``--events`` at the steady rate, and its memory is watched.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop
from starlette.types import Receive, Scope, Send

FEATURES = 25
TEMPLATES = 2_000
KIND = "org.kubeflow.serving.inference."
START_SECONDS = 60.0
TICK_SECONDS = 0.001
LEAST_RATE, MOST_P99, LEAST_RATIO = 10_000, 0.010, 0.5
"""The targets: events a second, seconds, and the share of what the bare handler does."""


@dataclass(frozen=True, slots=True)
class Load:
    """One round."""

    events: int
    seconds: float
    """The round ends here at the latest."""
    connections: int
    rate: float | None = None
    """Events a second over all connections; None for as many as they can."""


@dataclass(frozen=True, slots=True)
class Round:
    """What came of it."""

    rate: float
    p50: float
    """Seconds."""
    p99: float


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The floor: reads the body, answers 202."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def serve_bare(port: int, _folder: str) -> None:
    """Runs :func:`bare` on the first core."""
    from sluice.monitor.server import serve

    _take_core(0)
    serve(bare, "127.0.0.1", port)


def serve_collector(port: int, folder: str) -> None:
    """Runs the whole monitor on the first core, as the chart runs it: rows go to a volume."""
    from sluice.monitor.__main__ import main

    _take_core(0)
    rows, reports = Path(folder, "rows"), Path(folder, "reports")
    given = f"--host 127.0.0.1 --port {port} --rows-url {rows} --reports-dir {reports} --log-level WARNING"
    sys.argv = ["sluice-monitor", *given.split()]
    main()


def _take_core(index: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})


@contextlib.contextmanager
def running(serve: Callable[[int, str], None]) -> Iterator[int]:
    """A server in a process of its own: its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, folder))
        process.start()
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.join(30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def events(seed: int) -> Iterator[bytes]:
    """HTTP requests as KServe's logger writes them: a request, then its response, and so on without end."""
    rng = random.Random(seed)
    bodies = []
    for _ in range(TEMPLATES):
        row = [rng.gauss(0, 1) for _ in range(FEATURES)]
        bodies.append([json.dumps(body).encode() for body in ({"instances": [row]}, {"predictions": [sum(row)]})])
    heads: list[list[bytes]] = []
    second = 0.0
    for index in itertools.count():
        if time.time() - second >= 1:
            second = time.time()
            heads = [[_head(half, f"bench-r{revision}") for half in ("request", "response")] for revision in (1, 2)]
        identity = b"%08x-%012x-4000-00000000" % (seed, index)
        for head, body in zip(heads[index % 2], bodies[index % TEMPLATES], strict=True):
            yield head.replace(b"IDENTITY", identity) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _head(half: str, revision: str) -> bytes:
    return (
        "POST /events HTTP/1.1\r\nHost: sluice-monitor\r\nUser-Agent: Go-http-client/1.1\r\n"
        "Ce-Component: predictor\r\nCe-Endpoint: \r\nCe-Id: IDENTITY\r\n"
        f'Ce-Inferenceservicename: {revision}\r\nCe-Metadata: {{"X-Request-Id":["IDENTITY"]}}\r\n'
        "Ce-Namespace: bench\r\nCe-Source: http://localhost:9081/\r\nCe-Specversion: 1.0\r\n"
        f"Ce-Time: {time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.123456789Z\r\n"
        f"Ce-Type: {KIND}{half}\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n"
    ).encode()


class Connection(asyncio.Protocol):
    """One kept-alive connection, on which an event waits for its answer before the next is sent."""

    def __init__(self, on_answer: Callable[[Connection], None]) -> None:
        self._on_answer = on_answer
        self._received = b""
        self.transport: asyncio.Transport
        self.due = 0.0
        """When the event under way should have been sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """The answer, which has no body."""
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            assert self._received.startswith(b"HTTP/1.1 202"), self._received
            self._received = b""
            self._on_answer(self)


class Driver:
    """Sends events over some connections, as fast as they can or at a steady rate."""

    def __init__(self, load: Load, seed: int) -> None:
        self._load = load
        self._events = events(seed)
        self._left = load.events
        self._idle: deque[Connection] = deque()
        self._late: deque[float] = deque()
        """When events were due that wait for a connection."""
        self._times = array("d")
        self._deadline = 0.0

    async def drive(self, port: int) -> Round:
        """The whole load."""
        loop = asyncio.get_running_loop()
        for _ in range(self._load.connections):
            _, connection = await loop.create_connection(lambda: Connection(self._answered), "127.0.0.1", port)
            self._idle.append(connection)
        begun = time.perf_counter()
        self._deadline = begun + self._load.seconds
        everyone = list(self._idle)
        await (self._steadily(begun) if self._load.rate else self._at_full_load())
        while len(self._idle) < len(everyone):  # noqa: ASYNC110 - a busy loop would take part in the measurement
            await asyncio.sleep(TICK_SECONDS)
        elapsed = time.perf_counter() - begun
        for connection in everyone:
            connection.transport.close()
        hundredths = statistics.quantiles(self._times[:: max(1, len(self._times) // 1_000_000)], n=100)
        return Round(len(self._times) / elapsed, hundredths[49], hundredths[98])

    async def _at_full_load(self) -> None:
        while self._idle:
            self._send(self._idle.popleft(), time.perf_counter())
        while self._is_on():  # noqa: ASYNC110 - an answer that sets an event costs time, and nobody is in a hurry
            await asyncio.sleep(0.01)

    async def _steadily(self, begun: float) -> None:
        assert self._load.rate
        sent = 0
        while self._is_on():
            due = min(int((time.perf_counter() - begun) * self._load.rate) - sent, self._left)
            for index in range(due):
                self._late.append(begun + (sent + index) / self._load.rate)
            sent += due
            while self._idle and self._late:
                self._send(self._idle.popleft(), self._late.popleft())
            await asyncio.sleep(TICK_SECONDS)

    def _is_on(self) -> bool:
        return self._left > 0 and time.perf_counter() < self._deadline

    def _send(self, connection: Connection, due: float) -> None:
        self._left -= 1
        connection.due = due
        connection.transport.write(next(self._events))

    def _answered(self, connection: Connection) -> None:
        now = time.perf_counter()
        self._times.append(now - connection.due)
        if self._load.rate is None and self._is_on():
            self._send(connection, now)
        elif self._late and self._is_on():
            self._send(connection, self._late.popleft())
        else:
            self._idle.append(connection)


def measure(port: int, load: Load, seed: int) -> Round:
    """One round."""
    return uvloop.run(Driver(load, seed).drive(port))


def read_metric(port: int, name: str) -> float:
    """The sum of one of the monitor's own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def compare(chosen: argparse.Namespace) -> None:
    """The handler that does nothing and the collector, in turns."""
    full = Load(10**9, chosen.seconds, chosen.connections)
    steady = Load(10**9, chosen.seconds, chosen.connections, chosen.rate)
    rounds: dict[str, list[tuple[Round, Round]]] = {"bare": [], "collector": []}
    with running(serve_bare) as bare_port, running(serve_collector) as port:
        for number in range(chosen.rounds):
            for name, where in (("bare", bare_port), ("collector", port)):
                results = measure(where, full, 2 * number), measure(where, steady, 2 * number + 1)
                rounds[name].append(results)
                print(f"round {number + 1} {name:<9} {results[0].rate:>8,.0f} events/s", flush=True)
        time.sleep(2)  # the queue runs empty
        received, dropped = (
            read_metric(port, f"sluice_monitor_events_{word}_total") for word in ("received", "dropped")
        )
        pairs = read_metric(port, "sluice_monitor_pairs_total")
    medians = {name: statistics.median(result[0].rate for result in taken) for name, taken in rounds.items()}
    at = f"at {chosen.rate:,.0f}/s"
    print(f"\n{'':<10} {'events/s':>9} {'p99 at full load':>17} {f'p50 {at}':>15} {f'p99 {at}':>15} {'reached':>9}")
    for name, taken in rounds.items():
        flat = statistics.median(result[0].p99 for result in taken) * 1e3
        p50, p99 = (statistics.median(getattr(result[1], word) for result in taken) * 1e3 for word in ("p50", "p99"))
        reached = statistics.median(result[1].rate for result in taken)
        print(f"{name:<10} {medians[name]:>9,.0f} {flat:>14.2f} ms {p50:>12.2f} ms {p99:>12.2f} ms {reached:>7,.0f}/s")
    ratio = medians["collector"] / medians["bare"]
    p99 = statistics.median(result[1].p99 for result in rounds["collector"])
    print(f"\nmedians of {chosen.rounds} rounds on one core; targets in brackets")
    print(f"events a second    {medians['collector']:,.0f} (at least {LEAST_RATE:,.0f})")
    print(f"p99 of the answer  {p99 * 1e3:.2f} ms {at} (under {MOST_P99 * 1e3:.0f} ms)")
    print(f"ratio to bare      {ratio:.2f} (at least {LEAST_RATIO})")
    print(f"collector: {received:,.0f} events worked into {pairs:,.0f} pairs, {dropped:,.0f} dropped")


def soak(chosen: argparse.Namespace) -> None:
    """The collector alone, for as many events as asked for: is its memory flat?"""
    parts = 10
    load = Load(chosen.events // parts, chosen.soak_seconds / parts, chosen.connections, chosen.rate)
    print(f"\n{'events':>12} {'events/s':>9} {'p99':>9} {'dropped':>9} {'rows':>9} {'resident':>9}")
    memory = []
    with running(serve_collector) as port:
        for part in range(parts):
            result = measure(port, load, 1_000 + part)
            memory.append(read_metric(port, "process_resident_memory_bytes") / (1 << 20))
            received, dropped = (
                read_metric(port, f"sluice_monitor_events_{word}_total") for word in ("received", "dropped")
            )
            print(
                f"{received + dropped:>12,.0f} {result.rate:>9,.0f} {result.p99 * 1e3:>6.2f} ms {dropped:>9,.0f} "
                f"{read_metric(port, 'sluice_monitor_rows_bytes') / (1 << 20):>5.0f} MiB {memory[-1]:>5.0f} MiB",
                flush=True,
            )
    # Rows have a budget (--memory-mib): memory grows with them until it is spent.
    print(f"memory: {memory[parts // 2 - 1]:.0f} MiB after half of the time, {memory[-1]:.0f} MiB at the end,")
    print(f"        after {received + dropped:,.0f} of {chosen.events:,} events")


def main() -> None:
    """Measures, and prints tables."""
    parser = argparse.ArgumentParser(prog="bench.collector", description=(__doc__ or "").partition("\n")[0])
    option = parser.add_argument
    option("--rounds", type=int, default=3, help="rounds of each, compared; 0 for none (default: %(default)s)")
    option("--seconds", type=float, default=10, help="length of a round (default: %(default)s)")
    option("--connections", type=int, default=32, help="senders at a time (default: %(default)s)")
    option("--rate", type=float, default=10_000, help="the steady load, events a second (default: %(default)s)")
    option("--events", type=int, default=300_000, help="events while memory is watched; 0: none (default: %(default)s)")
    option("--soak-seconds", type=float, default=1_500, help="and for so long at most (default: %(default)s)")
    chosen = parser.parse_args()
    _take_core(1)
    if chosen.rounds:
        compare(chosen)
    if chosen.events:
        soak(chosen)


if __name__ == "__main__":
    main()
