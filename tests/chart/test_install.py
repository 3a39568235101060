"""Installed by Helm on a real API server that has nothing: no KServe, no Gateway API, no Prometheus Operator."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hack.cluster import binaries
from hack.cluster.controlplane import ControlPlane
from sluice.api.crds import KINDS
from tests.chart.helm import NAMESPACE, RELEASE, ROOT, program

pytestmark = pytest.mark.component


@dataclass(frozen=True)
class Server:
    """A bare API server, and the tools that a user has."""

    kubeconfig: Path

    def helm(self, *arguments: str) -> str:
        """Run helm against it and return what it printed."""
        return self._run(program(), *arguments, "--namespace", NAMESPACE)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl against it and return what it printed."""
        return self._run(str(binaries.path("kubectl")), *arguments)

    def _run(self, *command: str) -> str:
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    binaries.build("kubernetes", "etcd")
    with ControlPlane(tmp_path_factory.mktemp("bare")) as plane:
        yield Server(plane.kubeconfig)


def test_install_upgrade_and_uninstall_on_a_bare_server(server: Server) -> None:
    notes = server.helm("install", RELEASE, str(ROOT), "--create-namespace")
    assert "2 replicas, working in all namespaces" in notes
    assert "KServe is not installed" in notes
    assert "The Gateway API is not installed" in notes
    assert "Prometheus Operator is not installed" in notes

    gauges = server.kubectl("get", "clustermodelmonitors", "--output=name").split()
    assert {name.rpartition("/")[2] for name in gauges} == {path.stem for path in (ROOT / "monitors").glob("*.yaml")}
    deployments = server.kubectl("get", "deployments", f"--namespace={NAMESPACE}", "--output=name").split()
    assert deployments == ["deployment.apps/sluice-monitor", "deployment.apps/sluice-operator"]

    server.helm("upgrade", RELEASE, str(ROOT), "--set", "operator.watchNamespaces={risk,gateways}", "--dry-run=server")
    server.helm("upgrade", RELEASE, str(ROOT), "--set", "global.monitor.enabled=false")
    assert server.kubectl("get", "deployments", f"--namespace={NAMESPACE}", "--output=name").split() == deployments[1:]

    server.helm("uninstall", RELEASE)
    crds = server.kubectl("get", "crds", "--output=name").split()
    assert len(crds) == len(KINDS), "Helm leaves CRDs, and with them every model deployment, in place"


def test_the_restricted_standard_lets_every_pod_in(server: Server) -> None:
    # The API server warns, and with --dry-run=server says so, when a pod template breaks the standard.
    server.kubectl("create", "namespace", "restricted")
    label = "pod-security.kubernetes.io/warn=restricted"
    server.kubectl("label", "namespace", "restricted", label)
    # Without the gauges: their kind may not be installed yet.
    arguments = ["--namespace=restricted", "--kube-version=1.35.0", "--set=clusterModelMonitors.install=false"]
    manifests = subprocess.run(
        [program(), "template", RELEASE, str(ROOT), *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    command = [str(binaries.path("kubectl")), f"--kubeconfig={server.kubeconfig}", "apply", "--dry-run=server", "-f-"]
    done = subprocess.run(command, input=manifests, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PodSecurity" not in done.stderr
