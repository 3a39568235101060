"""Whether a release loses a request: a promotion and a rollback under load, counted by the client.

    uv run python -m bench.traffic [--requests 20000] [--rate 200]

Real: the whole local cluster, which must run (`make cluster`), with the chart as the demo installs it. The load goes
through the real gateway at a steady rate, whether or not answers come back. Half of the requests or more are sent
while one version replaces another step by step and the old workload is removed, and as many while a bad one is
rolled back by its service levels and removed. One lost request makes the exit code 1. What is made for it is removed
at the end. About six minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bench import models
from bench.ledger import BadModel, Demand, Ledger, Phase, complaints, line
from hack.demo import acts, load, referee
from hack.demo.ground import CommandError, Ground, running
from hack.demo.load import Load, Target
from hack.demo.observation import Observation, read

NAME = "traffic"
NAMESPACE = "bench"
HOST = "traffic.bench.example.com"
WEIGHTS = (5, 25, 50)
HOLD = "15s"
MAX_MS = "1000"
KEPT = "20s"
"""How long the version that was replaced keeps running."""
AT_REST = 30.0
"""Seconds of load before anything is released, to hold the rest against."""
PATIENCE = 300.0
"""Seconds until something counts as stuck."""
GLANCE = 0.25
"""Seconds between two looks."""


class BenchError(Exception):
    """The measurement cannot go on; the message says why."""


@dataclass(frozen=True)
class Breach:
    """When users were rid of a bad model, all by the client's own counts."""

    gauges: tuple[str, ...]
    """Whose limits its answers exceeded first."""
    seconds: float
    """From then until the last request left that it answered."""


def deployment(version: str, model: str, gateway: str) -> dict[str, Any]:
    """The ModelDeployment, for the Gateway ``namespace/name``."""
    namespace, _, name = gateway.partition("/")
    steps: list[dict[str, Any]] = [{"weight": weight, "hold": HOLD} for weight in WEIGHTS]
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "model": {"name": model, "version": version},
            "serving": {
                "modelFormat": "sklearn",
                "resources": {
                    "requests": {"cpu": "50m", "memory": "256Mi"},
                    "limits": {"cpu": "1", "memory": "512Mi"},
                },
            },
            "traffic": {"gateway": {"name": name, "namespace": namespace}, "hostnames": [HOST]},
            "rollout": {
                "steps": [*steps, {"weight": 100}],
                "progressDeadline": "10m",
                "rollbackWindow": KEPT,
            },
            "monitors": [
                {"name": "error-rate", "kind": "ModelMonitor"},
                {"name": "latency-p99", "kind": "ModelMonitor", "parameters": {"maxMs": MAX_MS}},
            ],
        },
    }


def limits() -> referee.Limits:
    """What the client judges by: the same limits as Sluice's gauges. Drift is no matter here."""
    uses = [{"name": "latency-p99", "parameters": {"maxMs": MAX_MS}}]
    found = referee.limits([*acts.gauges(), acts.drift_gauge()], uses)
    return replace(found, effect_samples=sys.maxsize)


