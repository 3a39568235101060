"""Marking: golden answers beside the truth, kept as the monitor keeps labelled answers, for its metrics."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from sluice.evaluation.requests import Request
from sluice.monitor.grading import UngradedError
from sluice.monitor.outcome import Outcomes, gather, truth
from sluice.monitor.payload import Table
from sluice.monitor.reservoir import Chunk, Layout, LayoutFullError, Reservoir


def places(requests: Sequence[Request]) -> list[int]:
    """The golden row of each outcome, in the order in which :func:`outcomes` has them."""
    return [row for request in requests for row in request.rows]


def outcomes(truths: Sequence[Any], requests: Sequence[Request], answers: Sequence[Table]) -> Outcomes:
    """Each answered row with its truth.

    Which request a row is of says what is one observation: the whole request where its rows belong together, else the
    row alone. Two revisions that were asked the same have the same there, so that their answers are paired.

    Args:
        truths: of each golden row.
        requests: what was asked.
        answers: to each request, row by row.

    Raises:
        UngradedError: the answers have ever new columns.
    """
    layout, kept = Layout(), places(requests)
    reservoir = Reservoir(max(len(kept), 1), random.Random(0))  # noqa: S311 - it keeps all, and draws nothing
    for request, table in zip(requests, answers, strict=True):
        for index, (row, answer) in enumerate(zip(request.rows, table.rows, strict=True)):
            known = truth(truths[row], arrived=0.0, asked=0.0)
            try:
                values = layout.encoder(known, table)(known.rows[0], answer)
            except LayoutFullError as error:
                raise UngradedError(f"the answers have ever new columns: {error}") from None
            slot = reservoir.choose()
            assert slot is not None, "there is room for every row"
            if request.together:
                reservoir.put(slot, values, b"group-%d" % request.number, index=index, size=len(request.rows))
            else:
                reservoir.put(slot, values, b"row-%d" % row)
    chunk = Chunk(0.0, reservoir.seen, reservoir.rows, layout, reservoir.origins)
    return gather([chunk])
