"""Load: real rows replayed through the gateway at a steady rate, and an exact count of what came back.

The pace is open-loop: requests leave on time whether or not earlier ones have returned, as users do, up to a
bound on those in flight. What the bound holds back is counted too, never silently slowed.

``python -m hack.demo.load --gateway 10.96.0.20 --host california.models.example.com --rate 100 --duration 60``
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import itertools
import json
import math
import sys
import time
import uuid
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from hack.demo import data

REVISION_HEADER = "x-sluice-revision"
NO_REVISION = "none"
"""Counted for answers that no revision gave, such as the gateway's own errors."""
NO_ANSWER = 0
"""Counted as the status of a request that got no answer: refused, reset or timed out."""
NEWEST = 20_000
"""Latencies kept for percentiles, the newest first to stay."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request."""

    sent: float
    """When it left, in seconds on the monotonic clock; and when its answer was there, or given up."""
    arrived: float
    revision: str
    """Whose answer it is by its header; NO_REVISION if it says nothing."""
    status: int
    """Of HTTP; NO_ANSWER if there is none."""
    content: bytes = b""
    trouble: str = ""
    """Why there is no answer: the name of the client's error."""

    @property
    def latency(self) -> float:
        """Seconds."""
        return self.arrived - self.sent

    @property
    def good(self) -> bool:
        """Whether the model did what it was asked for."""
        return 200 <= self.status < 300


@dataclass
class Seen:
    """What one revision answered."""

    first: float
    """When its first answer came, in seconds on the monotonic clock; and its last."""
    last: float
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers by HTTP status."""
    latencies: array[float] = field(default_factory=lambda: array("d"))
    """Seconds, in order of arrival, at most NEWEST of them."""
    predictions: array[float] = field(default_factory=lambda: array("d"))
    """The first number of each good answer, likewise."""

    @property
    def answers(self) -> int:
        """All answers, good and bad."""
        return self.statuses.total()

    @property
    def failures(self) -> int:
        """Answers that are no success."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status < 300)

    def percentile(self, percent: float) -> float:
        """A latency in seconds, by nearest rank; NaN when there are none."""
        ordered = sorted(self.latencies)
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else math.nan


class Tally:
    """Counts of answers, in all and by revision."""

    def __init__(self) -> None:
        self.revisions: dict[str, Seen] = {}
        self.sent = 0
        self.held_back = 0
        """Requests that were due but not sent, because too many were in flight."""
        self._arrivals: dict[str, array[float]] = {}

    def record(self, revision: str, status: int, latency: float, now: float, prediction: float | None = None) -> None:
        """Count one answer, ``latency`` in seconds."""
        seen = self.revisions.setdefault(revision, Seen(now, now))
        seen.last = max(seen.last, now)
        seen.statuses[status] += 1
        _append(seen.latencies, latency)
        if prediction is not None:
            _append(seen.predictions, prediction)
        self._arrivals.setdefault(revision, array("d")).append(now)

    def between(self, revision: str, start: float, end: float) -> int:
        """How many answers a revision gave from ``start`` up to ``end``, on the monotonic clock."""
        arrivals = self._arrivals.get(revision, array("d"))
        return bisect_left(arrivals, end) - bisect_left(arrivals, start)

    def share(self, revision: str, now: float, seconds: float) -> float:
        """Its part of all answers in the last ``seconds``, in [0, 1]; 0 when there were none."""
        total = sum(self.between(name, now - seconds, now) for name in self._arrivals)
        return self.between(revision, now - seconds, now) / total if total else 0.0

    @property
    def failures(self) -> int:
        """Requests without a good answer."""
        return sum(seen.failures for seen in self.revisions.values())

    def document(self) -> dict[str, Any]:
        """All of it for people and programs; latencies in milliseconds."""
        return {
            "sent": self.sent,
            "heldBack": self.held_back,
            "failures": self.failures,
            "revisions": {
                name: {
                    "answers": seen.answers,
                    "statuses": {str(status): count for status, count in sorted(seen.statuses.items())},
                    **{f"p{p}Ms": round(seen.percentile(p) * 1000, 1) for p in (50, 95, 99)},
                    "seconds": round(seen.last - seen.first, 1),
                }
                for name, seen in sorted(self.revisions.items())
            },
        }


