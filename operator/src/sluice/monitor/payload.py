"""Bodies of KServe's V1 and V2 protocols as tables: named columns, one row per instance."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec

Body = TypeVar("Body")
Cell = float | int | bool | str | None

MAX_COLUMNS = 512
"""Widest table accepted: images, and embeddings of more numbers, are not compared."""


class Table(NamedTuple):
    """Rows of one body. Every row has as many cells as there are names."""

    names: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    numeric: bool = False
    """Whether every cell is known to be a float, so that none needs to be looked at."""


class UnreadableBodyError(ValueError):
    """The body is not JSON of either protocol, or its shape does not hold together."""


class Tensor(msgspec.Struct):
    """One named tensor of the V2 protocol."""

    name: str
    shape: list[int]
    data: list[Any]
    """Flat in row-major order, or nested by the shape: the protocol allows both."""


class _RequestBody(msgspec.Struct):
    instances: list[Any] | None = None
    inputs: list[Tensor] | None = None


class _ResponseBody(msgspec.Struct):
    predictions: list[Any] | None = None
    outputs: list[Tensor] | None = None


class _NumberRequest(msgspec.Struct):
    instances: list[list[float]]


class _NumberResponse(msgspec.Struct):
    predictions: list[float]


_REQUESTS = msgspec.json.Decoder(_RequestBody)
_RESPONSES = msgspec.json.Decoder(_ResponseBody)
# What most models are asked and answer: these check every cell while they decode, in C.
_NUMBER_REQUESTS = msgspec.json.Decoder(_NumberRequest)
_NUMBER_RESPONSES = msgspec.json.Decoder(_NumberResponse)

_UNNAMED = re.compile(r"(in|out)puts?([-_.]?\d+)?|predict(ions?)?|dense(_\d+)?|args?_?\d*", re.IGNORECASE)
"""Names that servers give a tensor for want of a better one: ``input-0``, ``output-0``, ``predict``."""


def read_request(body: bytes) -> Table:
    """Rows of a request: ``instances`` (V1) or ``inputs`` (V2). Positional columns are x0, x1, …

    Raises:
        UnreadableBodyError: it is neither.
    """
    try:
        rows = _NUMBER_REQUESTS.decode(body).instances
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    else:
        width = len(rows[0]) if rows else 0
        return _measured(Table(_positions("x", width), rows, numeric=True))
    decoded = _decode(_REQUESTS, body)
    if decoded.instances is not None:
        return _read_instances(decoded.instances, "x", scalar="x0")
    return _read_tensors(decoded.inputs, "x", scalar="x0")


def read_response(body: bytes) -> Table:
    """Rows of a response: ``predictions`` (V1) or ``outputs`` (V2). A plain answer is column ``prediction``.

    Raises:
        UnreadableBodyError: it is neither.
    """
    try:
        answers = _NUMBER_RESPONSES.decode(body).predictions
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    else:
        return _measured(Table(("prediction",), [[answer] for answer in answers], numeric=True))
    decoded = _decode(_RESPONSES, body)
    if decoded.predictions is not None:
        return _read_instances(decoded.predictions, "prediction", scalar="prediction")
    return _read_tensors(decoded.outputs, "prediction", scalar="prediction")


def _decode(decoder: msgspec.json.Decoder[Body], body: bytes) -> Body:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Python servers write NaN and Infinity, which JSON does not know. A score of NaN is what a
        # gate must see, so such a body is read the slow way instead of being thrown away.
        if b"NaN" not in body and b"Infinity" not in body:
            raise UnreadableBodyError(str(error)) from None
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # raises for half a surrogate pair: UTF-8 has no such text
        return msgspec.convert(value, decoder.type)
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(str(error)) from None


def _read_instances(instances: list[Any], prefix: str, *, scalar: str) -> Table:
    """V1: a list of scalars, of lists, or of objects."""
    first = instances[0] if instances else None
    if isinstance(first, dict):
        return _read_objects(instances)
    if not isinstance(first, list):
        return _checked(Table((scalar,), [[cell] for cell in instances]))
    if not all(isinstance(row, list) for row in instances):
        raise UnreadableBodyError("instances mix lists with other values")
    rows = [list(_flat(row)) for row in instances]
    return _checked(Table(_positions(prefix, len(rows[0])), rows))


def _read_objects(instances: list[Any]) -> Table:
    """Objects of the same or differing keys; a key that a row lacks is a missing cell."""
    flattened = []
    for instance in instances:
        if not isinstance(instance, dict):
            raise UnreadableBodyError("instances mix objects with other values")
        flattened.append(dict(_named("", instance)))
    names = tuple(dict.fromkeys(name for row in flattened for name in row))
    return _checked(Table(names, [[row.get(name) for name in names] for row in flattened]))


def _read_tensors(tensors: list[Tensor] | None, prefix: str, *, scalar: str) -> Table:
    """V2: tensors whose first axis is the instance; the other axes become columns.

    A single tensor whose name says nothing gets the names that V1 would: clients of one model may speak
    either protocol, and the same feature must not be two columns.
    """
    if not tensors:
        raise UnreadableBodyError("neither the V1 nor the V2 protocol")
    count = tensors[0].shape[0] if tensors[0].shape else 0
    names: list[str] = []
    rows: list[list[Cell]] = [[] for _ in range(min(count, len(tensors[0].data)))]
    for tensor in tensors:
        cells = list(_flat(tensor.data))
        width = math.prod(tensor.shape[1:])
        if tensor.shape[:1] != [len(rows)] or len(cells) != len(rows) * width:
            raise UnreadableBodyError("a tensor's shape does not match its data or the other tensors")
        if len(tensors) == 1 and _UNNAMED.fullmatch(tensor.name):
            names += (scalar,) if width == 1 else _positions(prefix, width)
        else:
            names += [tensor.name] if width == 1 else [f"{tensor.name}[{index}]" for index in range(width)]
        for index, row in enumerate(rows):
            row += cells[index * width : (index + 1) * width]
    return _checked(Table(tuple(names), rows))


def _checked(table: Table) -> Table:
    if len(set(table.names)) != len(table.names):
        raise UnreadableBodyError("two columns have the same name")
    _measured(table)
    if not all(_SCALARS.issuperset(map(type, row)) for row in table.rows):
        raise UnreadableBodyError("an instance holds something other than numbers, strings and booleans")
    return table


def _measured(table: Table) -> Table:
    width = len(table.names)
    if not table.rows:
        raise UnreadableBodyError("no instances")
    if not 0 < width <= MAX_COLUMNS:
        raise UnreadableBodyError(f"{width} columns; between 1 and {MAX_COLUMNS} are compared")
    if set(map(len, table.rows)) != {width}:
        raise UnreadableBodyError("instances differ in length")
    return table


_SCALARS = frozenset({float, int, bool, str, type(None)})


def _positions(prefix: str, width: int) -> tuple[str, ...]:
    """Names of unnamed columns: x0, x1 for inputs; prediction[0], prediction[1] for answers."""
    if width > MAX_COLUMNS:  # before they are made: a body may claim any number of them
        raise UnreadableBodyError(f"{width} columns; between 1 and {MAX_COLUMNS} are compared")
    return _position_names(prefix, width)


@lru_cache(maxsize=2 * MAX_COLUMNS)
def _position_names(prefix: str, width: int) -> tuple[str, ...]:
    if prefix == "x":
        return tuple(f"x{index}" for index in range(width))
    return tuple(f"{prefix}[{index}]" for index in range(width))


def _flat(values: Any) -> Iterator[Any]:
    """Leaves of nested lists, in order."""
    for value in values:
        if type(value) is list:
            yield from _flat(value)
        else:
            yield value


def _named(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Leaves of nested objects and lists with their paths: ``score``, ``address.city``, ``embedding[3]``."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _named(f"{path}.{name}" if path else name, inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _named(f"{path}[{index}]", inner)
    else:
        yield path, value
