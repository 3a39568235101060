"""``make demo``: six releases of a real model on a real cluster, as a user would make them.

A load replays real rows through the gateway all the while. Each act is one ``kubectl apply``; what follows
is Sluice's doing, and is watched here only. The exit code is 0 if all six ended as they should.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from hack.demo import acts, data, ground, load, referee, summary
from hack.demo.acts import ACTS, NAME, NAMESPACE, Act
from hack.demo.ground import CommandError, Ground
from hack.demo.load import Load, Tally, Target
from hack.demo.observation import Observation, failing, read
from hack.demo.people import People
from hack.demo.record import Record
from hack.demo.summary import Row
from hack.demo.view import Scene, View, table, view

GLANCE = 0.5
"""Seconds between two looks at the client's counts."""


class Demo:
    """The demo on one cluster."""

    def __init__(self, place: Ground, shown: View, rate: float) -> None:
        self._ground = place
        self._view = shown
        self._rate = rate
        self._latest: Observation | None = None
        self._changes: asyncio.Queue[Observation] = asyncio.Queue()
        self.tally = Tally()
        self.rows: list[Row] = []
        self.reports: list[Path] = []
        self.people: People | None = None
        self.papers: list[Path] = []
        """Those of the act that is being played, if it needs any."""

    async def play(self, chosen: Sequence[Act]) -> None:
        """Play the acts in order, up to a good model that is not promoted."""
        async with _background(self._follow()), contextlib.AsyncExitStack() as stack:
            for act in chosen:
                self._view.say(f"act {act.number}: {act.title}   (kubectl apply -f {_shown(act.manifest)})")
                record = await self._play(act, stack)
                if record.candidate is not None and not act.promotes:
                    record.failing = failing(await self._ground.get(*_revision(record.candidate)))
                self.rows.append(summary.row(record, self.tally, self.people))
                self._view.say(" | ".join(self.rows[-1].cells()))
                await self._keep_reports(record)
                if act.promotes and not record.good:
                    self._view.say("the acts after this one need what it should have promoted; the demo ends here")
                    return

    async def _follow(self) -> None:
        async for document in self._ground.watch():
            self._latest = read(document)
            self._changes.put_nowait(self._latest)

    async def _play(self, act: Act, stack: contextlib.AsyncExitStack) -> Record:
        document = act.document(self._ground.gateway)
        limits = referee.limits([*acts.gauges(), acts.drift_gauge()], document["spec"]["monitors"])
        record = Record(act, time.monotonic(), limits, failures_before=self.tally.failures)
        generation = await self._ground.apply(document, act.asked_by)
        self.people = People(self._ground, self._view.say, lambda: self._latest) if act.asked_by else None
        if self.people is not None:
            await stack.enter_async_context(_background(self.people.decide()))
        try:
            while not self._over(record):
                with contextlib.suppress(TimeoutError):
                    seen = await asyncio.wait_for(self._changes.get(), GLANCE)
                    if seen.generation >= generation:
                        record.observe(seen, time.monotonic())
                record.look(self.tally, time.monotonic())
                await self._accompany(record, stack)
                self._view.show(Scene(act, self._latest, self.tally, self.rows))
        finally:
            if record.during_outage:
                await self._ground.prometheus("start")
        if self.people is not None and record.candidate is not None:
            await self.people.review(record.candidate)
            self.papers += self.people.papers
        return record

    def _over(self, record: Record) -> bool:
        now = time.monotonic()
        if now > record.started + record.act.patience:
            return True
        return record.ending is not None and (record.ending.promoted or record.silent(self.tally, now))

    async def _accompany(self, record: Record, stack: contextlib.AsyncExitStack) -> None:
        """What happens around a release: users come, Prometheus goes and returns."""
        seen, outage, now = self._latest, record.act.outage, time.monotonic()
        if seen is None or not seen.settled:
            return
        if seen.ready and not self.tally.sent:
            self._view.say(
                f"the model answers; from now on {self._rate:.0f} rows a second are asked through the gateway"
            )
            running = await stack.enter_async_context(self._load())
            self.tally = running.tally
        if outage is None:
            return
        if record.outage_began is None and seen.started and seen.weight >= outage.at_weight:
            await self._ground.prometheus("stop")
            self._view.say(f"Prometheus is stopped for {outage.seconds:.0f} s")
            record.outage_begins(seen, time.monotonic())
        elif record.during_outage and record.outage_began is not None and now > record.outage_began + outage.seconds:
            record.outage_ends(now)
            await self._ground.prometheus("start")
            self._view.say("Prometheus is started again")

    def _load(self) -> Load:
        target = Target(self._ground.gateway_address, f"{NAME}.models.example.com")
        return Load(target, load.bodies(), rate=self._rate)

    async def _keep_reports(self, record: Record) -> None:
        """Save the evidence of a roll-back beside the data, where it outlives the cluster."""
        for name, reading in record.failing.items():
            if reading.report is None:
                continue
            target = data.cache() / "demo" / f"act-{record.act.number}-{name}.html"
            with contextlib.suppress(CommandError):
                _write(target, await self._ground.page(urlsplit(reading.report).path))
                self.reports.append(target)


