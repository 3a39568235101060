"""Result: what an evaluation found, as JSON. ``python -m sluice.storage publish`` reads it, and people after that."""

from __future__ import annotations

import msgspec

from sluice.api.verdict import Verdict
from sluice.evaluation.golden import Golden
from sluice.evaluation.question import Question


class Figure(msgspec.Struct, frozen=True, rename="camel"):
    """The metric of one revision's answers."""

    value: float
    rows: int
    """Golden rows that it is of."""
    margin: float
    """What the value may be off, to the side where it may be more, with the confidence of each verdict."""


class Slice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The rows with one value in one column."""

    column: str
    value: str
    rows: int
    """Golden rows with that value and a label."""
    candidate: float | None = None
    """The metric; None where it cannot be told."""
    stable: float | None = None
    margin: float | None = None
    """Of the candidate's value."""
    verdict: Verdict
    reason: str
    message: str


class Judged(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The verdict, with its figures."""

    verdict: Verdict
    reason: str
    """Why, in one CamelCase word."""
    message: str
    """Why, in at most 800 characters."""
    candidate: Figure | None = None
    """Over all rows; None where it cannot be told."""
    stable: Figure | None = None
    slices: tuple[Slice, ...] = ()
    """The worst first."""
    confidence: float
    """How sure each single verdict was, for all of them together to be as sure as was asked."""


def document(question: Question, golden: Golden, judged: Judged) -> bytes:
    """What was asked and found. The same answers give the same bytes."""
    content = {
        **msgspec.to_builtins(judged),
        "rows": golden.rows,
        "data": golden.digest,
        "question": question.shown(),
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2)