def _append(newest: array[float], value: float) -> None:
    newest.append(value)
    if len(newest) > NEWEST:
        del newest[: NEWEST // 10]


@dataclass(frozen=True)
class Target:
    """Where requests go, and which model they ask."""

    gateway: str
    """Address of the gateway, host or host:port."""
    host: str
    """The Host header, by which the gateway knows the model."""
    model: str = "california"

    def __post_init__(self) -> None:
        address = ipaddress.ip_address(self.gateway.partition(":")[0])
        if not (address.is_loopback or address.is_private):
            raise ValueError(f"{self.gateway} is a public address; the load is for one's own cluster only")

    @property
    def url(self) -> str:
        """The address of the model's V1 predict call."""
        return f"http://{self.gateway}/v1/models/{self.model}:predict"


class Load:
    """A running load; ``async with Load(...) as load`` starts and stops it."""

    def __init__(
        self,
        target: Target,
        bodies: Sequence[bytes],
        *,
        rate: float,
        in_flight: int = 512,
        timeout: float = 10.0,
        heard: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        """Send ``bodies`` over and over, ``rate`` of them a second, each awaited for ``timeout`` seconds.

        ``heard`` is called with what came of each request, exactly once for each.
        """
        self.tally = Tally()
        self._heard = heard
        self._target = target
        self._bodies = bodies
        self._rate = rate
        self._in_flight = in_flight
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._pending: set[asyncio.Task[None]] = set()
        self._pacer: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Load:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout, connector=aiohttp.TCPConnector(limit=self._in_flight)
        )
        self._pacer = asyncio.create_task(self._pace(self._session))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pacer is not None:
            self._pacer.cancel()
        if self._pending:
            await asyncio.wait(self._pending)
        if self._session is not None:
            await self._session.close()

    async def _pace(self, session: aiohttp.ClientSession) -> None:
        started = time.monotonic()
        for number, body in enumerate(itertools.cycle(self._bodies)):
            # Also when late: a pace that never yields while it catches up leaves nobody to read the answers.
            await asyncio.sleep(max(0.0, started + number / self._rate - time.monotonic()))
            if len(self._pending) >= self._in_flight:
                self.tally.held_back += 1
                continue
            task = asyncio.create_task(self._ask(session, body))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def _ask(self, session: aiohttp.ClientSession, body: bytes) -> None:
        headers = {"host": self._target.host, "content-type": "application/json", "x-request-id": str(uuid.uuid4())}
        sent = time.monotonic()
        self.tally.sent += 1
        try:
            async with session.post(self._target.url, data=body, headers=headers) as answer:
                content = await answer.read()
                revision = answer.headers.get(REVISION_HEADER, NO_REVISION)
                came = Answer(sent, time.monotonic(), revision, answer.status, content)
        except (aiohttp.ClientError, TimeoutError) as error:
            came = Answer(sent, time.monotonic(), NO_REVISION, NO_ANSWER, trouble=type(error).__name__)
        prediction = _prediction(came.content) if came.status == 200 else None
        self.tally.record(came.revision, came.status, came.latency, came.arrived, prediction)
        self._heard(came)


def _prediction(content: bytes) -> float | None:
    try:
        return float(json.loads(content)["predictions"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def bodies() -> list[bytes]:
    """V1 requests of one live row each."""
    return [json.dumps({"instances": [row]}).encode() for row in data.load().live.tolist()]


async def run(target: Target, rate: float, seconds: float) -> Tally:
    """Load a target for a while."""
    async with Load(target, bodies(), rate=rate) as load:
        await asyncio.sleep(seconds)
    return load.tally


def _table(document: dict[str, Any]) -> str:
    lines = [f"{document['sent']} sent, {document['failures']} failed, {document['heldBack']} held back"]
    for name, seen in document["revisions"].items():
        statuses = ", ".join(f"{count} x {status}" for status, count in seen["statuses"].items())
        latency = f"p50 {seen['p50Ms']} ms, p95 {seen['p95Ms']} ms, p99 {seen['p99Ms']} ms"
        lines.append(f"{name}: {seen['answers']} answers ({statuses}); {latency}")
    return "\n".join(lines)


def main() -> int:
    """Load a gateway for a while and print the count; 1 if any request failed."""
    parser = argparse.ArgumentParser("python -m hack.demo.load", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gateway", required=True, help="address of the gateway: loopback or the cluster's own")
    parser.add_argument("--host", required=True, help="Host header, for example california.models.example.com")
    parser.add_argument("--model", default="california", help="model name in the path (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=100, help="requests a second (default: %(default)s)")
    parser.add_argument("--duration", type=float, default=60, help="seconds (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the count as JSON")
    options = parser.parse_args()
    tally = asyncio.run(run(Target(options.gateway, options.host, options.model), options.rate, options.duration))
    document = tally.document()
    print(json.dumps(document, indent=2) if options.json else _table(document))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
