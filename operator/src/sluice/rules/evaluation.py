"""Evaluation: one CEL expression on one facts document. Only true is true: the library's errors are truthy values.

The library has limits of its own: expressions nest at most 32 deep, and a comprehension takes at most some 10,000
steps. Time and memory are limited from outside (``__main__.py``, ``edges/rules.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

_LONGEST = 300
"""Characters of a reason."""
_ENVIRONMENT = cel.NewEnv(variables={"facts": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})
_COMPLAINT = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?: \(in container ''\))?\n")
_CODE = re.compile(r"^[A-Z_]+: (.*?)(?: \[[A-Z_]+\])?$", re.DOTALL)
_MISSING = re.compile(r'Key not found in map : "(.*)"')


class RuleError(ValueError):
    """Why a rule has no value; the message says what to mend."""


@lru_cache(maxsize=256)
def compiled(expression: str) -> cel.Expression:
    """An expression that can be evaluated.

    Raises:
        RuleError: it cannot be read, or its value would never be true or false.
    """
    try:
        found = _ENVIRONMENT.compile(expression)
    except RuntimeError as error:
        raise RuleError(_complaint(str(error))) from None
    kind = found.return_type()
    if kind not in (cel.Type.BOOL, cel.Type.DYN):
        raise RuleError(f"it gives {_of_kind(kind)}, and a rule must give true or false")
    return found


def evaluate(expression: str, facts: Mapping[str, Any]) -> bool:
    """Whether a rule passes.

    Raises:
        RuleError: it cannot be told, or the value is neither true nor false.
        MemoryError: the process has no more memory.
    """
    try:
        found = compiled(expression).eval(data={"facts": facts})
        kind, value = found.type(), found.value()
    except RuntimeError as error:
        raise RuleError(_complaint(str(error))) from None
    if kind == cel.Type.ERROR:
        raise RuleError(_complaint(str(value)))
    if kind != cel.Type.BOOL:
        raise RuleError(f"it gives {_of_kind(kind)}, and a rule must give true or false")
    return value is True


def _of_kind(kind: cel.Type) -> str:
    name = kind.name().lower()
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _complaint(text: str) -> str:
    """What the library says, in one line, with what to do where that can be told."""
    if "recursion" in text:
        return "it is nested too deeply (more than 32 levels); split it into several rules"
    if "Iteration budget" in text:
        return "it takes too many steps (some 10,000 are allowed); do not go through one list within another"
    if (missing := _MISSING.search(text)) is not None:
        return f"nobody stated {missing[1]!r}, and the rule reads it; ask with has(…) first, or correct the name"
    if (said := _COMPLAINT.search(text + "\n")) is not None:
        line, column, what = said.groups()
        where = f"line {line}, column {column}: " if int(line) > 0 else ""
        return f"{where}{what}"[:_LONGEST]
    coded = _CODE.match(text.strip())
    return " ".join((coded[1] if coded else text).split())[:_LONGEST]
