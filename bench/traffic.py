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
import sys
import time
from dataclasses import dataclass, replace

from bench import models
from bench.ledger import BadModel, Demand, complaints, line
from bench.stage import GLANCE, LATENCY, NAME, WEIGHTS, BenchError, Stage, ended, say
from hack.demo import acts, referee
from hack.demo.ground import CommandError, Ground, running
from hack.demo.load import Load
from hack.demo.observation import Observation


@dataclass(frozen=True)
class Breach:
    """When users were rid of a bad model, all by the client's own counts."""

    gauges: tuple[str, ...]
    """Whose limits its answers exceeded first."""
    seconds: float
    """From then until the last request left that it answered."""


def limits() -> referee.Limits:
    """What the client judges by: the same limits as Sluice's gauges. Drift is no matter here."""
    uses = [{"name": "latency-p99", "parameters": LATENCY}]
    found = referee.limits([*acts.gauges(), acts.drift_gauge()], uses)
    return replace(found, effect_samples=sys.maxsize)


class Traffic(Stage):
    """A promotion and a rollback."""

    def __init__(self, place: Ground, demand: Demand) -> None:
        super().__init__(place, demand, BadModel(f"{NAME}-r3", models.WORDS))
        self.steps: list[str] = []
        """Of the promotion, as the gateway carried them out."""
        self.breach: Breach | None = None

    async def _under_load(self, client: Load) -> None:
        await self._rest()
        self._begin("promotion (v1 → v2, v1 retired)")
        await self._release("2", ended)
        if not self._ending(promoted=True):
            raise BenchError(f"version 2 was not promoted: {self._message()}")
        await self._gone(f"{NAME}-r1")
        await self._enough()

        self._begin("rollback (v2 → v3, v3 rolled back and retired)")
        watching = asyncio.create_task(self._await_breach(client))
        await self._release("3", ended)
        if not self._ending(promoted=False):
            raise BenchError(f"version 3 was promoted: {self._message()}")
        await self._gone(f"{NAME}-r3")
        await self._enough()
        watching.cancel()

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

    def _watched(self, seen: Observation) -> None:
        if seen.candidate == f"{NAME}-r2" and seen.started and seen.step_name not in self.steps[-1:]:
            self.steps.append(seen.step_name)


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
