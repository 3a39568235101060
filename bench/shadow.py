"""Whether a shadow that hangs costs users anything: the stable model under load, before and meanwhile.

    uv run python -m bench.shadow [--rate 100]

Real: the whole local cluster, which must run (`make cluster`), with the chart as the demo installs it. Every request is
copied to a candidate that never answers, until its release is over by its deadline. Users must get every answer, and
from the stable model; what they waited is printed as a ratio to the time before, from the same run. One lost request,
or one answer of the shadow, makes the exit code 1. About four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from bench.ledger import BadModel, Demand, Ledger, complaints, line, percentile
from bench.stage import NAME, BenchError, Stage, ended, say
from hack.demo.ground import CommandError, running
from hack.demo.load import Load

HANGING = "4"
"""The version of the model that never answers."""
HOLD = "60s"
DEADLINE = "2m"
SHADOW = ({"shadow": {"percent": 100, "hold": HOLD}}, {"weight": 100})


class Shadow(Stage):
    """One release whose shadow hangs."""

    said = ""
    """What the deployment says of the release in the end."""

    async def _under_load(self, client: Load) -> None:
        del client  # its counts are in the ledger
        await self._rest()
        self._begin("beside a shadow that hangs")
        await self._release(HANGING, ended, steps=SHADOW, deadline=DEADLINE)
        self.said = self._message()
        if not self._ending(promoted=False):
            raise BenchError(f"a model that never answered was promoted: {self.said}")


def judged(ledger: Ledger, demand: Demand) -> list[str]:
    """What is wrong with a measurement that came to its end."""
    wrong = complaints(ledger.phases, demand)
    stable = f"{NAME}-r1"
    for phase in ledger.phases:
        if others := {name: count for name, count in phase.revisions.items() if name != stable and not phase.lost}:
            wrong.append(f"{phase.name}: answers that are not {stable}'s: {others}")
    return wrong


def show(shadow: Shadow) -> None:
    """Print the figures."""
    for phase in shadow.ledger.phases:
        print(line(phase))
    if len(shadow.ledger.phases) > 1:
        rest, beside = (phase.latencies for phase in shadow.ledger.phases[:2])
        ratios = (f"p{percent} {percentile(beside, percent) / percentile(rest, percent):.2f}" for percent in (50, 99))
        print(f"beside the shadow, of what users waited before: {', '.join(ratios)}")
    print(f"the release ended: {shadow.said or 'not at all'}")


def main() -> int:
    """Measure and print; 0 if users noticed nothing, 1 if one did or the release went wrong, 2 without a cluster."""
    parser = argparse.ArgumentParser("python -m bench.shadow", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--rate", type=float, default=100, help="requests a second (default: %(default)s)")
    demand = Demand(requests=0, rate=parser.parse_args().rate)
    try:
        shadow = Shadow(running(), demand, BadModel(f"{NAME}-r2", b""))
    except CommandError as error:
        print(error)
        return 2
    wrong = []
    try:
        asyncio.run(shadow.measure())
    except (BenchError, CommandError) as error:
        wrong.append(str(error))
    wrong += judged(shadow.ledger, demand)
    show(shadow)
    for complaint in wrong:
        print(f"✗ {complaint}")
    if not wrong:
        say("✓ users noticed nothing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
