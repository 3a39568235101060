"""Ground: the cluster that the demo plays on, and the commands that reach it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from hack.cluster import recordstore
from hack.demo import data, keys, sealing
from hack.demo.acts import NAME, NAMESPACE, REGISTRY_NAMES
from hack.demo.sealing import Store

REPOSITORY = Path(__file__).parents[2]
RELEASE = "sluice"
RELEASE_NAMESPACE = "sluice-system"
_CHUNK = 1 << 16


class CommandError(Exception):
    """A command failed; ``said`` is what it said, and the message names the command too."""

    def __init__(self, said: str, *command: str) -> None:
        super().__init__(f"{' '.join(command)}: {said}" if command else said)
        self.said = said


@dataclass(frozen=True)
class Ground:
    """A cluster with KServe, a Gateway, Prometheus and MLflow."""

    kubeconfig: str
    kubectl: str
    helm: str
    gateway: str
    """The Gateway as ``namespace/name``."""
    gateway_address: str
    mlflow: str
    """MLflow's address from here; and from the cluster's pods."""
    mlflow_inside: str
    prometheus_inside: str
    prometheus_switch: dict[str, tuple[str, ...]]
    """Commands that ``stop`` and ``start`` Prometheus."""
    registry: str
    tag: str
    builds: tuple[str, ...]
    """Identities of the images behind the tag: other ones make Helm replace the pods."""
    store: Store | None = None
    """Where the heads of records are anchored."""
    brings_runtime: bool = False
    """Whether the demo must tell KServe of its model server, which the project's own cluster knows."""

    async def run(self, *command: str, stdin: str | None = None) -> str:
        """Run a command against this cluster and return what it printed.

        Raises:
            CommandError: it failed.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=REPOSITORY,
            env=self._environment(),
        )
        out, err = await process.communicate(stdin.encode() if stdin else None)
        if process.returncode != 0:
            raise CommandError((err or out).decode(errors="replace").strip(), *command)
        return out.decode()

    def _environment(self) -> dict[str, str]:
        # kubectl finds its plugin, `kubectl sluice`, on the path.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        anchor = self.store.environment if self.store is not None else {}
        return {**os.environ, **anchor, "KUBECONFIG": self.kubeconfig, "PATH": path}

    async def get(self, *arguments: str) -> dict[str, Any]:
        """``kubectl get`` as a document."""
        found: dict[str, Any] = json.loads(await self.run(self.kubectl, "get", *arguments, "--output=json"))
        return found

    async def apply(self, document: dict[str, Any], person: str | None = None) -> int:
        """``kubectl apply`` a document, as somebody else if a person is named; returns its generation."""
        command = (self.kubectl, "apply", "--filename=-", "--output=json", *([f"--as={person}"] if person else []))
        out = await self.run(*command, stdin=json.dumps(document))
        return int(json.loads(out)["metadata"].get("generation", 0))

    async def install(self, operator: Mapping[str, Any] | None = None) -> None:
        """Install or upgrade the chart as a user would, and wait until it runs; with more values for the operator.

        A registered version never changes, so the operator resolves it once. Here they may have been registered
        anew under their old numbers: the time of that is an annotation of its pods, which restarts them.
        """
        # Helm installs CRDs and never upgrades them.
        crds = (self.kubectl, "apply", "--server-side", "--force-conflicts", "--filename=crds/")
        await self.run(*crds)
        trusted = {keys.MODELS: keys.public(keys.MODELS).read_text()}
        governance = {"identities": REGISTRY_NAMES, "trustedKeys": trusted} | sealing.values(self.store)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RELEASE_NAMESPACE}}
        for document in (namespace, *sealing.secrets(RELEASE_NAMESPACE, self.store)):
            await self.apply(document)
        await self.run(
            *(self.helm, "upgrade", "--install", RELEASE, str(REPOSITORY)),
            *(f"--namespace={RELEASE_NAMESPACE}", "--create-namespace", "--wait", "--timeout=4m", "--values=-"),
            *self._values(await self._registered()),
            stdin=json.dumps({"global": {"governance": governance}, "operator": operator or {}}),
        )

    async def _registered(self) -> str:
        url = f"{self.mlflow}/api/2.0/mlflow/registered-models/get"
        async with aiohttp.request("GET", url, params={"name": NAME}) as answer:
            return str((await answer.json())["registered_model"]["creation_timestamp"])

    def _values(self, registered: str) -> list[str]:
        values = {
            "global.image.registry": self.registry,
            "global.image.tag": self.tag,
            "global.prometheus.url": self.prometheus_inside,
            "global.mlflow.trackingUri": self.mlflow_inside,
            "operator.podAnnotations.build": self.builds[0],
            "operator.podAnnotations.models": registered,
            "monitor.podAnnotations.build": self.builds[1],
        }
        return [f"--set-string={key}={value}" for key, value in values.items() if value]

    async def clear(self) -> None:
        """Remove what an earlier demo left, and wait until it is gone."""
        for name in ("namespace", "people"):
            await self.run(self.kubectl, "apply", f"--filename={REPOSITORY / f'hack/demo/manifests/{name}.yaml'}")
        if self.brings_runtime:
            await self.apply(runtime(f"{self.registry}/sluice-demo:{self.tag}"))
        await self._export()
        gone = ("--ignore-not-found", "--wait", "--timeout=120s", "--cascade=foreground")
        await self.run(self.kubectl, "delete", "modeldeployment", NAME, f"--namespace={NAMESPACE}", *gone)
        workloads = ("inferenceservices", "--all", f"--namespace={NAMESPACE}")
        await self.run(self.kubectl, "wait", "--for=delete", *workloads, "--timeout=120s")

    async def _export(self) -> None:
        """What is governed cannot be deleted before it was exported."""
        target = data.cache() / "demo" / "before.jsonl"
        target.parent.mkdir(parents=True, exist_ok=True)
        command = (self.kubectl, "sluice", "export", NAME, f"--namespace={NAMESPACE}", f"--out={target}", "--mark")
        with contextlib.suppress(CommandError):  # there is nothing to export
            await self.run(*command)

    async def prometheus(self, switch: str) -> None:
        """``stop`` or ``start`` Prometheus."""
        await self.run(*self.prometheus_switch[switch])

    async def watch(self, name: str = NAME, namespace: str = NAMESPACE) -> AsyncIterator[dict[str, Any]]:
        """The ModelDeployment at once and after every change, for ever."""
        command = ("get", "modeldeployment", name, f"--namespace={namespace}", "--watch", "--output=json")
        while True:
            process = await asyncio.create_subprocess_exec(
                self.kubectl,
                *command,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=self._environment(),
            )
            assert process.stdout is not None
            try:
                async for document in _documents(process.stdout):
                    yield document
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
            await asyncio.sleep(1)  # the API server ends a watch now and then

    async def page(self, path: str) -> str:
        """A page of the drift service, through the API server so that no port need be forwarded."""
        service = f"/api/v1/namespaces/{RELEASE_NAMESPACE}/services/{RELEASE}-monitor:80/proxy"
        return await self.run(self.kubectl, "get", f"--raw={service}{path}")


async def _documents(stream: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """JSON documents written one after the other, as ``kubectl --watch`` does."""
    decoder, text = json.JSONDecoder(), ""
    while chunk := await stream.read(_CHUNK):
        text = (text + chunk.decode()).lstrip()
        while text:
            try:
                document, end = decoder.raw_decode(text)
            except ValueError:
                break  # the rest of it is on its way
            yield document
            text = text[end:].lstrip()


_TOOL = (sys.executable, "-m", "hack.cluster")


def own() -> Ground:
    """The project's own cluster, started if it is down.

    Raises:
        CommandError: it cannot be started.
    """
    if subprocess.run([*_TOOL, "up"], cwd=REPOSITORY, env=_without_kubeconfig(), check=False).returncode != 0:
        raise CommandError("the cluster did not start; see above")
    return running()


def running() -> Ground:
    """The project's own cluster as it runs.

    Raises:
        CommandError: it is down, or something of it is.
    """
    status = subprocess.run(
        [*_TOOL, "status", "-o", "json"],
        cwd=REPOSITORY,
        env=_without_kubeconfig(),
        check=False,
        capture_output=True,
        text=True,
    )
    if status.returncode != 0:
        raise CommandError("the cluster is not up, or not all of it; start it, or what is missing: make cluster")
    facts = json.loads(status.stdout)
    image: str = facts["images"]["operator"]["tag"]
    repository, _, tag = image.rpartition(":")
    return Ground(
        kubeconfig=facts["kubeconfig"],
        kubectl=facts["kubectl"],
        helm=facts["helm"],
        gateway=facts["gateway"],
        gateway_address=facts["gatewayAddress"],
        mlflow=facts["mlflowUrl"],
        mlflow_inside=facts["mlflowClusterUrl"],
        prometheus_inside=facts["prometheusClusterUrl"],
        prometheus_switch={switch: (*_TOOL, switch, "prometheus") for switch in ("stop", "start")},
        registry=repository.rpartition("/")[0],
        tag=tag,
        builds=tuple(facts["images"][name]["fixed"].rpartition(":")[2] for name in ("operator", "monitor")),
        store=Store(facts["recordsUrl"], facts["recordsClusterUrl"], recordstore.ACCESS_KEY, recordstore.SECRET_KEY),
    )


def _without_kubeconfig() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}


def given(
    gateway: str, address: str, mlflow: str, mlflow_inside: str, prometheus: str, switch: Sequence[str], image: str
) -> Ground:
    """The cluster of the current KUBECONFIG.

    Args:
        gateway: the Gateway as ``namespace/name``, and ``address`` where it answers from here.
        mlflow: MLflow's address from here, and ``mlflow_inside`` from pods.
        prometheus: its address from pods.
        switch: shell commands that stop and start it.
        image: registry and tag of Sluice's images, as ``registry:tag``.
    """
    registry, _, tag = image.rpartition(":")
    stop, start = switch
    return Ground(
        kubeconfig=os.environ["KUBECONFIG"],
        kubectl=_installed("kubectl"),
        helm=_installed("helm"),
        gateway=gateway,
        gateway_address=address,
        mlflow=mlflow,
        mlflow_inside=mlflow_inside,
        prometheus_inside=prometheus,
        prometheus_switch={"stop": ("sh", "-c", stop), "start": ("sh", "-c", start)},
        registry=registry,
        tag=tag,
        builds=("", ""),
        brings_runtime=True,
    )


def runtime(image: str) -> dict[str, Any]:
    """The demo's model server as a ServingRuntime of its namespace, which KServe prefers to those of the cluster."""
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "hack/cluster/manifests/runtime.yaml").read_text())
    found |= {"kind": "ServingRuntime", "metadata": {**found["metadata"], "namespace": NAMESPACE}}
    (container,) = found["spec"]["containers"]
    container["image"] = image
    return found


def _installed(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise CommandError(f"{name} is not on the PATH")
    return found
