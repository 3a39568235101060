"""Layout: where the cluster keeps its state, and which addresses and ports it takes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hack.cluster import cache
from hack.cluster.controlplane import ControlPlane, Ports

DIRECTORY = cache.ROOT / "cluster"
"""State of the running cluster; `down` removes it, but for the logs."""
CONTAINERD_ROOT = cache.ROOT / "containerd"
"""Unpacked images; kept by `down`, so that the next start need not import them."""
CONTAINERD_SOCKET = DIRECTORY / "containerd" / "containerd.sock"
KUBECONFIG = DIRECTORY / "kubeconfig"

NODE = "sluice"
BRIDGE = "sluice0"
CGROUP = "sluice" if "SLUICE_CACHE" not in os.environ else f"sluice-{cache.key(str(cache.ROOT))[:8]}"
"""Root of the pods' control groups. Two kubelets below one would each end the other's pods."""
GATEWAY = "10.244.0.1"
"""The bridge's own address: where pods reach the processes of the host, and the host's address as a node."""
POD_NETWORK = "10.244.0.0/24"
DNS = "10.96.0.10"

PORTS = Ports(apiserver=6443, etcd=2379, etcd_peer=2380)
PROMETHEUS_PORT = 9090
MLFLOW_PORT = 5000
RECORDS_PORT = 7070
TAKEN = {
    "kube-apiserver": (PORTS.apiserver,),
    "etcd": (PORTS.etcd, PORTS.etcd_peer),
    "kube-controller-manager": (10257,),
    "kube-scheduler": (10259,),
    "kubelet": (10248, 10250),
    "kube-proxy": (10249, 10256),
    "coredns": (18054,),
    "kserve": (9443, 18080, 18081),
    "envoy-gateway": (8080, 8081, 18000, 18002, 19000, 19001),
    "prometheus": (PROMETHEUS_PORT,),
    "mlflow": (MLFLOW_PORT,),
    "records-store": (RECORDS_PORT,),
}
"""Ports of the host that each process listens on."""

_LONGEST_SOCKET = 107
_DEEPEST_SOCKET = "kubelet/plugins_registry/kubelet-registration.sock"


def control_plane() -> ControlPlane:
    """The cluster's own etcd and kube-apiserver."""
    return ControlPlane(DIRECTORY, PORTS, address=GATEWAY)


def require_root() -> None:
    """End with what to do when we cannot make namespaces, mounts and bridges, or sockets at these paths."""
    if os.geteuid() != 0:
        sys.exit(
            "The cluster needs root (network bridge, mounts, cgroups). Run it with sudo -E, or in a virtual machine."
        )
    if len(str(DIRECTORY / _DEEPEST_SOCKET)) > _LONGEST_SOCKET:
        sys.exit(f"{DIRECTORY} is too long for Unix sockets below it; set SLUICE_CACHE to a shorter path.")


def log_directory() -> Path:
    """Logs of the processes; the only part of the state that `down` leaves for reading."""
    return DIRECTORY / "logs"
