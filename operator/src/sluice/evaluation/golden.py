"""Golden: rows of which the truth is known, read from a file. What it is, the file's first bytes say."""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import math
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from sluice.evaluation.question import MAX_ROWS
from sluice.evaluation.trouble import EvaluationError
from sluice.monitor.payload import Cell

_MEMORY = "256MB"
_PEEK = 1 << 16
_PARQUET, _BYTE_ORDER_MARK, _GZIP = b"PAR1", b"\xef\xbb\xbf", b"\x1f\x8b"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?|-?\.[0-9]+")
"""A text that is nothing but a number: 007 is a name."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The rows, column by column."""

    columns: Mapping[str, Sequence[Any]]
    """By name, in the file's order: each cell a number, a text, a boolean, None, or lists and objects of those."""
    rows: int
    digest: str
    """``sha256:`` and the digest of the file."""
    texts: bool = False
    """Whether every cell is a text, for the file knows nothing else (CSV)."""

    def cells(self, name: str, what: str) -> Sequence[Any]:
        """A column as it is in the file.

        Raises:
            EvaluationError: there is no such column; ``what`` says what it was wanted for.
        """
        if name not in self.columns:
            there = ", ".join(list(self.columns)[:20])
            message = f"the golden data have no column {name}, which is wanted as {what}; there are: {there}"
            raise EvaluationError("InvalidData", message)
        return self.columns[name]

    def scalars(self, name: str, what: str) -> Sequence[Cell]:
        """The same, if no cell of it is a list or an object. Raises like :meth:`cells`."""
        cells = self.cells(name, what)
        for row, cell in enumerate(cells, 1):
            if isinstance(cell, list | dict):
                message = f"row {row} of the golden data has a list or an object in column {name}, which is {what}"
                raise EvaluationError("InvalidData", message)
        return cells

    def truths(self, name: str) -> Sequence[Cell]:
        """The column of the truth; texts as numbers, where all of them are such. Raises like :meth:`cells`."""
        cells = self.scalars(name, "the label")
        return numbers(cells) if self.texts else cells


def numbers(texts: Sequence[Any]) -> Sequence[Any]:
    """Texts as numbers, if every one of them is a number and nothing else; else as they are.

    ``["1", "2.5", None]`` are 1 and 2.5; ``["1", "other"]`` and ``["007"]`` stay texts.
    """
    if all(_NUMBER.fullmatch(text) for text in {text for text in texts if text is not None}):
        return [None if text is None else _number(text) for text in texts]
    return texts


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def read(path: Path) -> Golden:
    """All rows of a file: Parquet, JSON lines (its first character is a brace), or CSV with a header.

    Raises:
        EvaluationError: InvalidData, where it cannot be read or has no rows; TooManyRows, where it has over 20,000.
    """
    try:
        with path.open("rb") as file:
            digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            file.seek(0)
            start = file.read(_PEEK)
    except OSError as error:
        raise EvaluationError("InvalidData", f"the golden data cannot be read: {error}") from error
    texts = False
    if start.startswith(_PARQUET):
        columns = _query(path, "read_parquet(?)")
    elif start.startswith(_GZIP) or b"\0" in start:
        message = "the golden data are neither Parquet nor text: give Parquet, or CSV or JSON lines uncompressed"
        raise EvaluationError("InvalidData", message)
    elif start.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        columns = _json_lines(path)
    else:
        # All as text: what a number is, the model's signature knows better, and 007 may be a name.
        columns, texts = _query(path, "read_csv(?, header = true, all_varchar = true)"), True
    rows = len(next(iter(columns.values()), ()))
    if not rows:
        raise EvaluationError("InvalidData", "the golden data have no rows")
    return Golden(columns, rows, digest, texts)


def _query(path: Path, source: str) -> dict[str, list[Any]]:
    import duckdb

    database = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    try:
        found = database.execute(f"SELECT * FROM {source} LIMIT {MAX_ROWS + 1}", [str(path)])  # noqa: S608 - our words
        names = [column[0] for column in found.description]
        rows = found.fetchall()
    except duckdb.Error as error:
        what = str(error).strip().splitlines()[0]
        raise EvaluationError("InvalidData", f"the golden data cannot be read: {what}") from error
    finally:
        database.close()
    _check_count(len(rows))
    return {name: [plain(row[place], name) for row in rows] for place, name in enumerate(names)}


def _json_lines(path: Path) -> dict[str, list[Any]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    rows = []
    with path.open("rb") as file:
        first = file.read(len(_BYTE_ORDER_MARK))
        if first != _BYTE_ORDER_MARK:
            file.seek(0)
        for number, line in enumerate(islice(_lines(file), MAX_ROWS + 1), 1):
            try:
                rows.append(decoder.decode(line))
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                message = f"line {number} of the golden data is no JSON object on one line: {error}"
                raise EvaluationError("InvalidData", message) from None
    _check_count(len(rows))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [plain(row.get(name), name) for row in rows] for name in names}


def _lines(file: Iterable[bytes]) -> Iterable[bytes]:
    return (line for line in file if line.strip())


def _check_count(rows: int) -> None:
    if rows > MAX_ROWS:
        message = f"the golden data have more than {MAX_ROWS:,} rows; give a sample of them"
        raise EvaluationError("TooManyRows", message)


def plain(value: Any, column: str) -> Any:
    """A cell as JSON can say it; None for what is no finite number.

    Raises:
        EvaluationError: InvalidData: JSON has no such thing, such as bytes.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case decimal.Decimal():
            return float(value) if value.is_finite() else None
        case dt.date() | dt.time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case list() | tuple():
            return [plain(one, column) for one in value]
        case dict():
            return {str(name): plain(one, column) for name, one in value.items()}
    message = f"column {column} of the golden data holds {type(value).__name__}, which no model can be asked with"
    raise EvaluationError("InvalidData", message)
