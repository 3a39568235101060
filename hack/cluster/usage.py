"""Usage: what every process of the cluster takes of memory and of the processors, those in pods included.

PSS counts a page that several processes share in parts, so that the sum over all of them is what they take together.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hack.cluster import binaries, bringup, layout, node

_TICKS = os.sysconf("SC_CLK_TCK")
_CONTAINER = re.compile(rf"/{re.escape(layout.CGROUP)}/\S*/pod[0-9a-f-]+/([0-9a-f]{{64}})")
SHIMS = "containerd-shims"
SANDBOXES = "pods' sandboxes"
"""The containers of every pod that only hold its network: in no pod's status."""


@dataclass(frozen=True)
class Reading:
    """One process at one moment."""

    rss: int
    """Resident bytes; and those with shared pages counted in parts."""
    pss: int
    ticks: int
    """Processor time since it started."""


@dataclass(frozen=True)
class Usage:
    """What goes by one name: a process of the host with its children, or a container."""

    name: str
    processes: int
    rss: int
    pss: int
    cores: float
    """How many processors it kept busy, on average."""


def reading(pid: int, proc: Path = Path("/proc")) -> Reading | None:
    """A process now; None if it is gone."""
    try:
        return Reading(
            *memory((proc / str(pid) / "smaps_rollup").read_text()),
            ticks=ticks((proc / str(pid) / "stat").read_text()),
        )
    except OSError:
        return None


def memory(rollup: str) -> tuple[int, int]:
    """RSS and PSS in bytes, from ``/proc/<pid>/smaps_rollup``."""
    found = {words[0]: int(words[1]) * 1024 for line in rollup.splitlines() if (words := line.split())[-1] == "kB"}
    return found["Rss:"], found["Pss:"]


def ticks(stat: str) -> int:
    """Time in user and kernel mode, from ``/proc/<pid>/stat``, whose second field may hold anything in brackets."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def session(stat: str) -> int:
    """The session of a process, from ``/proc/<pid>/stat``: the pid of the process that began it."""
    return int(stat.rpartition(")")[2].split()[3])


def container(cgroups: str) -> str | None:
    """The id of the container of ours that a process runs in, from ``/proc/<pid>/cgroup``; None outside one."""
    found = _CONTAINER.search(cgroups)
    return found.group(1) if found else None


def containers(pods: Mapping[str, Any]) -> dict[str, str]:
    """``namespace/pod container`` by id, from ``kubectl get pods -A -o json``."""
    return {
        status["containerID"].rpartition("//")[2]: f"{metadata['namespace']}/{metadata['name']} {status['name']}"
        for pod in pods["items"]
        if (metadata := pod["metadata"])
        for status in pod.get("status", {}).get("containerStatuses", [])
        if status.get("containerID")
    }


def used(groups: Mapping[str, Iterable[int]], before: Mapping[int, Reading], seconds: float) -> list[Usage]:
    """What each group takes now, the largest first; ``before`` was read so many seconds ago."""
    found = []
    for name, pids in groups.items():
        now = {pid: taken for pid in pids if (taken := reading(pid)) is not None}
        if now:
            spent = sum(taken.ticks - before[pid].ticks for pid, taken in now.items() if pid in before)
            rss, pss = sum(taken.rss for taken in now.values()), sum(taken.pss for taken in now.values())
            found.append(Usage(name, len(now), rss, pss, spent / _TICKS / seconds))
    return sorted(found, key=lambda usage: usage.pss, reverse=True)


def groups() -> dict[str, list[int]]:
    """The processes of the cluster, by name."""
    names = _names_of_containers()
    daemons = {}
    for name in bringup.known():
        record = layout.control_plane().processes.record(name)
        if record is not None and record.alive():
            daemons[record.pid] = name
    found: dict[str, list[int]] = defaultdict(list)
    found[SHIMS] = node.shims()
    for directory in Path("/proc").iterdir():
        try:
            if not directory.name.isdigit():
                continue
            inside = container((directory / "cgroup").read_text())
            leader = session((directory / "stat").read_text())
        except OSError:
            continue  # it ended meanwhile
        if inside is not None:
            found[names.get(inside, SANDBOXES)].append(int(directory.name))
        elif leader in daemons and int(directory.name) not in found[SHIMS]:
            found[daemons[leader]].append(int(directory.name))
    return found


def _names_of_containers() -> dict[str, str]:
    command = [str(binaries.program_folder("kubectl") / "kubectl"), f"--kubeconfig={layout.KUBECONFIG}"]
    done = subprocess.run([*command, "get", "pods", "-A", "-o", "json"], capture_output=True, text=True, check=False)
    return containers(json.loads(done.stdout)) if done.returncode == 0 else {}


def show(seconds: float, *, as_json: bool) -> bool:
    """Measure for so many seconds and print; False if the cluster is down."""
    if not layout.KUBECONFIG.exists():
        print("The cluster is down. Start it with: make cluster")
        return False
    mine = groups()
    before = {pid: taken for pids in mine.values() for pid in pids if (taken := reading(pid)) is not None}
    began = time.monotonic()
    time.sleep(seconds)
    rows = used(mine, before, time.monotonic() - began)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print("\n".join(table(rows)))
    return True


def table(rows: Iterable[Usage]) -> list[str]:
    """The figures in lines, with their sum."""
    rows = list(rows)
    total = Usage(
        "all together",
        sum(row.processes for row in rows),
        sum(row.rss for row in rows),
        sum(row.pss for row in rows),
        sum(row.cores for row in rows),
    )
    width = max(len(row.name) for row in (*rows, total))
    return [
        f"{'':<{width}}  {'processes':>9}  {'RSS':>9}  {'PSS':>9}  {'cores':>5}",
        *(
            f"{row.name:<{width}}  {row.processes:>9}  {_mebibytes(row.rss):>9}  {_mebibytes(row.pss):>9}  "
            f"{row.cores:>5.2f}"
            for row in (*rows, total)
        ),
    ]


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
