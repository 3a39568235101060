"""Parquet: the file format of buckets, written by Arrow and read by DuckDB, many files in one go.

A cell is a column of its name, ``<side>.<kind>.<name>``; ``request.id``, ``request.row`` and ``request.rows``
say which request a row came from. What else a bucket knows is in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.origin import Origins, unknown
from sluice.monitor.reservoir import Chunk, Kind, Layout, Plane, Side
from sluice.monitor.tally import Tally

_METADATA = "sluice"
_REQUEST = ("request.id", "request.row", "request.rows")
_MEMORY = "256MB"


class NotRowsError(ValueError):
    """A file is damaged, or none of ours."""


def load() -> None:
    """Loads the libraries now, which takes part of a second, rather than between two answers."""
    import pyarrow.parquet  # noqa: F401

    _database()


def to_bytes(chunk: Chunk, tally: Tally) -> bytes:
    """A bucket as the content of a file."""
    # Imported late, here and below: 30 MiB that a monitor without a depot never needs.
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays, names, texts = [], [], []
    for place, values in enumerate(chunk.rows.T):
        plane = chunk.layout.planes[place]
        names.append(f"{plane.side}.{plane.kind}.{plane.name}")
        if plane.kind is Kind.TEXT:
            texts.append(names[-1])
            arrays.append(_texts(values, list(chunk.layout.vocabularies[place])))
        else:
            arrays.append(_array(pa.float64(), values))
    origins = chunk.origins or unknown(len(chunk.rows))
    names += _REQUEST
    arrays += [_ids(origins.requests), _array(pa.int32(), origins.index), _array(pa.int32(), origins.size)]
    facts = {"start": chunk.start, "seen": chunk.seen, "tally": asdict(tally)}
    table = pa.Table.from_arrays(arrays, names=names).replace_schema_metadata({_METADATA: json.dumps(facts)})
    sink = pa.BufferOutputStream()
    # A dictionary of numbers that hardly repeat, and their least and greatest, help nobody.
    pq.write_table(table, sink, compression="zstd", use_dictionary=texts, write_statistics=False)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_files(
    paths: Sequence[Path], side: Side | None = None, requests: Sequence[bytes] | None = None
) -> list[tuple[Chunk, Tally]]:
    """The buckets in some files, in that order, with the columns of one side or of both.

    With ``requests``, only the rows of requests with these ids.

    Raises:
        NotRowsError: one of them is no bucket.
        FileNotFoundError: one of them is gone.
        OSError: one of them cannot be read.
    """
    import duckdb

    names = [str(path) for path in paths]
    sides = "|".join([side] if side else Side)
    wanted = "" if requests is None else f' WHERE "{_REQUEST[0]}" IN (SELECT unnest(?))'
    ids = [] if requests is None else [[request.decode() for request in requests]]
    database = _database().cursor()
    try:
        found = database.execute(
            "SELECT file_name, decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = ?", [names, _METADATA]
        ).fetchall()
        facts = {name: json.loads(value) for name, value in found}
        if len(facts) < len(set(names)):
            raise NotRowsError("no bucket of sluice-monitor")
        table = database.sql(
            f"SELECT COLUMNS('^({sides}|request)[.]'), filename "  # noqa: S608 - of our own words
            f"FROM read_parquet(?, union_by_name = true, filename = true){wanted}",
            params=[names, *ids],
        ).to_arrow_table()
    except duckdb.IOException as error:
        if gone := [path for path in paths if not path.exists()]:
            raise FileNotFoundError(gone[0]) from error
        raise OSError(str(error)) from error
    except duckdb.Error as error:
        raise NotRowsError(str(error)) from error
    finally:
        database.close()
    return _split(table.combine_chunks(), names, facts)


@cache
def _database() -> Any:
    """One for the process, in memory; every reader takes a cursor of it, and none of another's time."""
    import duckdb

    return duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def _split(table: Any, names: Sequence[str], facts: dict[str, Any]) -> list[tuple[Chunk, Tally]]:
    """The rows of each file, under a layout that all of them share."""
    layout = Layout()
    columns = [name for name in table.column_names if name not in (*_REQUEST, "filename")]
    rows = np.full((table.num_rows, len(columns)), np.nan)
    for name in columns:
        side, kind, column = name.split(".", 2)
        place = layout.place(Plane(Side(side), column, Kind(kind)))
        values = table.column(name).combine_chunks()
        if kind == Kind.TEXT:
            encoded = values.dictionary_encode()
            texts = encoded.dictionary.to_pylist()
            layout.vocabularies[place].update((text, code) for code, text in enumerate(texts))
            rows[:, place] = _numbers(encoded.indices, np.int32)
        else:
            rows[:, place] = _numbers(values, np.float64)
    origins = _origins(table)
    lengths = {run["values"]: run["counts"] for run in table.column("filename").value_counts().to_pylist()}
    chunks, top = [], 0
    for name in names:
        part = slice(top, top + lengths.get(name, 0))
        top = part.stop
        fact = facts[name]
        chunk = Chunk(fact["start"], fact["seen"], rows[part], layout, origins.take(part))
        chunks.append((chunk, Tally(**fact["tally"])))
    return chunks


def _origins(table: Any) -> Origins:
    if _REQUEST[0] not in table.column_names:
        return unknown(table.num_rows)
    ids, index, size = (table.column(name).combine_chunks() for name in _REQUEST)
    return Origins(
        np.array([text or b"" for text in ids.cast("binary").to_pylist()] or [b""], dtype=np.bytes_)[: len(ids)],
        np.nan_to_num(_numbers(index, np.int32)).astype(np.int32),
        np.nan_to_num(_numbers(size, np.int32), nan=1).astype(np.int32),
    )


def _array(kind: Any, values: NDArray[Any], validity: Any = None) -> Any:
    """An Arrow array on a NumPy array's memory.

    ``pa.array`` would do, but it imports pandas, 55 MiB, only to ask whether its argument is a Series.
    """
    import pyarrow as pa

    return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(np.ascontiguousarray(values))])


def _texts(values: NDArray[np.float64], vocabulary: list[str]) -> Any:
    """Codes, NaN for none, as an Arrow dictionary array of strings, null for none."""
    import pyarrow as pa

    present = ~np.isnan(values)
    codes = np.where(present, values, 0).astype(np.int32)
    validity = pa.py_buffer(np.packbits(present, bitorder="little"))
    strings = _strings([text.encode() for text in vocabulary])
    return pa.DictionaryArray.from_arrays(_array(pa.int32(), codes, validity), strings)


def _ids(requests: NDArray[np.bytes_]) -> Any:
    return _strings(requests.tolist())


def _strings(encoded: list[bytes]) -> Any:
    import pyarrow as pa

    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def _numbers(array: Any, kind: type[np.float64 | np.int32]) -> NDArray[np.float64]:
    """An Arrow array of numbers as floats, NaN for null. Its own way would import pandas, too."""
    validity, values = array.buffers()
    numbers = np.frombuffer(values, kind, array.offset + len(array))[array.offset :].astype(np.float64)
    if validity is not None and array.null_count:
        bits = np.unpackbits(np.frombuffer(validity, np.uint8), count=array.offset + len(array), bitorder="little")
        numbers[bits[array.offset :] == 0] = np.nan
    return numbers
