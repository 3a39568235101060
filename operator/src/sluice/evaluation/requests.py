"""Requests: which golden rows are asked together, and what is one observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sluice.api.measure import Task
from sluice.evaluation.golden import Golden
from sluice.evaluation.question import Question
from sluice.evaluation.trouble import EvaluationError


@dataclass(frozen=True, slots=True)
class Request:
    """One request, the same to every server."""

    number: int
    """From 0; its x-request-id ends with it."""
    rows: tuple[int, ...]
    """The golden rows in it, from 0, in the order in which they are asked."""
    together: bool
    """Whether they are one observation, as those of a group are. Else each is its own."""


def plan(golden: Golden, question: Question) -> list[Request]:
    """The requests that ask each golden row once.

    Raises:
        EvaluationError: InvalidData: a row is of no group.
    """
    if question.group is None:
        every = range(golden.rows)
        batches = [tuple(every[start : start + question.batch]) for start in every[:: question.batch]]
        return [Request(number, rows, together=False) for number, rows in enumerate(batches)]
    shuffled = question.metric.task is Task.RANKING
    groups = _groups(golden.scalars(question.group, "the group"), question.group)
    return [
        Request(number, _shuffled(rows, number) if shuffled else tuple(rows), together=True)
        for number, rows in enumerate(groups)
    ]


def _groups(cells: Sequence[Any], name: str) -> list[list[int]]:
    """The rows of each value, in the order in which values come first."""
    groups: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        if cell is None:
            raise EvaluationError("InvalidData", f"row {row + 1} of the golden data has nothing in group column {name}")
        groups.setdefault(str(cell), []).append(row)
    return list(groups.values())


def _shuffled(rows: list[int], seed: int) -> tuple[int, ...]:
    """Golden data often have the relevant row first, and equal scores rank as they were asked: all would be right."""
    return tuple(np.random.default_rng(seed).permutation(rows).tolist())
