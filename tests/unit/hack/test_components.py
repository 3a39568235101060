"""A part of the cluster is ready once it has answered, and if it does not, it is said why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.components import Component
from hack.cluster.processes import Processes


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.stop("part")


def part(*answers: bool, command: tuple[str, ...] = ("sleep", "60")) -> Component:
    """A part that answers so in turn, and no more after that."""
    given = iter(answers)
    return Component("part", command, lambda: next(given, False), patience=1)


def test_one_answer_is_enough_though_the_next_would_come_too_late(processes: Processes) -> None:
    late = part(False, True, False)
    late.start(processes)
    late.await_ready(processes)


def test_a_part_that_stays_silent_is_not_ready(processes: Processes) -> None:
    silent = part()
    silent.start(processes)
    with pytest.raises(RuntimeError, match="part is not ready; the end of"):
        silent.await_ready(processes)


def test_a_part_that_has_ended_is_told_with_its_last_words(processes: Processes) -> None:
    ended = part(command=("sh", "-c", "sleep 0.2; echo no room left"))
    ended.start(processes)
    with pytest.raises(RuntimeError, match=r"part ended; the end of .*\n.*no room left"):
        ended.await_ready(processes)
