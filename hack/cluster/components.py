"""Components: every process of the cluster, with its command, its files and how to ask whether it is ready."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from minio.error import MinioException
from urllib3.exceptions import HTTPError

from hack.cluster import binaries, cache, environment, layout, node, observability, recordstore
from hack.cluster.processes import Processes

CONTAINERD = "/usr/bin/containerd"
KSERVE_PORT = 9443


@dataclass(frozen=True)
class Component:
    """A process of the host that is part of the cluster."""

    name: str
    command: tuple[str | Path, ...]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)
    """Written before each start; a changed one restarts the process."""
    patience: float = 180
    """Seconds; it is over sooner where the process ends."""

    def start(self, processes: Processes) -> bool:
        """Start it unless it runs as described here; returns whether it was started."""
        for path, content in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != content:
                path.write_text(content)
        configuration = cache.key(*self.environment, *self.environment.values(), *self.files.values())
        return processes.start(self.name, self.command, self.environment, configuration=configuration)

    def await_ready(self, processes: Processes) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: it ended or stayed silent; the message has the end of its log.
        """
        if not processes.answered(self.ready, self.patience, self.name):
            state = "is not ready" if processes.alive(self.name) else "ended"
            raise RuntimeError(
                f"{self.name} {state}; the end of {processes.log(self.name)}:\n{processes.tail(self.name)}"
            )


def answers(url: str) -> Callable[[], bool]:
    """A question: does this URL answer 200? Certificates are not checked, these are our own ports."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return ask


def _listens(path: Path) -> Callable[[], bool]:
    """A question: does a process accept connections at this Unix socket? A file alone may be a dead one's."""

    def ask() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    return ask


def catalogue() -> dict[str, Component]:
    """All but etcd and kube-apiserver, in the order in which they start."""
    makers = (
        containerd,
        *(_controllers, _scheduler, _kubelet, _proxy, _coredns),
        *(_prometheus, _mlflow, _records_store, _kserve, _envoy),
    )
    found = [make() for make in makers]
    return {component.name: component for component in found}


def _user(name: str, *groups: str) -> Path:
    return layout.control_plane().user_kubeconfig(name, groups)


def containerd() -> Component:
    """The container runtime."""
    directory = layout.DIRECTORY / "containerd"
    command = (CONTAINERD, "--config", directory / "config.toml", "--log-level", "warn")
    return Component("containerd", command, _listens(layout.CONTAINERD_SOCKET), files=node.containerd_files())


