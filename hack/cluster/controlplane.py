"""ControlPlane: etcd and kube-apiserver alone, in a directory of their own, on ports of their own.

Enough for everything that talks to the API: admission, watches, server-side apply. Used by the component
tests, and underneath the whole cluster.
"""

from __future__ import annotations

import base64
import json
import secrets
import signal
import socket
import ssl
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from hack.cluster import binaries
from hack.cluster.certificates import Authority
from hack.cluster.processes import Processes

SERVICE_NETWORK = "10.96.0.0/16"


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Ports:
    """The three ports of a control plane on loopback."""

    apiserver: int
    etcd: int
    etcd_peer: int

    @classmethod
    def free(cls) -> Self:
        """Three free ports."""
        return cls(free_port(), free_port(), free_port())


def _end_properly(_signal: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


class ControlPlane:
    """etcd and kube-apiserver. As a context manager it starts them and stops them again, also when it is terminated."""

    def __init__(self, directory: Path, ports: Ports | None = None, *, address: str = "127.0.0.1") -> None:
        """``address`` is what the server advertises to pods; 127.0.0.1 where there are none."""
        self.directory = directory
        self.ports = ports or Ports.free()
        self.address = address
        self.processes = Processes(directory)
        self.authority = Authority(directory / "pki")

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return f"https://127.0.0.1:{self.ports.apiserver}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, with a token.

        A client certificate is verified anew at each request, which took 8 % of the API server's time in tests.
        """
        token = self._tokens().read_text().partition(",")[0]
        return self._kubeconfig(self.directory / "kubeconfig", "admin", {"token": token})

    def user_kubeconfig(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with a client certificate for a user: to Kubernetes, ``name`` in ``groups``."""
        path = self.directory / "users" / f"{name.replace(':', '-').replace('/', '-')}.kubeconfig"
        crt, key = self.authority.issue(f"client-{path.stem}", name, groups)
        return self._kubeconfig(path, name, {"client-certificate-data": _data(crt), "client-key-data": _data(key)})

    def _tokens(self) -> Path:
        """The file of tokens that the API server knows: the administrator's, made once."""
        path = self.directory / "pki" / "tokens.csv"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(f"{secrets.token_urlsafe(32)},admin,admin,system:masters\n")
        return path

    def _kubeconfig(self, path: Path, name: str, user: Mapping[str, str]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "sluice",
                    "cluster": {"server": self.url, "certificate-authority-data": _data(self.authority.certificate)},
                }
            ],
            "users": [{"name": name, "user": dict(user)}],
            "contexts": [{"name": "sluice", "context": {"cluster": "sluice", "user": name}}],
            "current-context": "sluice",
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def start(self, *, patience: float = 180) -> None:
        """Start both and wait until the API answers.

        Raises:
            RuntimeError: one of them ended, or they did not within ``patience`` seconds; the message has the end of
                the server's log.
        """
        binaries.build("etcd", "kubernetes")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.processes.start("etcd", self._etcd())
        # A fifth less CPU at the cost of memory: its heap is full of schemas, and is swept less often.
        self.processes.start("kube-apiserver", self._apiserver(), environment={"GOGC": "400"})
        _ = self.kubeconfig
        if not self.processes.answered(self.ready, patience, "etcd", "kube-apiserver"):
            raise RuntimeError(f"kube-apiserver does not answer:\n{self.processes.tail('kube-apiserver')}")

    def ready(self) -> bool:
        """Whether the API server says it is ready."""
        crt, key = self.authority.issue("client-kubeconfig", "admin", ["system:masters"])
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(crt, key)
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        """Stop both, the server before its store."""
        self.processes.stop("kube-apiserver")
        self.processes.stop("etcd")

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _end_properly)  # by default nothing would be stopped, and go on for good
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _etcd(self) -> list[str | Path]:
        client = f"http://127.0.0.1:{self.ports.etcd}"
        peer = f"http://127.0.0.1:{self.ports.etcd_peer}"
        return [
            binaries.path("etcd"),
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # a test cluster survives our restarts, not a power cut
            "--log-level=warn",
        ]

    def _apiserver(self) -> list[str | Path]:
        hosts = ["127.0.0.1", "10.96.0.1", self.address, "localhost", "kubernetes.default.svc", "kubernetes.default"]
        crt, key = self.authority.issue("apiserver", "kube-apiserver", hosts=list(dict.fromkeys(hosts)))
        client_crt, client_key = self.authority.issue("apiserver-kubelet", "kube-apiserver", ["system:masters"])
        accounts_crt, accounts_key = self.authority.issue("accounts", "service-accounts")
        return [
            binaries.path("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self.ports.etcd}",
            f"--secure-port={self.ports.apiserver}",
            f"--advertise-address={self.address}",
            "--bind-address=0.0.0.0" if self.address != "127.0.0.1" else "--bind-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            f"--client-ca-file={self.authority.certificate}",
            f"--token-auth-file={self._tokens()}",
            f"--tls-cert-file={crt}",
            f"--tls-private-key-file={key}",
            f"--kubelet-client-certificate={client_crt}",
            f"--kubelet-client-key={client_key}",
            # A node's name does not resolve here, its address does.
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={accounts_crt}",
            f"--service-account-signing-key-file={accounts_key}",
            "--allow-privileged=true",
            # Stable, and on without asking, from 1.36.
            "--feature-gates=MutatingAdmissionPolicy=true",
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
            "--enable-priority-and-fairness=true",
            "--v=1",
        ]


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def save_ports(directory: Path, ports: Ports) -> None:
    """Remember the ports of a control plane that outlives this process."""
    (directory / "ports.json").write_text(json.dumps(ports.__dict__))
