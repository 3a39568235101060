"""Environment: Python environments outside the checkout, so that the cluster outlives the clone that started it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hack.cluster import cache
from hack.cluster.progress import task


def uv() -> str:
    """The uv command.

    Raises:
        SystemExit: it is missing; the message says how to get it.
    """
    return shutil.which("uv") or sys.exit("uv is missing; get it with: python3 -m pip install uv")


def path(extra: str) -> Path:
    """Where the environment with an extra of the project lies; a changed lock is another one."""
    key = cache.key_of_files([cache.REPOSITORY / "uv.lock"], extra)
    return cache.ROOT / "environments" / f"{extra}-{key}"


def ensure(extra: str) -> Path:
    """The environment with an extra of the project, made from the lock if it is not there."""
    target = path(extra)
    if not target.exists():
        with task(f"Python environment for {extra}", "30 s, and what the downloads take"):
            scratch = target.with_suffix(".partial")
            shutil.rmtree(scratch, ignore_errors=True)
            settings = os.environ | {"UV_PROJECT_ENVIRONMENT": str(scratch)}
            settings.pop("VIRTUAL_ENV", None)
            # Relocatable: it is renamed when complete, so that half of one is never used.
            subprocess.run([uv(), "venv", "--quiet", "--relocatable", "--python=3.11", scratch], check=True)
            command = [uv(), "sync", "--quiet", "--frozen", "--no-dev", "--no-install-project", f"--extra={extra}"]
            subprocess.run(command, cwd=cache.REPOSITORY, env=settings, check=True)
            scratch.rename(target)
    return target