class Traffic:
    """One measurement on one cluster."""

    def __init__(self, place: Ground, demand: Demand) -> None:
        self.ledger = Ledger(BadModel(f"{NAME}-r3", models.WORDS))
        self.steps: list[str] = []
        """Of the promotion, as the gateway carried them out."""
        self.breach: Breach | None = None
        self._ground = place
        self._demand = demand
        self._model = f"bench-traffic-{int(time.time())}"  # a name of its own: a registered version never changes
        self._seen: Observation | None = None

    async def measure(self) -> None:
        """Release, load, promote, roll back, and clear away.

        Raises:
            BenchError: something did not go as it should, apart from lost requests.
            CommandError: a command failed.
        """
        async with contextlib.AsyncExitStack() as stack:
            say("training and registering the models, and installing the chart as the demo does")
            await self._ground.run(sys.executable, "-m", "hack.demo.train", f"--tracking-uri={self._ground.mlflow}")
            await self._ground.install()
            stack.push_async_callback(self._clear)
            await self._models("register")
            await self._stage()
            following = asyncio.create_task(self._follow())
            stack.callback(following.cancel)
            await self._release("1", lambda seen: seen.ready and _ended(seen))
            target = Target(self._ground.gateway_address, HOST, NAME)
            async with Load(target, load.bodies(), rate=self._demand.rate, heard=self.ledger.take) as client:
                try:
                    await self._under_load(client)
                finally:
                    self.ledger.end(time.monotonic())
            if client.tally.held_back:
                say(f"{client.tally.held_back} requests were due and not sent, because too many were on their way")

    async def _under_load(self, client: Load) -> None:
        rest = self._begin(f"at rest ({self._demand.rate:.0f} requests a second wanted, nothing released)")
        await asyncio.sleep(AT_REST)
        if wrong := complaints([replace(rest, ended=time.monotonic())], replace(self._demand, requests=0)):
            raise BenchError("; ".join(wrong))

        self._begin("promotion (v1 → v2, v1 retired)")
        await self._release("2", _ended)
        if not self._ending(promoted=True):
            raise BenchError(f"version 2 was not promoted: {self._message()}")
        await self._gone(f"{NAME}-r1")
        await self._enough()

        self._begin("rollback (v2 → v3, v3 rolled back and retired)")
        watching = asyncio.create_task(self._await_breach(client))
        await self._release("3", _ended)
        if not self._ending(promoted=False):
            raise BenchError(f"version 3 was promoted: {self._message()}")
        await self._gone(f"{NAME}-r3")
        await self._enough()
        watching.cancel()

    def _begin(self, name: str) -> Phase:
        say(name)
        return self.ledger.begin(name, time.monotonic())

    async def _release(self, version: str, over: Callable[[Observation], bool]) -> None:
        """Apply a version and wait until its release is over."""
        generation = await self._ground.apply(deployment(version, self._model, self._ground.gateway))

        def ended() -> bool:
            seen = self._seen
            if seen is None or seen.generation < generation or not seen.settled:
                return False
            return over(seen)

        await self._until(f"the release of version {version} is over", ended)

    async def _until(self, what: str, ask: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ask():
            if time.monotonic() > deadline:
                raise BenchError(f"not within {PATIENCE:.0f} s: {what}; {self._message()}")
            await asyncio.sleep(GLANCE)

    async def _gone(self, revision: str) -> None:
        """Wait until the last pod of a revision is gone."""
        selector = f"--selector=serving.kserve.io/inferenceservice={revision}"
        deadline = time.monotonic() + PATIENCE
        while (await self._ground.get("pods", selector, f"--namespace={NAMESPACE}"))["items"]:
            if time.monotonic() > deadline:
                raise BenchError(f"not within {PATIENCE:.0f} s: the pods of {revision} are gone; {self._message()}")
            await asyncio.sleep(2)
        say(f"the pods of {revision} are gone")

    async def _enough(self) -> None:
        """Go on until the phase has its requests, and a little longer: what a removal breaks shows after it."""
        phase = self.ledger.phases[-1]
        await asyncio.sleep(5)
        await self._until("there were requests enough", lambda: phase.requests >= self._demand.requests)

    async def _await_breach(self, client: Load) -> None:
        """Note when the bad version's answers first exceeded a limit, and when the last request went to it."""
        bad, stable, judging = f"{NAME}-r3", f"{NAME}-r2", limits()
        breached: float | None = None
        gauges: list[str] = []
        while True:
            if breached is None and (gauges := referee.breaches(client.tally, bad, stable, judging)):
                breached = time.monotonic()
                say(f"the client sees {bad} breach {', '.join(gauges)}")
            if breached is not None:
                self.breach = Breach(tuple(gauges), max(0.0, self.ledger.last_sent[bad] - breached))
            await asyncio.sleep(GLANCE)

    async def _follow(self) -> None:
        async for document in self._ground.watch(NAME, NAMESPACE):
            seen = self._seen = read(document)
            if seen.candidate == f"{NAME}-r2" and seen.started and seen.step_name not in self.steps[-1:]:
                self.steps.append(seen.step_name)

    def _ending(self, *, promoted: bool) -> bool:
        ending = self._seen.ending if self._seen is not None else None
        return ending is not None and ending.promoted is promoted

    def _message(self) -> str:
        return self._seen.message if self._seen is not None else "no status was seen"

    async def _models(self, act: str) -> None:
        uri = f"--tracking-uri={self._ground.mlflow}"
        await self._ground.run(sys.executable, "-m", "bench.models", uri, act, self._model)

    async def _stage(self) -> None:
        await self._ground.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for monitor in acts.gauges():
            monitor["metadata"]["namespace"] = NAMESPACE
            await self._ground.apply(monitor)

    async def _clear(self) -> None:
        say("removing what was made for this")
        kubectl = self._ground.kubectl
        options = ("--ignore-not-found", "--wait", "--timeout=120s")
        owned = (f"--namespace={NAMESPACE}", "--cascade=foreground")
        with contextlib.suppress(CommandError):
            await self._ground.run(kubectl, "delete", "modeldeployment", NAME, *owned, *options)
        await self._ground.run(kubectl, "delete", "namespace", NAMESPACE, *options)
        with contextlib.suppress(CommandError):
            await self._models("remove")


def _ended(seen: Observation) -> bool:
    return seen.ending is not None


_STARTED = time.monotonic()


def say(text: str) -> None:
    """A line with the time since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    print(f"{minutes:02}:{seconds:02} {text}", flush=True)


def show(traffic: Traffic) -> None:
    """Print the figures."""
    for phase in traffic.ledger.phases:
        print(line(phase))
    print(f"steps of the promotion: {' → '.join(traffic.steps) or 'none'}")
    if traffic.breach is not None:
        gauges, seconds = ", ".join(traffic.breach.gauges), traffic.breach.seconds
        print(f"from the breach ({gauges}) to zero: {seconds:.1f} s until the last request that the bad model got")


def judged(traffic: Traffic, demand: Demand) -> list[str]:
    """What is wrong with a measurement that came to its end."""
    phases = traffic.ledger.phases
    wrong = complaints(phases[:1], replace(demand, requests=0)) + complaints(phases[1:], demand)
    expected = [f"{weight} %" for weight in (*WEIGHTS, 100)]
    if traffic.steps != expected:
        wrong.append(f"the promotion went by {traffic.steps}, not by {expected}")
    if traffic.breach is None:
        wrong.append("the client saw no breach, so there is no time from it to zero")
    return wrong


def main() -> int:
    """Measure and print; 0 if no request was lost, 1 if one was or a release went wrong, 2 without a cluster."""
    parser = argparse.ArgumentParser("python -m bench.traffic", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--requests", type=int, default=20_000, help="of both releases (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=200, help="requests a second (default: %(default)s)")
    options = parser.parse_args()
    demand = Demand(requests=-(-options.requests // 2), rate=options.rate)
    try:
        traffic = Traffic(running(), demand)
    except CommandError as error:
        print(error)
        return 2
    try:
        asyncio.run(traffic.measure())
    except (BenchError, CommandError) as error:
        lost = [f"{phase.name}: {phase.lost} requests were lost" for phase in traffic.ledger.phases if phase.lost]
        wrong = [str(error), *lost]
    else:
        wrong = judged(traffic, demand)
    show(traffic)
    for complaint in wrong:
        print(f"✗ {complaint}")
    if not wrong:
        print("✓ no request was lost")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
