"""Whether a shadow that hangs costs users anything: under load, beside a shadow that answers and one that hangs.

    uv run python -m bench.shadow [--rate 100]

Real: the whole local cluster, which must run (`make cluster`), with the chart as the demo installs it. Every request
is copied to a good candidate, which is promoted, and then to one that never answers, until it is taken back. Users
must get every answer, and beside the one that hangs from the stable model. What they waited is printed as a ratio to
the time beside the shadow that answers: a pod that starts costs a small machine something, whatever it does then. One
lost request, or one answer of the shadow that hangs, makes the exit code 1. About four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from bench.ledger import BadModel, Demand, Ledger, complaints, line, percentile
from bench.stage import NAME, BenchError, Stage, ended, say
from hack.demo.ground import CommandError, running
from hack.demo.load import Load

GOOD, HANGING = "2", "4"
"""Versions of the model."""
STABLE, BAD = f"{NAME}-r2", f"{NAME}-r3"
"""Revisions, when the one that hangs is released."""
HOLD = "20s"
DEADLINE = "3m"
SHADOW = ({"shadow": {"percent": 100, "hold": HOLD}}, {"weight": 100})


class Shadow(Stage):
    """Two releases that begin with a shadow."""

    said = ""
    """What the deployment says of the release in the end."""

    async def _under_load(self, client: Load) -> None:
        del client  # its counts are in the ledger
        await self._rest()
        self._begin("beside a shadow that answers")
        await self._release(GOOD, ended, steps=SHADOW, deadline=DEADLINE)
        if not self._ending(promoted=True):
            raise BenchError(f"version {GOOD} was not promoted: {self._message()}")
        await self._gone(f"{NAME}-r1")
        self._begin("beside a shadow that hangs")
        await self._release(HANGING, ended, steps=SHADOW, deadline=DEADLINE)
        self.said = self._message()
        if not self._ending(promoted=False):
            raise BenchError(f"a model that never answered was promoted: {self.said}")


def judged(ledger: Ledger, demand: Demand) -> list[str]:
    """What is wrong with a measurement that came to its end."""
    wrong = complaints(ledger.phases, demand)
    last = ledger.phases[-1] if ledger.phases else None
    if last is not None and not last.lost and (others := sorted(last.revisions.keys() - {STABLE})):
        wrong.append(f"{last.name}: answers of {', '.join(others)} and not of {STABLE}")
    return wrong


def show(shadow: Shadow) -> None:
    """Print the figures."""
    phases = shadow.ledger.phases
    for phase in phases:
        print(line(phase))
    if len(phases) > 2:
        beside, hanging = (phase.latencies for phase in phases[1:])
        ratios = (
            f"p{percent} {percentile(hanging, percent) / percentile(beside, percent):.2f}" for percent in (50, 99)
        )
        print(f"beside the shadow that hangs, of what users waited beside the other: {', '.join(ratios)}")
    print(f"the release ended: {shadow.said or 'not at all'}")


def main() -> int:
    """Measure and print; 0 if all users were answered, 1 if not or a release went wrong, 2 without a cluster."""
    parser = argparse.ArgumentParser("python -m bench.shadow", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--rate", type=float, default=100, help="requests a second (default: %(default)s)")
    demand = Demand(requests=0, rate=parser.parse_args().rate)
    try:
        shadow = Shadow(running(), demand, BadModel(BAD, b""))
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
        say("✓ no request was lost, and none was answered by the shadow that hangs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