@contextlib.asynccontextmanager
async def _background(work: object) -> AsyncIterator[None]:
    assert asyncio.iscoroutine(work)
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def _revision(name: str) -> tuple[str, ...]:
    return ("modelrevision", name, f"--namespace={NAMESPACE}")


def _shown(path: Path) -> str:
    return str(path.relative_to(ground.REPOSITORY))


async def prepare(place: Ground, shown: View) -> None:
    """Train and register the models, install Sluice, and clear the stage."""
    shown.say("training the six versions and registering them in MLflow")
    for line in (
        await place.run(sys.executable, "-m", "hack.demo.train", f"--tracking-uri={place.mlflow}")
    ).splitlines():
        shown.say(line)
    shown.say("installing the chart (helm upgrade --install sluice . -n sluice-system)")
    await place.install()
    await place.clear()
    for document in (*acts.gauges(), acts.drift_gauge(), acts.policy(anchored=place.store is not None)):
        await place.apply(document)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m hack.demo", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--rate", type=float, default=50, help="rows a second (default: %(default)s)")
    every = ",".join(str(act.number) for act in ACTS)
    parser.add_argument("--acts", default=every, help="which acts to play; each needs those before it (default: all)")
    other = parser.add_argument_group("a cluster of your own", "the one of KUBECONFIG, if --gateway is given")
    other.add_argument("--gateway", metavar="NAMESPACE/NAME", help="its Gateway")
    other.add_argument("--gateway-address", metavar="IP[:PORT]", help="where the Gateway answers from here")
    other.add_argument("--mlflow", metavar="URL", help="MLflow from here")
    other.add_argument("--mlflow-inside", metavar="URL", help="MLflow from pods (default: the same)")
    other.add_argument("--prometheus-inside", metavar="URL", help="Prometheus from pods")
    other.add_argument("--prometheus-stop", metavar="COMMAND", default="false", help="how to stop Prometheus")
    other.add_argument("--prometheus-start", metavar="COMMAND", default="true", help="how to start it again")
    other.add_argument("--image", metavar="REGISTRY:TAG", default="localhost:dev", help="where Sluice's images are")
    return parser


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; ends with what is missing or wrong, before anything is done."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.gateway is None:
        return options
    wanted = {"--gateway-address", "--mlflow", "--prometheus-inside"}
    missing = sorted(name for name in wanted if getattr(options, name[2:].replace("-", "_")) is None)
    if "KUBECONFIG" not in os.environ:
        missing.insert(0, "KUBECONFIG in the environment")
    if missing:
        parser.error(f"a cluster of your own needs {', '.join(missing)} too")
    if not all(options.gateway.partition("/")):
        parser.error(f"--gateway {options.gateway}: write it as NAMESPACE/NAME")
    try:
        Target(options.gateway_address, "")
    except ValueError as error:
        parser.error(f"--gateway-address: {error}")
    return options


def _ground(options: argparse.Namespace) -> Ground:
    if options.gateway is None:
        return ground.own()
    return ground.given(
        gateway=options.gateway,
        address=options.gateway_address,
        mlflow=options.mlflow,
        mlflow_inside=options.mlflow_inside or options.mlflow,
        prometheus=options.prometheus_inside,
        switch=(options.prometheus_stop, options.prometheus_start),
        image=options.image,
    )


def _conclude(console: Console, demo: Demo, place: Ground, started: float) -> None:
    console.print(table(demo.rows))
    console.print(f"{demo.tally.sent} requests in {time.monotonic() - started:.0f} s. Where to look:", highlight=False)
    for line in (
        f"export KUBECONFIG={place.kubeconfig} PATH=$PATH:{Path(place.kubectl).parent}",
        f"kubectl get sluice -n {NAMESPACE}",
        f"kubectl describe md {NAME} -n {NAMESPACE}",
        f"kubectl get mrev -n {NAMESPACE} -o yaml     # each release's steps and verdicts",
        f"kubectl get events -n {NAMESPACE} --sort-by=.lastTimestamp",
        *(f"{report}     # why it was rolled back" for report in demo.reports),
        *(f"{paper}     # what a reviewer reads of the last release" for paper in demo.papers),
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def main() -> int:
    """Play the demo; 0 if every act ended as it should, 1 if not, 2 if it could not be played, 130 if interrupted."""
    options, console, started = _options(), _console(), time.monotonic()
    chosen = [act for act in ACTS if str(act.number) in options.acts.split(",")]
    try:
        place = _ground(options)
        with view(console) as shown:
            demo = Demo(place, shown, options.rate)
            asyncio.run(_whole(demo, place, shown, chosen))
    except CommandError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("interrupted; what was released stays as it is")
        return 130
    _conclude(console, demo, place, started)
    return summary.exit_code(demo.rows, len(chosen))


def _console() -> Console:
    # Into a file or a pipe a table is as wide as it needs to be.
    return Console() if sys.stdout.isatty() else Console(width=190)


async def _whole(demo: Demo, place: Ground, shown: View, chosen: Sequence[Act]) -> None:
    await prepare(place, shown)
    await demo.play(chosen)


if __name__ == "__main__":
    sys.exit(main())
