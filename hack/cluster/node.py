"""Node: the host made ready for pods, and the configuration of what runs them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import textwrap
from pathlib import Path

import yaml

from hack.cluster import layout

PAUSE_IMAGE = "localhost/sluice-pause:dev"
NETWORK = "sluice"
"""Name of the pods' network; the CNI plugins write it into the comments of their iptables rules."""
LEASES = layout.DIRECTORY / "cni" / "leases"
CGROUPS = Path("/sys/fs/cgroup")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_FORWARDING_BEFORE = layout.DIRECTORY / "ip_forward.before"
_BRIDGED_TRAFFIC = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def prepare() -> None:
    """Bridge, forwarding and control groups. Safe to repeat."""
    layout.DIRECTORY.mkdir(parents=True, exist_ok=True)
    if not Path("/sys/class/net", layout.BRIDGE).exists():
        _run("ip", "link", "add", layout.BRIDGE, "type", "bridge")
    _run("ip", "address", "replace", f"{layout.GATEWAY}/24", "dev", layout.BRIDGE)
    _run("ip", "link", "set", layout.BRIDGE, "up")
    if not _FORWARDING_BEFORE.exists():
        _FORWARDING_BEFORE.write_text(_FORWARDING.read_text())
    _FORWARDING.write_text("1")
    if not _BRIDGED_TRAFFIC.exists() and shutil.which("modprobe"):
        subprocess.run(["modprobe", "br_netfilter"], capture_output=True, check=False)
    if _BRIDGED_TRAFFIC.exists():
        _BRIDGED_TRAFFIC.write_text("1")
    for controller in controllers():
        group = controller / layout.CGROUP
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # A version 1 cpuset starts empty, and no process can enter an empty one.
            if (controller / setting).exists() and (group / setting).exists():
                (group / setting).write_text((controller / setting).read_text())


def restore_forwarding() -> None:
    """Forwarding as it was before `prepare`."""
    if _FORWARDING_BEFORE.exists():
        _FORWARDING.write_text(_FORWARDING_BEFORE.read_text().strip())


def controllers() -> list[Path]:
    """Roots of the control group hierarchies: one in version 2, one for each controller in version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return sorted(path for path in CGROUPS.iterdir() if path.is_dir() and (path / "cgroup.procs").exists())


def shims() -> list[int]:
    """Process ids of the supervisors of our pods' containers."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            with contextlib.suppress(OSError):
                words = (directory / "cmdline").read_bytes().split(b"\0")
                if b"containerd-shim" in words[0] and str(layout.CONTAINERD_SOCKET).encode() in words:
                    found.append(int(directory.name))
    return found


def masquerades_all() -> bool:
    """Whether kube-proxy must rewrite every source address.

    Without bridge netfilter, the answer of a pod to its neighbour on the bridge bypasses the rule that would
    turn its address back into the Service's; going through the host's address avoids that.
    """
    return not _BRIDGED_TRAFFIC.exists()


def containerd_files() -> dict[Path, str]:
    """containerd's configuration and the pods' network."""
    directory = layout.DIRECTORY / "containerd"
    configuration = f"""\
        version = 2
        root = "{layout.CONTAINERD_ROOT}"
        state = "{directory / "state"}"
        disabled_plugins = [
          "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
          "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing",
          "io.containerd.tracing.processor.v1.otlp",
        ]
        [grpc]
          address = "{layout.CONTAINERD_SOCKET}"
        [plugins."io.containerd.internal.v1.opt"]
          path = "{directory / "opt"}"
        [plugins."io.containerd.grpc.v1.cri"]
          sandbox_image = "{PAUSE_IMAGE}"
          restrict_oom_score_adj = true       # we may not lower it everywhere, and without this every sandbox fails
          tolerate_missing_hugetlb_controller = true
          netns_mounts_under_state_dir = true # ours to find and to remove
          stream_server_address = "127.0.0.1"
          stream_server_port = "0"
          [plugins."io.containerd.grpc.v1.cri".cni]
            bin_dir = "/usr/lib/cni"
            conf_dir = "{layout.DIRECTORY / "cni" / "conf"}"
          [plugins."io.containerd.grpc.v1.cri".containerd]
            snapshotter = "overlayfs"
        """
    bridge = {
        "type": "bridge",
        "bridge": layout.BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(LEASES),
            "ranges": [[{"subnet": layout.POD_NETWORK, "gateway": layout.GATEWAY}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    network = {"cniVersion": "0.4.0", "name": NETWORK, "plugins": [bridge]}
    loopback = {"cniVersion": "0.4.0", "name": "loopback", "plugins": [{"type": "loopback"}]}
    conf = layout.DIRECTORY / "cni" / "conf"
    return {
        directory / "config.toml": textwrap.dedent(configuration),
        conf / "10-sluice.conflist": json.dumps(network, indent=1),
        conf / "99-loopback.conflist": json.dumps(loopback, indent=1),
    }


def kubelet_files() -> dict[Path, str]:
    """The kubelet's configuration: no limits that a small machine would hit, and our own control group."""
    directory = layout.DIRECTORY / "kubelet"
    plane = layout.control_plane()
    crt, key = plane.authority.issue(
        "kubelet-serving", f"system:node:{layout.NODE}", hosts=[layout.GATEWAY, layout.NODE]
    )
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(plane.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "address": layout.GATEWAY,
        "tlsCertFile": str(crt),
        "tlsPrivateKeyFile": str(key),
        "containerRuntimeEndpoint": f"unix://{layout.CONTAINERD_SOCKET}",
        "clusterDomain": "cluster.local",
        "clusterDNS": [layout.DNS],
        "resolvConf": str(directory / "resolv.conf"),
        "staticPodPath": "",
        "podLogsDir": str(directory / "pod-logs"),
        "volumePluginDir": str(directory / "volume-plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "evictionHard": {},  # a full disk of a developer is no reason to evict
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 200,
        "syncFrequency": "10s",
        "shutdownGracePeriod": "0s",
        "registryPullQPS": 0,
    }
    return {directory / "config.yaml": yaml.safe_dump(configuration), directory / "resolv.conf": "search .\n"}


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
