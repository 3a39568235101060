"""The operator as a process of its own: who leads, how it ends, and what it tells about itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from hack.cluster.controlplane import ControlPlane, free_port
from sluice.edges.kinds import LEASES, MODEL_DEPLOYMENTS
from sluice.edges.lease import DEADLINE, DURATION
from tests.component.rig import Rig
from tests.component.test_operator import deployment

pytestmark = pytest.mark.component


@dataclass
class Process:
    """One ``python -m sluice``."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def ended(self, seconds: float) -> int:
        """Wait for its end; its exit code."""
        return await asyncio.wait_for(self.process.wait(), seconds)

    async def metric(self, name: str) -> float | None:
        """One of its figures; None if it has none, or does not answer."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.port}/metrics") as answer,
            ):
                lines = (await answer.text()).splitlines()
        except aiohttp.ClientError:
            return None
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), None)

    async def leads(self) -> bool:
        """Whether it holds the Lease."""
        return await self.metric("sluice_leader ") == 1

    async def follows(self) -> bool:
        """Whether it is up and waits."""
        return await self.metric("sluice_leader ") == 0


@dataclass
class Starter:
    """Starts operators for one namespace."""

    rig: Rig
    kubeconfig: Path
    directory: Path
    count: int = 0

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Process]:
        """A process that is killed, if it still runs, when the block ends."""
        self.count += 1
        port, log = free_port(), self.directory / f"operator-{self.count}.log"
        namespace = self.rig.namespace
        options = {
            "--lease-namespace": namespace,
            "--prometheus-url": self.rig.prometheus.url,
            "--tracking-uri": "http://127.0.0.1:9",
            "--port": str(port),
        }
        command = [word for option in options.items() for word in option]
        with log.open("w") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sluice", "--namespace", namespace, "--namespace", "gateways", *command),
                env=os.environ | {"KUBECONFIG": str(self.kubeconfig)},
                stdout=out,
                stderr=out,
            )
        try:
            yield Process(process, port, log)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.fixture
def starter(rig: Rig, control_plane: ControlPlane, tmp_path: Path) -> Starter:
    return Starter(rig, control_plane.kubeconfig, tmp_path)


async def until(ask: Callable[[], Awaitable[bool]], seconds: float = 30) -> float:
    """Wait until a question is answered with yes; how long that took."""
    began = asyncio.get_running_loop().time()
    while not await ask():
        assert asyncio.get_running_loop().time() - began < seconds
        await asyncio.sleep(0.1)
    return asyncio.get_running_loop().time() - began


async def test_a_leader_that_is_told_to_stop_hands_over_at_once(starter: Starter) -> None:
    async with starter.operator() as first:
        await until(first.leads)
        async with starter.operator() as second:
            await until(second.follows)
            first.process.send_signal(signal.SIGTERM)
            assert await first.ended(10) == 0, first.log.read_text()
            assert await until(second.leads) < DURATION / 2


async def test_a_leader_that_is_killed_is_followed_by_the_next(starter: Starter) -> None:
    async with starter.operator() as first:
        await until(first.leads)
        async with starter.operator() as second:
            await until(second.follows)
            first.process.kill()
            assert await until(second.leads, DURATION + 10) > DURATION / 2


async def test_a_leader_whose_lease_is_taken_ends(starter: Starter) -> None:
    async with starter.operator() as leader:
        await until(leader.leads)
        lease = await starter.rig.get(LEASES, "sluice-operator")
        theft = {"spec": {"holderIdentity": "someone", "leaseDurationSeconds": 3600}}
        for _ in range(20):
            try:
                await starter.rig.kube.merge_patch(LEASES, lease, theft)
                break
            except Exception:  # noqa: BLE001 - it was renewed in between
                lease = await starter.rig.get(LEASES, "sluice-operator")
        assert await leader.ended(DEADLINE) == 1
        assert "was taken by someone" in leader.log.read_text()


async def test_a_leader_whose_api_server_hangs_ends_before_another_may_lead(
    starter: Starter, control_plane: ControlPlane
) -> None:
    async with starter.operator() as leader:
        await until(leader.leads)
        server = control_plane.processes.record("kube-apiserver")
        assert server is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert await leader.ended(DURATION) == 1
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await until(lambda: asyncio.to_thread(control_plane.ready))


async def test_an_mlflow_that_is_away_is_a_condition_and_the_process_tells_about_itself(starter: Starter) -> None:
    async with starter.operator() as leader:
        await starter.rig.kube.apply(MODEL_DEPLOYMENTS, deployment(starter.rig, "1"))

        async def said() -> bool:
            status = (await starter.rig.get(MODEL_DEPLOYMENTS, "scorer")).get("status", {})
            return any(c["reason"] == "ModelRegistryUnavailable" for c in status.get("conditions", []))

        await until(said, 90)
        assert await leader.metric('sluice_build_info{version="') == 1
        assert await leader.metric('sluice_deployments{phase="Pending"}') == 1
        assert await leader.metric('sluice_api_writes_total{kind="ModelDeployment",verb="apply_status"}')
        assert '"logger": "sluice", "message": "leading"' in leader.log.read_text()
