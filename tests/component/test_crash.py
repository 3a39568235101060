"""A crash after any write, on a real API server: the next process carries on, to the same end.

A whole story is told once undisturbed: a first release, a second that is promoted, a third that is rolled back, and
both that were left are removed. Then it is told anew for writes in the midst of it, with a process that dies right
after that write. After every write of every telling, all that is kept is looked at. The simulated cluster of the unit
tests goes through a crash after every single write each time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hack.cluster.controlplane import ControlPlane
from sluice.core.objects import Object
from sluice.edges.kinds import HTTP_ROUTES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS, MODEL_REVISIONS
from tests.component.kube import Api
from tests.component.mortal import Succession
from tests.component.rig import Rig
from tests.component.rig import rig as make_rig
from tests.component.test_operator import deployment

pytestmark = pytest.mark.component

BAD = "scorer-r3"
EVERY = int(os.environ.get("SLUICE_CRASH_EVERY", "9"))
"""Die after each so-many-th write. To die after every single one takes some 6 minutes: ``SLUICE_CRASH_EVERY=1``. No
divisor of what the story repeats: 6 always met the same sorts of writes, and never one to a route."""


def release(rig: Rig, version: str) -> Object:
    """A deployment that is judged by its errors, takes two steps, and keeps what it replaced for a while."""
    item = deployment(rig, version, steps=[{"weight": 50, "hold": "10s"}, {"weight": 100}], rollbackWindow="40s")
    item["spec"]["monitors"] = [{"name": "errors", "kind": "ModelMonitor"}]
    return item


def monitor(rig: Rig) -> Object:
    slo = {"query": "errors", "total": "requests", "window": "5s", "limits": {"max": "0.05"}}
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelMonitor",
        "metadata": {"name": "errors", "namespace": rig.namespace},
        "spec": {"slo": slo},
    }


def series(rig: Rig, figures: dict[str, str]) -> list[dict[str, Any]]:
    """A vector of one figure for each revision."""
    return [
        {"metric": {"namespace": rig.namespace, "revision": name}, "value": [0, figure]}
        for name, figure in figures.items()
    ]


@dataclass(frozen=True)
class End:
    """How a story ended."""

    phase: str
    stable: str
    traffic: dict[str, int]
    weights: list[tuple[str, int]]
    services: list[str]
    records: dict[str, list[str]]
    """By revision: what its chain says, in order."""


async def tell(line: Succession) -> End:
    """The story."""
    rig = line.rig
    rig.prometheus.others["errors"] = series(rig, {"scorer-r1": "0", "scorer-r2": "0", BAD: "0.5"})
    rig.prometheus.others["requests"] = series(rig, {"scorer-r1": "1000", "scorer-r2": "1000", BAD: "1000"})
    await line.start()
    await line.state(monitor(rig))
    for version, phase, stable in (("1", "Healthy", "r1"), ("2", "Healthy", "r2"), ("3", "Degraded", "r2")):
        await line.state(release(rig, version))
        await line.until(f"version {version} is {phase}", is_so(rig, phase, f"scorer-{stable}"))
    await line.until("only what is stable runs", lambda: _only(rig, "scorer-r2"))
    return await end(rig)


def is_so(rig: Rig, phase: str, stable: str) -> Callable[[], Any]:
    async def ask() -> bool:
        item = await rig.get(MODEL_DEPLOYMENTS, "scorer")
        status = item.get("status", {})
        current = status.get("observedGeneration") == item["metadata"]["generation"]
        return bool(current and (status.get("phase"), status.get("stableRevision")) == (phase, stable))

    return ask


async def _only(rig: Rig, name: str) -> bool:
    return [item["metadata"]["name"] for item in await rig.kube.list(INFERENCE_SERVICES, rig.namespace)] == [name]


async def end(rig: Rig) -> End:
    status = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]
    backends = (await rig.get(HTTP_ROUTES, "scorer"))["spec"]["rules"][0]["backendRefs"]
    return End(
        phase=status["phase"],
        stable=status["stableRevision"],
        traffic={share["revision"]: share["weight"] for share in status["traffic"]},
        weights=[(backend["name"], backend["weight"]) for backend in backends],
        services=[item["metadata"]["name"] for item in await rig.kube.list(INFERENCE_SERVICES, rig.namespace)],
        records={
            item["metadata"]["name"]: [record["kind"] for record in item["status"]["records"]]
            for item in await rig.kube.list(MODEL_REVISIONS, rig.namespace)
        },
    )


async def told(platform: Api, control_plane: ControlPlane, life: int | None) -> tuple[Succession, End]:
    """The story in a namespace of its own, by a process that dies after so many writes."""
    name = f"crash-{life or 'never'}"
    platform.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    async with make_rig(control_plane, name) as rig:
        line = Succession(rig, life)
        return line, await tell(line)


def chosen(writes: list[str]) -> list[int]:
    """After which writes to die: each so-many-th, and the last of every sort that none of those is of."""
    numbers = set(range(1, len(writes) + 1, EVERY))
    sorts = [write.partition("/")[0] for write in writes]
    met = {sorts[number - 1] for number in numbers}
    last = {sort: number for number, sort in enumerate(sorts, 1)}
    return sorted(numbers | {number for sort, number in last.items() if sort not in met})


async def test_a_crash_right_after_a_write_leads_to_the_same_end_and_breaks_nothing_on_the_way(
    platform: Api, control_plane: ControlPlane
) -> None:
    undisturbed, expected = await told(platform, control_plane, None)
    assert undisturbed.witness.wrong == []
    assert undisturbed.witness.looks == len(undisturbed.kube.writes) > 30
    assert (expected.phase, expected.stable, expected.services) == ("Degraded", "scorer-r2", ["scorer-r2"])
    assert expected.traffic == {"scorer-r2": 100}
    assert expected.records[BAD][-2:] == ["RolledBack", "Retired"]

    at_once = asyncio.Semaphore(4)

    async def again(life: int) -> int:
        async with at_once:
            line, came = await told(platform, control_plane, life)
        where = f"dead after write {life}, {line.kube.writes[-1]}"
        assert line.witness.wrong == [], where
        assert came == expected, where
        assert len(line.kube.writes) == life, where  # which write comes n-th is for the watches to say
        return line.deaths

    lives = chosen(undisturbed.kube.writes)
    deaths = await asyncio.gather(*map(again, lives))
    assert sum(deaths) == len(lives)
