"""The whole cluster, with Sluice installed by its chart and the demo's models registered."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.locks import locked
from hack.demo import ground
from hack.demo.ground import RELEASE, RELEASE_NAMESPACE, Ground
from sluice.edges.kinds import (
    DEPLOYMENTS,
    EVENTS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
    PODS,
    Kind,
)
from tests.component.kube import Api, Refused

REPOSITORY = Path(__file__).parents[2]

KINDS = {
    "md": MODEL_DEPLOYMENTS,
    "mrev": MODEL_REVISIONS,
    "isvc": INFERENCE_SERVICES,
    "httproute": HTTP_ROUTES,
    "deployments": DEPLOYMENTS,
    "pods": PODS,
    "events": EVENTS,
    "namespace": Kind("v1", "namespaces", "Namespace", namespaced=False),
}
HOOKS = {
    "webhooks": {"hosts": ["hooks.*.svc"]},
    "networkPolicy": {"extraEgress": [{"ports": [{"protocol": "TCP", "port": 8080}]}]},
}
"""Values of the operator: whom it may tell of a breach."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in Path(str(item.fspath)).parts:
            item.add_marker(pytest.mark.e2e)


@dataclass(frozen=True)
class Cluster:
    """What a test does to the cluster: as a user, with kubectl. What it waits for, it looks at without.

    Each kubectl is a process that takes half a second of a processor, and a test looks a hundred times.
    """

    ground: Ground
    api: Api

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What a kubectl command prints."""
        command = [self.ground.kubectl, "--kubeconfig", self.ground.kubeconfig, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """An object, or an empty dict if there is none. Kinds have their names on kubectl's command line."""
        try:
            return self.api.request("GET", KINDS[kind].path(namespace, name))
        except Refused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
            return {}

    def list(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind in a namespace, or those with some labels."""
        query = {"labelSelector": selector} if selector else {}
        items: list[dict[str, Any]] = self.api.request("GET", KINDS[kind].path(namespace), query=query)["items"]
        return items

    def apply(self, document: dict[str, Any], *, check: bool = True) -> str:
        """kubectl apply."""
        return self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document), check=check)

    def deployment(self, name: str, namespace: str, version: str, **spec: Any) -> dict[str, Any]:
        """A ModelDeployment of the demo's model, ready to apply."""
        gateway_namespace, _, gateway = self.ground.gateway.partition("/")
        limits = {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
        stated = {
            "model": {"name": "california", "version": version},
            "serving": {"modelFormat": "sklearn", "resources": limits},
            "traffic": {
                "gateway": {"name": gateway, "namespace": gateway_namespace},
                "hostnames": [f"{name}.{namespace}.example.com"],
            },
            "rollout": {"steps": [{"weight": 50, "hold": "5s"}, {"weight": 100}], "progressDeadline": "10m"},
        }
        return {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": stated | spec,
        }

    def until(self, what: str, ask: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until a question is answered with yes."""
        deadline = time.monotonic() + seconds
        while not ask():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self._state()}")
            time.sleep(0.5)

    def _state(self) -> str:
        """What there is to see of why something did not come."""
        shown = [self.kubectl("get", "md,mrev,isvc,httproute,pods", "-A", check=False)]
        for item in self.api.request("GET", MODEL_DEPLOYMENTS.path())["items"]:
            shown.append(f"{item['metadata']['namespace']}/{item['metadata']['name']}: {item['spec']}")
            shown += [f"  {c['type']}: {c['status']}, {c['reason']}: {c['message']}" for c in _conditions(item)]
            shown += [f"  {result}" for result in item.get("status", {}).get("monitors", [])]
        for item in self.api.request("GET", MODEL_REVISIONS.path())["items"]:
            status = item.get("status", {})
            noted = {key: status.get(key) for key in ("failing", "breached", "promotedAt")}
            shown.append(f"{item['metadata']['namespace']}/{item['metadata']['name']}: {noted}")
        operator = f"--selector=app.kubernetes.io/component=operator,app.kubernetes.io/instance={RELEASE}"
        shown.append(self.kubectl("logs", operator, "-n", RELEASE_NAMESPACE, "--tail=40", check=False))
        return "\n".join(shown)

    def condition(self, name: str, namespace: str, kind: str) -> dict[str, Any]:
        """A ModelDeployment's condition; empty if it has none of that type."""
        return next((c for c in _conditions(self.get("md", name, namespace)) if c["type"] == kind), {})

    def sluice(self, verb: str, namespace: str, *arguments: str, check: bool | None = True) -> str:
        """What ``kubectl sluice`` prints."""
        command = [str(Path(sys.executable).with_name("kubectl-sluice")), verb, "--namespace", namespace, *arguments]
        environment = {**os.environ, "KUBECONFIG": self.ground.kubeconfig}
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=environment)
        assert check is None or (done.returncode == 0) is check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def phase(self, name: str, namespace: str, wanted: str, seconds: float = 120) -> None:
        """Wait for a deployment's phase, as derived from its newest spec."""

        def there() -> bool:
            item = self.get("md", name, namespace)
            status = item.get("status", {})
            current = status.get("observedGeneration") == item["metadata"]["generation"]
            return bool(current and status.get("phase") == wanted)

        self.until(f"{namespace}/{name} is {wanted}", there, seconds)

    def answers(self, name: str, namespace: str) -> tuple[int, str]:
        """One prediction through the gateway: the status and the revision that gave it."""
        body = json.dumps({"instances": [[3.4, 24, 5.2, 1.1, 507, 3, 33.8, -116.2]]})
        headers = {"Host": f"{name}.{namespace}.example.com", "Content-Type": "application/json"}
        gateway = http.client.HTTPConnection(self.ground.gateway_address, timeout=30)
        with closing(gateway):
            gateway.request("POST", f"/v1/models/{name}:predict", body, headers)
            answer = gateway.getresponse()
            answer.read()
            return answer.status, answer.headers.get("x-sluice-revision", "")


def _conditions(item: dict[str, Any]) -> list[dict[str, Any]]:
    conditions: list[dict[str, Any]] = item.get("status", {}).get("conditions", [])
    return conditions


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster with Sluice installed and the models registered, by the first worker that asks for it."""
    place, own = ground.own(), tmp_path_factory.getbasetemp()
    done = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "installed"
    with locked("end-to-end tests"):
        if not done.exists():
            training = [sys.executable, "-m", "hack.demo.train", f"--tracking-uri={place.mlflow}"]
            subprocess.run(training, cwd=REPOSITORY, check=True, timeout=600)
            asyncio.run(place.install(HOOKS))
            done.touch()
    return Cluster(place, Api(Path(place.kubeconfig)))


@pytest.fixture(scope="session")
def leaving(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """Namespaces that are being deleted, each with the deployments that were in it. At the end, all must be gone."""
    rest = tmp_path_factory.mktemp("rest")
    spaces: dict[str, list[str]] = {}
    yield spaces

    def leave(name: str) -> None:
        cluster.until(f"{name} is gone", lambda: _gone(cluster, name, spaces[name], rest), 180)

    with ThreadPoolExecutor(max_workers=4) as pool:  # each waits for its pods to end, for half a minute
        list(pool.map(leave, spaces))


def _gone(cluster: Cluster, name: str, deployments: list[str], rest: Path) -> bool:
    space = cluster.get("namespace", name)
    if "is kept until it was exported" in json.dumps(space):
        for deployment in deployments:  # of which nothing may be left: the namespace's conditions lag behind
            cluster.sluice(
                "export", name, deployment, "--out", str(rest / f"{name}-{deployment}"), "--mark", check=None
            )
    return not space


@pytest.fixture
def namespace(cluster: Cluster, leaving: dict[str, list[str]], request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, removed afterwards; before, every record that was made in it is checked."""
    # Short: KServe derives one DNS label from the deployment's and the namespace's name.
    name = f"e2e-{zlib.crc32(request.node.name.encode()):08x}"
    cluster.kubectl("create", "namespace", name)
    yield name
    leaving[name] = [item["metadata"]["name"] for item in cluster.list("md", name)]
    for deployment in leaving[name]:
        cluster.sluice("verify", name, deployment, "--replay")
    cluster.kubectl("delete", "namespace", name, "--wait=false")
