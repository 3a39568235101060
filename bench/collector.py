"""How many events a second the collector takes on one core, next to a handler that does nothing.

    uv run python -m bench.collector

Both run on the same server with the same settings, in the same run, in turns. Two loads: as fast as the
connections allow, for events a second; and a steady rate, for the time to an answer. The client takes
the other core, where there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import socket
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop
from starlette.types import Receive, Scope, Send

FEATURES = 25
KIND = "org.kubeflow.serving.inference."
START_SECONDS = 60.0


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
    p99: float
    """Seconds."""


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
    """Runs the whole monitor on the first core, with a volume."""
    from sluice.monitor.app import build_app
    from sluice.monitor.server import serve
    from sluice.monitor.service import Service
    from sluice.monitor.settings import Settings

    _take_core(0)
    settings = Settings(data_dir=Path(folder, "data"), reports_dir=Path(folder, "reports"))
    serve(build_app(Service(settings), max_body_bytes=settings.max_body_bytes), "127.0.0.1", port)


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


def events(count: int, seed: int) -> list[bytes]:
    """HTTP requests as KServe's logger writes them: a request, then its response, and so on."""
    rng = random.Random(seed)
    built = []
    for index in range(count // 2):
        identity = f"{seed:08x}-{index:08x}-0000-0000"
        row = [rng.gauss(0, 1) for _ in range(FEATURES)]
        for half, body in (("request", {"instances": [row]}), ("response", {"predictions": [sum(row)]})):
            built.append(_http(half, identity, f"bench-r{index % 2}", json.dumps(body).encode()))
    return built


def _http(half: str, identity: str, revision: str, body: bytes) -> bytes:
    head = (
        "POST /events HTTP/1.1\r\nHost: sluice-monitor\r\nUser-Agent: Go-http-client/1.1\r\n"
        f"Content-Length: {len(body)}\r\nCe-Component: predictor\r\nCe-Endpoint: \r\nCe-Id: {identity}\r\n"
        f'Ce-Inferenceservicename: {revision}\r\nCe-Metadata: {{"X-Request-Id":["{identity}"]}}\r\n'
        "Ce-Namespace: bench\r\nCe-Source: http://localhost:9081/\r\nCe-Specversion: 1.0\r\n"
        f"Ce-Time: {time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.123456789Z\r\n"
        f"Ce-Type: {KIND}{half}\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
    )
    return head.encode() + body


async def drive(port: int, requests: list[bytes], load: Load) -> Round:
    """Sends the requests over kept-alive connections, each waiting for its answer before the next."""
    waiting = iter(requests)
    times: list[float] = []
    begun = time.perf_counter()
    pace = load.connections / load.rate if load.rate else 0.0

    async def connection(index: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = begun + pace * index / load.connections
        for request in waiting:
            if pace:
                await asyncio.sleep(due - time.perf_counter())
                due += pace
            sent = time.perf_counter()
            if sent - begun > load.seconds:
                break
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 202"), answer
            times.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(connection(index) for index in range(load.connections)))
    elapsed = time.perf_counter() - begun
    return Round(len(times) / elapsed, statistics.quantiles(times, n=100)[-1])


def measure(port: int, load: Load, seed: int) -> Round:
    """One round."""
    return uvloop.run(drive(port, events(load.events, seed), load))


def read_metric(port: int, name: str) -> float:
    """One sample of the monitor's own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="bench.collector", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=40_000, help="events a round (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15, help="longest round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1_000, help="steady events/s (default: %(default)s)")
    chosen = parser.parse_args()
    _take_core(1)
    full = Load(chosen.events, chosen.seconds, chosen.connections)
    steady = replace(full, events=int(min(chosen.events, chosen.rate * chosen.seconds)), rate=chosen.rate)
    rounds: dict[str, list[tuple[Round, Round]]] = {"bare": [], "collector": []}
    with running(serve_bare) as bare_port, running(serve_collector) as port:
        for number in range(chosen.rounds):
            for name, where in (("bare", bare_port), ("collector", port)):
                results = measure(where, full, 2 * number), measure(where, steady, 2 * number + 1)
                rounds[name].append(results)
                print(f"round {number + 1} {name:<9} {results[0].rate:>8,.0f} events/s", flush=True)
        time.sleep(2)  # the queue runs empty
        received = read_metric(port, "sluice_monitor_events_received_total")
        dropped = read_metric(port, "sluice_monitor_events_dropped_total")
        memory = read_metric(port, "process_resident_memory_bytes") / (1 << 20)
    medians = {name: statistics.median(result[0].rate for result in taken) for name, taken in rounds.items()}
    print(f"\n{'':<10} {'events/s':>9} {'p99 at full load':>17} {f'p99 at {chosen.rate:,.0f}/s':>15}")
    for name, taken in rounds.items():
        p99s = [statistics.median(result[index].p99 for result in taken) * 1e3 for index in (0, 1)]
        print(f"{name:<10} {medians[name]:>9,.0f} {p99s[0]:>14.2f} ms {p99s[1]:>12.2f} ms")
    print(f"\nratio {medians['collector'] / medians['bare']:.2f} (medians of {chosen.rounds} rounds, one core)")
    print(f"collector: {received:,.0f} events worked, {dropped:,.0f} dropped, {memory:.0f} MiB resident")


if __name__ == "__main__":
    main()
