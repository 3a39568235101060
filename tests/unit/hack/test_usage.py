"""Memory and processor time of a process, and whose process it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.cluster import layout, usage
from hack.cluster.processes import wait
from hack.cluster.usage import Usage

ROLLUP = """\
55d0c0000000-7ffd4b7f2000 ---p 00000000 00:00 0                          [rollup]
Rss:               12345 kB
Pss:                2345 kB
Pss_Dirty:           100 kB
Shared_Clean:      10000 kB
"""
STAT = "4711 (a name) (x) S 1 4700 4690 0 -1 4194560 1 2 3 4 250 50 6 7 20 0 1 0 999 1 2"
ID = "0123456789abcdef" * 4


def test_memory_is_read_in_bytes() -> None:
    assert usage.memory(ROLLUP) == (12345 * 1024, 2345 * 1024)


def test_a_process_may_have_brackets_in_its_name() -> None:
    assert usage.ticks(STAT) == 300
    assert usage.session(STAT) == 4690


@pytest.mark.parametrize(
    ("cgroups", "expected"),
    [
        pytest.param(f"0::/{layout.CGROUP}/kubepods/burstable/pod12ab-34/{ID}\n", ID, id="version 2"),
        pytest.param(f"4:memory:/{layout.CGROUP}/kubepods/pod12ab-34/{ID}\n3:cpu:/\n", ID, id="version 1"),
        pytest.param(f"0::/kubepods/burstable/pod12ab-34/{ID}\n", None, id="of another cluster"),
        pytest.param("0::/user.slice\n", None, id="none"),
    ],
)
def test_a_container_is_known_by_the_control_group(cgroups: str, expected: str | None) -> None:
    assert usage.container(cgroups) == expected


def test_containers_go_by_the_names_of_their_pods() -> None:
    statuses = [{"name": "operator", "containerID": f"containerd://{ID}"}, {"name": "not-yet"}]
    started = {"metadata": {"namespace": "a", "name": "p"}, "status": {"containerStatuses": statuses}}
    pending = {"metadata": {"namespace": "a", "name": "q"}, "status": {}}
    assert usage.containers({"items": [started, pending]}) == {ID: "a/p operator"}


def test_a_busy_process_is_measured_and_one_that_ended_is_left_out() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    ended = subprocess.Popen(["true"])
    try:
        groups = {"busy": [busy.pid], "ended": [ended.pid]}
        first = usage.reading(busy.pid)
        assert first is not None
        ended.wait()
        assert wait(lambda: (now := usage.reading(busy.pid)) is not None and now.ticks >= first.ticks + 10, 30)
        (row,) = usage.used(groups, {busy.pid: first}, seconds=1.0)
    finally:
        busy.kill()
        busy.wait()
    assert (row.name, row.processes) == ("busy", 1)
    assert row.rss >= row.pss > 2**20
    assert row.cores >= 10 / os.sysconf("SC_CLK_TCK")


def test_the_table_ends_with_the_sum() -> None:
    lines = usage.table([Usage("etcd", 1, 40 * 2**20, 30 * 2**20, 0.25), Usage("mlflow", 3, 2**30, 2**29, 0.5)])
    assert [line.split() for line in lines[1:]] == [
        ["etcd", "1", "40", "MiB", "30", "MiB", "0.25"],
        ["mlflow", "3", "1024", "MiB", "512", "MiB", "0.50"],
        ["all", "together", "4", "1064", "MiB", "542", "MiB", "0.75"],
    ]


def test_a_process_that_is_gone_has_no_reading(tmp_path: Path) -> None:
    assert usage.reading(1, tmp_path) is None
