"""Inputs: golden cells in the order, and of the types, that a model's signature names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sluice.evaluation.golden import Golden, numbers
from sluice.evaluation.question import Column, Question, Server
from sluice.evaluation.trouble import EvaluationError

_UNNAMED = re.compile("input[0-9]+")
"""What a signature's columns are called that have no names: they say nothing of the data's."""


def instances(golden: Golden, server: Server, question: Question) -> list[list[Any]]:
    """What a server is asked with, row by row: for each of its columns, in its order, a cell.

    Raises:
        EvaluationError: InvalidData: there is no such column, or a cell is not of its type.
    """
    columns = _columns(golden, server, question)
    cells = [_typed(golden, column, server) for column in columns]
    return [list(row) for row in zip(*cells, strict=True)]


def _columns(golden: Golden, server: Server, question: Question) -> Sequence[Column]:
    stated = server.columns
    nameless = all(_UNNAMED.fullmatch(column.name) and column.name not in golden.columns for column in stated)
    if stated and not nameless:
        return stated
    kept = {question.label, question.group, *question.slices}
    found = [Column(name=name, type="") for name in golden.columns if name not in kept]
    if not found:
        raise EvaluationError("InvalidData", "the golden data have no columns but label, group and slices")
    return found


def _typed(golden: Golden, column: Column, server: Server) -> Sequence[Any]:
    what = f"an input of {server.revision}"
    convert = _TYPES.get(column.type)
    if convert is None:
        return _guessed(golden.cells(column.name, what)) if golden.texts else golden.cells(column.name, what)
    typed = []
    for number, cell in enumerate(golden.cells(column.name, what), 1):
        try:
            typed.append(None if cell is None else convert(cell))
        except (ValueError, TypeError, OverflowError):
            said = repr(cell)[:40]
            message = f"row {number} of the golden data has {said} in column {column.name}, which is no {column.type}"
            raise EvaluationError("InvalidData", message) from None
    return typed


def _guessed(texts: Sequence[Any]) -> Sequence[Any]:
    """Texts of which nobody says what they are: numbers or booleans where all of them are such."""
    if all(text.lower() in ("true", "false") for text in texts if text is not None):
        return [None if text is None else _boolean(text) for text in texts]
    return numbers(texts)


def _whole(cell: Any) -> int:
    if isinstance(cell, str) and re.fullmatch("[+-]?[0-9]+", cell.strip()):
        return int(cell)
    number = float(cell)
    if not number.is_integer():
        raise ValueError(cell)
    return int(number)


def _boolean(cell: Any) -> bool:
    return _TRUTHS[cell.strip().lower()] if isinstance(cell, str) else _TRUTHS[str(int(cell))]


class _Truths(dict[str, bool]):
    def __missing__(self, text: str) -> bool:
        raise ValueError(text)


_TRUTHS = _Truths({"true": True, "1": True, "false": False, "0": False})


def _text(cell: Any) -> str:
    if isinstance(cell, list | dict):
        raise ValueError(cell)
    return str(cell)


_TYPES: dict[str, Callable[[Any], Any]] = {
    "double": float,
    "float": float,
    "long": _whole,
    "integer": _whole,
    "boolean": _boolean,
    "string": _text,
}
"""By MLflow's words. A cell of another type goes as it is."""
