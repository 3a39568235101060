"""Teardown: the cluster taken off the machine, and proof that nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hack.cluster import cache, components, images, imagestore, iptables, layout, node
from hack.cluster.locks import locked
from hack.cluster.processes import Processes, wait
from hack.cluster.progress import say, task

_ORDER = ("mlflow", "prometheus", "kserve", "envoy-gateway", "coredns", "kube-proxy", "kubelet", "kube-scheduler")


@dataclass(frozen=True)
class Check:
    """One kind of trace, and what of it is left."""

    what: str
    left: list[str]


def down() -> bool:
    """Stop and remove everything but caches and logs. Returns whether nothing is left."""
    layout.require_root()
    with locked("cluster"), task("Cluster down", "10 s"):
        processes = layout.control_plane().processes if layout.DIRECTORY.exists() else Processes(layout.DIRECTORY)
        for name in _ORDER:
            processes.stop(name)
        _remove_containers(processes)
        for name in ("kube-controller-manager", "kube-apiserver", "etcd", *processes.names()):
            processes.stop(name)
        _unmount()
        if Path("/sys/class/net", layout.BRIDGE).exists():
            subprocess.run(["ip", "link", "delete", layout.BRIDGE], check=True)
        iptables.remove(node.NETWORK)
        _remove_control_groups()
        node.restore_forwarding()
        _remove_state()
    return report(verify())


def verify() -> list[Check]:
    """Look for every kind of trace that the cluster can leave."""
    links = [path.name for path in Path("/sys/class/net").iterdir() if path.name == layout.BRIDGE]
    return [
        Check("processes of the cluster", [f"{pid} {command}" for pid, command in _processes()]),
        Check("containers' supervisors", [str(pid) for pid in node.shims()]),
        Check("mounts", _mounts()),
        Check("network bridge", links),
        Check("pods' network interfaces", _pod_links()),
        Check("network namespaces", [str(path) for path in _namespaces()]),
        Check("leases of pod addresses", [str(path) for path in _files(node.LEASES)]),
        Check("iptables rules and chains", iptables.remaining(node.NETWORK)),
        Check("control groups", [str(path) for path in _control_groups()]),
        Check("state", [str(path) for path in _state() if path != layout.log_directory()]),
    ]


def report(checks: list[Check]) -> bool:
    """Say what was looked for and what was found; returns whether nothing was."""
    for check in checks:
        found = f"{len(check.left)} left: {'; '.join(check.left[:5])}" if check.left else "none left"
        say(f"  {'✗' if check.left else '✓'} {check.what:<28} {found}")
    return not any(check.left for check in checks)


def _remove_containers(processes: Processes) -> None:
    """Kill and delete containers through containerd, so that its database forgets them too."""
    if not node.shims() and not layout.CONTAINERD_ROOT.exists():
        return
    containerd = components.containerd()
    containerd.start(processes)
    containerd.await_ready(processes)
    for pid in _contained():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for task_id in imagestore.ctr("tasks", "ls", "--quiet").split():
        with contextlib.suppress(RuntimeError):  # gone by itself in the meantime
            imagestore.ctr("tasks", "delete", "--force", task_id)
    if containers := imagestore.ctr("containers", "ls", "--quiet").split():
        with contextlib.suppress(RuntimeError):
            imagestore.ctr("containers", "delete", *containers)
    wait(lambda: not node.shims(), 5)
    processes.stop("containerd")
    for pid in node.shims():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait(lambda: not node.shims(), 5)


def _contained() -> list[int]:
    """Processes inside our control groups: everything that runs in pods."""
    found = set()
    for group in _control_groups():
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in (group / "cgroup.procs").read_text().split()}
    return sorted(found)


def _control_groups() -> list[Path]:
    """Our control groups, the deepest first."""
    found: list[Path] = []
    for controller in node.controllers():
        root = controller / layout.CGROUP
        if root.exists():
            found += [root, *(path for path in root.rglob("*") if path.is_dir())]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def _remove_control_groups() -> None:
    def emptied() -> bool:
        for group in _control_groups():
            with contextlib.suppress(OSError):
                group.rmdir()
        return not _control_groups()

    wait(emptied, 10, every=0.2)  # a group stays until the kernel has buried its last process


def _unmount() -> None:
    for point in sorted(_mounts(), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def _mounts() -> list[str]:
    roots = (f"{layout.DIRECTORY}/", f"{layout.CONTAINERD_ROOT}/", f"{images.STORAGE}/")
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(roots)]


def _processes() -> list[tuple[int, str]]:
    """Programs of the cluster that run, however they were started; those of other control planes are not ours."""
    marks = (str(layout.DIRECTORY), str(layout.CONTAINERD_SOCKET))
    return [
        (pid, Path(words[0]).name)
        for pid, words in _command_lines()
        if words[0].startswith((str(cache.ROOT), components.CONTAINERD))
        and any(mark in word for word in words for mark in marks)
    ]


def _programs() -> list[tuple[int, str]]:
    return [(pid, Path(words[0]).name) for pid, words in _command_lines()]


def _command_lines() -> Iterator[tuple[int, list[str]]]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit() and int(directory.name) != os.getpid():
            with contextlib.suppress(OSError):
                yield int(directory.name), (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")


def _pod_links() -> list[str]:
    """Ends of pods' cables on the bridge."""
    ports = Path("/sys/class/net", layout.BRIDGE, "brif")
    return [path.name for path in ports.iterdir()] if ports.exists() else []


def _namespaces() -> list[Path]:
    return _files(layout.DIRECTORY / "containerd" / "state", "**/netns/*")


def _files(directory: Path, pattern: str = "**/*") -> list[Path]:
    return [path for path in directory.glob(pattern) if path.is_file()] if directory.exists() else []


def _state() -> list[Path]:
    return sorted(layout.DIRECTORY.iterdir()) if layout.DIRECTORY.exists() else []


def _remove_state() -> None:
    if _mounts():
        return  # deleting would reach into what is mounted; the report names them
    for path in _state():
        if path != layout.log_directory():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Only if it is empty, as we made it, and nobody has mounted his own over it.
    if not any(name == "envoy-gateway" for _, name in _programs()):
        with contextlib.suppress(OSError):
            Path("/certs").rmdir()
