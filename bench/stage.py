"""Stage: a deployment under load on the whole local cluster, for measurements of what a release costs requests."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bench.ledger import BadModel, Demand, Ledger, Phase, complaints
from hack.demo import acts, load
from hack.demo.ground import CommandError, Ground
from hack.demo.load import Load, Target
from hack.demo.observation import Observation, read

NAME = "traffic"
NAMESPACE = "bench"
HOST = "traffic.bench.example.com"
WEIGHTS = (5, 25, 50)
HOLD = "15s"
LATENCY = {"maxMs": "1000", "maxDifferenceMs": "500"}
"""A machine that also runs the cluster answers slowly at times, whichever model is asked."""
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


CANARY: tuple[dict[str, Any], ...] = (*({"weight": weight, "hold": HOLD} for weight in WEIGHTS), {"weight": 100})
"""The steps of a release."""


def deployment(
    version: str, model: str, gateway: str, steps: Sequence[dict[str, Any]] = CANARY, deadline: str = "10m"
) -> dict[str, Any]:
    """The ModelDeployment, for the Gateway ``namespace/name``."""
    namespace, _, name = gateway.partition("/")
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
                "steps": list(steps),
                "progressDeadline": deadline,
                "rollbackWindow": KEPT,
            },
            "monitors": [
                {"name": "error-rate", "kind": "ModelMonitor"},
                {"name": "latency-p99", "kind": "ModelMonitor", "parameters": LATENCY},
            ],
        },
    }


class Stage:
    """A deployment under load on one cluster: what comes before and after what is measured."""

    def __init__(self, place: Ground, demand: Demand, bad: BadModel) -> None:
        self.ledger = Ledger(bad)
        self._ground = place
        self._demand = demand
        self._model = f"bench-traffic-{int(time.time())}"  # a name of its own: a registered version never changes
        self._seen: Observation | None = None

    async def measure(self) -> None:
        """Release a good version, load it, do what is to be measured, and clear away.

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
            await self._release("1", lambda seen: seen.ready and ended(seen))
            target = Target(self._ground.gateway_address, HOST, NAME)
            async with Load(target, load.bodies(), rate=self._demand.rate, heard=self.ledger.take) as client:
                try:
                    await self._under_load(client)
                finally:
                    self.ledger.end(time.monotonic())
            if client.tally.held_back:
                say(f"{client.tally.held_back} requests were due and not sent, because too many were on their way")

    async def _under_load(self, client: Load) -> None:
        raise NotImplementedError

    async def _rest(self) -> None:
        """Let the load run for a while with nothing released, to hold the rest against."""
        rest = self._begin(f"at rest ({self._demand.rate:.0f} requests a second wanted, nothing released)")
        await asyncio.sleep(AT_REST)
        if wrong := complaints([replace(rest, ended=time.monotonic())], replace(self._demand, requests=0)):
            raise BenchError("; ".join(wrong))

    def _begin(self, name: str) -> Phase:
        say(name)
        return self.ledger.begin(name, time.monotonic())

    async def _release(self, version: str, over: Callable[[Observation], bool], **how: Any) -> None:
        """Apply a version and wait until its release is over; ``how`` is as for :func:`deployment`."""
        generation = await self._ground.apply(deployment(version, self._model, self._ground.gateway, **how))

        def over_by_now() -> bool:
            seen = self._seen
            if seen is None or seen.generation < generation or not seen.settled:
                return False
            return over(seen)

        await self._until(f"the release of version {version} is over", over_by_now)

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

    async def _follow(self) -> None:
        async for document in self._ground.watch(NAME, NAMESPACE):
            self._seen = read(document)
            self._watched(self._seen)

    def _watched(self, seen: Observation) -> None:
        """What is to be noted of each state of the deployment."""

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


def ended(seen: Observation) -> bool:
    return seen.ending is not None


_STARTED = time.monotonic()


def say(text: str) -> None:
    """A line with the time since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    print(f"{minutes:02}:{seconds:02} {text}", flush=True)
