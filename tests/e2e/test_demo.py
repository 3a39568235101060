"""The demo, as a user runs it: six releases, each of which must end as it should."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.conftest import REPOSITORY, Cluster


@pytest.mark.alone
def test_all_six_acts_end_as_they_should(cluster: Cluster) -> None:
    del cluster  # installed, with the models registered
    # Fewer rows a second than by default: gates wait for enough of them, and other tests go on beside it.
    command = [sys.executable, "-m", "hack.demo", "--rate", "35"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=1500, check=False)
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.stderr[-3000:]
