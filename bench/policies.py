"""What the edit of a policy costs the releases under way: every deployment is judged anew, and nothing may wait for it.

    uv run python -m bench.policies [--deployments 300] [--canaries 20]

Real: etcd, kube-apiserver, the CRDs, the operator in a process of its own. Played: pods, gateway controller,
MLflow and Prometheus. The same deeds are timed before the edit and while it is being followed, in one run.
Takes about five minutes, ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterable

from bench.engine import NAMESPACE, TICK, Gauges, api_server, deployment, engine, gather, seconds_until
from sluice.core.objects import Object
from sluice.edges.kinds import GOVERNANCE_POLICIES, HTTP_ROUTES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS
from tests.component.rig import Rig

CONTROLS = ("GOV-INV-01", "GOV-INV-02", "GOV-DOC-01", "GOV-SUP-01", "GOV-ROL-01", "GOV-MON-02", "GOV-AUD-01")
DEEDS = 8
"""How often each deed is timed before the edit, and again after it."""


def policy(description: str) -> Object:
    """A policy over all deployments that warns and holds nothing back; its digest depends on the description."""
    return {
        "apiVersion": GOVERNANCE_POLICIES.api_version,
        "kind": GOVERNANCE_POLICIES.kind,
        "metadata": {"name": "everywhere"},
        "spec": {"description": description, "controls": [{"id": name, "mode": "Warn"} for name in CONTROLS]},
    }


class Bench:
    """One run: the first ``canaries`` deployments are released in steps, the others rest."""

    def __init__(self, rig: Rig, gauges: Gauges, deployments: int, canaries: int) -> None:
        self._rig = rig
        self._gauges = gauges
        self._every = range(deployments)
        self._canaries = self._under_way = range(canaries)
        self._breaches = iter(self._canaries)
        self._changes = iter(self._every[canaries:])

    async def run(self) -> None:
        """Build up, time the deeds at rest, edit the policy, time them again."""
        await self._release(self._every, "1")
        for number in self._every:
            await self._rig.phase(f"model-{number}", "Healthy", 180)
        await self._release(self._canaries, "2")
        await self._rig.kube.apply(GOVERNANCE_POLICIES, policy("first edition"))
        await seconds_until(lambda: self._follow(self._every), 180)
        before = await self._deeds()
        self._under_way = self._canaries[2 * DEEDS :]  # the others are taken back, before the edit or after
        edited = await self._rig.kube.apply(GOVERNANCE_POLICIES, policy("second edition"))
        started = time.perf_counter()
        (first, last), after = await asyncio.gather(self._followed(edited), self._deeds())
        print(f"{len(self._every)} deployments judged anew after a policy's edit: {last:.1f} s")
        print(f"  the {len(self._under_way)} releases in progress among them: {first:.1f} s")
        print(f"deeds timed meanwhile: {time.perf_counter() - started:.1f} s for all of them")
        for what, limit in (("spec change to InferenceService", 1.0), ("breach to route written", TICK + 2)):
            rest, busy = before[what], after[what]
            print(
                f"{what}: before median {statistics.median(rest):.2f} s, most {max(rest):.2f} s; "
                f"meanwhile median {statistics.median(busy):.2f} s, most {max(busy):.2f} s (limit {limit:.0f}); "
                f"in their order {', '.join(f'{seconds:.2f}' for seconds in busy)}"
            )

    async def _release(self, numbers: Iterable[int], version: str) -> None:
        kube = self._rig.kube
        await gather(8, [lambda n=n: kube.apply(MODEL_DEPLOYMENTS, deployment(n, version)) for n in numbers])  # type: ignore[misc]
        await gather(8, [lambda n=n: self._rig.ready(f"model-{n}-r{version}") for n in numbers])  # type: ignore[misc]

    async def _followed(self, edited: Object) -> tuple[float, float]:
        """Seconds until all releases in progress, and until all deployments, are judged under the edited policy."""
        digest = await self._digest(edited)
        started = time.perf_counter()
        releases = await seconds_until(lambda: self._follow(self._under_way, digest), 180)
        await seconds_until(lambda: self._follow(self._every, digest), 300)
        return releases, time.perf_counter() - started

    async def _digest(self, edited: Object) -> str:
        found: list[str] = []

        async def said() -> bool:
            status = (await self._rig.kube.get(GOVERNANCE_POLICIES, None, "everywhere")).get("status", {})
            if status.get("observedGeneration") == edited["metadata"]["generation"]:
                found.append(status["digest"])
            return bool(found)

        await seconds_until(said)
        return found[0]

    async def _follow(self, numbers: Iterable[int], digest: str | None = None) -> bool:
        """Whether deployments are judged under the policy; with ``digest``, in that form of it."""
        names = {f"model-{number}" for number in numbers}
        await asyncio.sleep(0.2)  # a list of all is no small question
        for item in await self._rig.kube.list(MODEL_DEPLOYMENTS, NAMESPACE):
            if item["metadata"]["name"] in names:
                pinned = item.get("status", {}).get("governance", {}).get("policies", [])
                if not pinned or (digest and pinned[0]["digest"] != digest):
                    return False
        return True

    async def _deeds(self) -> dict[str, list[float]]:
        """Changes of specs and breaches in turn, each with the seconds until it was acted on."""
        taken: dict[str, list[float]] = {"spec change to InferenceService": [], "breach to route written": []}
        for _ in range(DEEDS):
            taken["spec change to InferenceService"].append(await self._change(next(self._changes)))
            taken["breach to route written"].append(await self._breach(next(self._breaches)))
        return taken

    async def _change(self, number: int) -> float:
        await self._rig.kube.apply(MODEL_DEPLOYMENTS, deployment(number, "2"))

        async def written() -> bool:
            return bool(await self._rig.get(INFERENCE_SERVICES, f"model-{number}-r2"))

        return await seconds_until(written)

    async def _breach(self, number: int) -> float:
        self._gauges.breached = f"model-{number}"

        async def out() -> bool:
            route = await self._rig.get(HTTP_ROUTES, f"model-{number}")
            return bool(route["spec"]["rules"][0]["backendRefs"][1]["weight"] == 1)

        return await seconds_until(out)


async def measure(deployments: int, canaries: int) -> None:
    """Start what is played and the operator, and measure."""
    async with engine(deployments) as (rig, gauges, _pid):
        await Bench(rig, gauges, deployments, canaries).run()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser("python -m bench.policies", description=__doc__)
    parser.add_argument("--deployments", type=int, default=300, help="how many in all (default: %(default)s)")
    parser.add_argument("--canaries", type=int, default=20, help="in the middle of a release (default: %(default)s)")
    options = parser.parse_args()
    if options.canaries <= 2 * DEEDS or options.deployments < options.canaries + 2 * DEEDS:
        parser.error(f"more than {2 * DEEDS} canaries and {2 * DEEDS} deployments beside them are needed")
    with api_server():
        asyncio.run(measure(options.deployments, options.canaries))


if __name__ == "__main__":
    main()