def _controllers() -> Component:
    kubeconfig = _user("system:kube-controller-manager")
    pki = layout.control_plane().authority.directory
    command = (
        binaries.path("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'accounts.key'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--node-monitor-grace-period=60s",  # two busy cores are not a lost node
        f"--cert-dir={layout.DIRECTORY / 'kube-controller-manager'}",
        "--v=1",
    )
    return Component("kube-controller-manager", command, answers("https://127.0.0.1:10257/healthz"))


def _scheduler() -> Component:
    kubeconfig = _user("system:kube-scheduler")
    command = (
        binaries.path("kube-scheduler"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--cert-dir={layout.DIRECTORY / 'kube-scheduler'}",
        "--v=1",
    )
    return Component("kube-scheduler", command, answers("https://127.0.0.1:10259/healthz"))


def _kubelet() -> Component:
    directory = layout.DIRECTORY / "kubelet"
    command = (
        binaries.path("kubelet"),
        f"--config={directory / 'config.yaml'}",
        f"--kubeconfig={_user(f'system:node:{layout.NODE}', 'system:nodes')}",
        f"--root-dir={directory}",
        f"--cert-dir={directory / 'pki'}",
        f"--node-ip={layout.GATEWAY}",
        f"--hostname-override={layout.NODE}",
        "--v=1",
    )
    return Component("kubelet", command, answers("http://127.0.0.1:10248/healthz"), files=node.kubelet_files())


def _proxy() -> Component:
    command = (
        binaries.path("kube-proxy"),
        f"--kubeconfig={_user('system:kube-proxy')}",
        f"--hostname-override={layout.NODE}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={layout.POD_NETWORK}",
        "--conntrack-max-per-core=0",
        "--iptables-min-sync-period=100ms",
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
        *(("--masquerade-all=true",) if node.masquerades_all() else ()),
        "--v=1",
    )
    return Component("kube-proxy", command, answers("http://127.0.0.1:10256/healthz"))


def _coredns() -> Component:
    kubeconfig = _user("system:coredns")
    corefile = f"""\
.:53 {{
    bind {layout.GATEWAY}
    errors
    ready 127.0.0.1:18054
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
    }}
}}
"""
    file = layout.DIRECTORY / "coredns" / "Corefile"
    command = (binaries.path("coredns"), "-conf", file)
    return Component("coredns", command, answers("http://127.0.0.1:18054/ready"), files={file: corefile})


def _prometheus() -> Component:
    directory = layout.DIRECTORY / "prometheus"
    (directory / "rules").mkdir(parents=True, exist_ok=True)
    command = (
        binaries.path("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--storage.tsdb.retention.time=6h",
        f"--web.listen-address={layout.GATEWAY}:{layout.PROMETHEUS_PORT}",
        f"--web.listen-address=127.0.0.1:{layout.PROMETHEUS_PORT}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    )
    return Component(
        "prometheus",
        command,
        answers(f"http://127.0.0.1:{layout.PROMETHEUS_PORT}/-/ready"),
        files={directory / "prometheus.yml": observability.prometheus(_user("system:prometheus"), directory)},
    )


def _mlflow() -> Component:
    directory = layout.DIRECTORY / "mlflow"
    directory.mkdir(parents=True, exist_ok=True)
    # The names under which it is called, or it refuses them as an attempt at DNS rebinding.
    names = ("mlflow.mlflow", "mlflow.mlflow.svc", "mlflow.mlflow.svc.cluster.local", "10.*", "localhost")
    hosts = ",".join(pattern for name in names for pattern in (name, f"{name}:*"))
    command = (
        environment.path("demo") / "bin" / "mlflow",
        "server",
        f"--host={layout.GATEWAY}",
        f"--port={layout.MLFLOW_PORT}",
        "--workers=1",
        f"--backend-store-uri=sqlite:///{directory / 'mlflow.db'}",
        f"--artifacts-destination={directory / 'artifacts'}",
        f"--allowed-hosts={hosts}",
    )
    settings = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven idle workers of 240 MB each otherwise
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TMPDIR": str(directory),
    }
    ready = answers(f"http://{layout.GATEWAY}:{layout.MLFLOW_PORT}/health")
    return Component("mlflow", command, ready, environment=settings, patience=300)


def _records_store() -> Component:
    local = f"127.0.0.1:{layout.RECORDS_PORT}"
    command = recordstore.command(layout.DIRECTORY / "records-store", local, f"{layout.GATEWAY}:{layout.RECORDS_PORT}")

    def ready() -> bool:
        try:
            recordstore.make_bucket(local)
        except (MinioException, HTTPError):
            return False
        return True

    return Component("records-store", command, ready, environment=recordstore.environment())


def _kserve() -> Component:
    directory = layout.DIRECTORY / "kserve"
    serving = directory / "k8s-webhook-server" / "serving-certs"  # the library's own choice, below TMPDIR
    crt, key = layout.control_plane().authority.issue("kserve-webhook", "kserve", hosts=["127.0.0.1"])
    command = (
        binaries.path("kserve-manager"),
        "--metrics-addr=127.0.0.1:18080",
        "--health-probe-addr=127.0.0.1:18081",
        f"--webhook-port={KSERVE_PORT}",
        "--zap-log-level=info",
    )
    return Component(
        "kserve",
        command,
        answers("http://127.0.0.1:18081/readyz"),
        environment={
            "TMPDIR": str(directory),
            "POD_NAMESPACE": "kserve",
            "KUBECONFIG": str(_user("kserve-manager", "system:masters")),
        },
        files={serving / "tls.crt": crt.read_text(), serving / "tls.key": key.read_text()},
    )


def _envoy() -> Component:
    directory = layout.DIRECTORY / "envoy-gateway"
    configuration = """\
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
logging: {level: {default: warn}}
provider:
  type: Kubernetes
  kubernetes:
    leaderElection: {disable: true}
    proxyTopologyInjector: {disabled: true}
"""
    # It reads its certificates from /certs and nowhere else, so it gets a /certs that nobody else sees.
    script = 'mount --bind "$1" /certs && exec "$2" server --config-path "$3"'
    command = (
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"),
        *(directory / "certs", binaries.path("envoy-gateway"), directory / "config.yaml"),
    )
    return Component(
        "envoy-gateway",
        command,
        answers("http://127.0.0.1:8081/readyz"),
        environment={"KUBECONFIG": str(_user("envoy-gateway", "system:masters"))},
        files={directory / "config.yaml": configuration},
    )
