"""Packages: what the cluster needs from Debian, and how it gets there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hack.cluster.progress import say, task

COMMANDS = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "ethtool": "ethtool",
    "gcc": "gcc",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "runc": "runc",
    "skopeo": "skopeo",
    "socat": "socat",
}
"""Commands that must be there, and the Debian package that has each."""
FILES = {
    Path("/usr/lib/cni/bridge"): "containernetworking-plugins",
    Path("/usr/include/stdlib.h"): "libc6-dev",
    Path("/etc/containers/policy.json"): "golang-github-containers-common",
}
"""Files that must be there, and the Debian package that has each."""
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def missing() -> list[str]:
    """Debian packages that are needed and not there."""
    search = f"{os.environ.get('PATH', '')}:{_SBIN}"
    absent = [package for command, package in COMMANDS.items() if shutil.which(command, path=search) is None]
    absent += [package for file, package in FILES.items() if not file.exists()]
    return sorted(set(absent))


def ensure() -> None:
    """Install what is missing, or end with what to install where we cannot."""
    absent = missing()
    if not absent:
        return
    if shutil.which("apt-get") is None:
        sys.exit(f"These Debian packages (or what your system has for them) are missing: {' '.join(absent)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with task(f"Installing Debian packages: {' '.join(absent)}", "1 min"):
        _run(["apt-get", "update", "-qq"], environment)
        # Without a refusal to start services, the package's own containerd would start beside ours.
        options = ["-y", "-qq", "--no-install-recommends"]
        _run(["apt-get", "install", *options, *absent], environment | {"RUNLEVEL": "1"})
    if still := missing():
        sys.exit(f"apt-get did not provide {' '.join(still)}; the cluster cannot run without them")


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        say(done.stdout[-2000:] + done.stderr[-2000:])
        sys.exit(f"{' '.join(command[:2])} failed; the lines above say why")
