"""Spool: closed buckets as Parquet files on a volume, one directory per revision.

Files are named by the bucket's start and a random word, so several replicas, or one that was
restarted, share a volume without asking each other. Columns are named ``side.kind.name``, which any
tool that reads Parquet can query. Everything here blocks, and runs in a worker thread.
"""

from __future__ import annotations

import contextlib
import json
import logging
import uuid
from collections.abc import Iterator, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.cloudevents import Key
from sluice.monitor.reservoir import Chunk, Kind, Layout, Plane, Side
from sluice.monitor.store import Bucket
from sluice.monitor.tally import Tally
from sluice.monitor.telemetry import Metrics

log = logging.getLogger(__name__)

_METADATA = b"sluice"


class Spool:
    """The directory ``root/<namespace>/<revision>/<start>-<word>.parquet``."""

    def __init__(self, root: Path, metrics: Metrics) -> None:
        self._root = root
        self._metrics = metrics

    def write(self, key: Key, bucket: Bucket) -> Path:
        """Stores a closed bucket and returns its file, which appears whole or not at all.

        Raises:
            OSError: the volume is full or cannot be written.
        """
        # Imported late, here and below: 30 MiB that a monitor without a volume never needs.
        import pyarrow.parquet as pq

        folder = self._folder(key)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{bucket.start:017.3f}-{uuid.uuid4().hex[:8]}.parquet"
        draft = path.with_suffix(".draft")
        try:
            pq.write_table(_to_table(bucket), draft, compression="zstd")
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return path

    def window(
        self, key: Key, since: float, until: float, known: Set[Path] = frozenset()
    ) -> Iterator[tuple[Chunk, Tally]]:
        """One revision's stored buckets that begin in a span of time, oldest first, without the known ones.

        Raises:
            OSError: the volume cannot be read.
        """
        for path in sorted(self._folder(key).glob("*.parquet")):
            try:
                if since <= _start(path) < until and path not in known:
                    yield _read(path)
            except FileNotFoundError:
                continue  # expired between being listed and being read
            except ValueError:
                # A stray or damaged file. Sound ones beside it still make a sample of their own times.
                self._metrics.volume_errors.inc()
                log.warning("not a bucket of sluice-monitor", extra={"path": str(path)})

    def expire(self, *, before: float, max_bytes: int) -> int:
        """Deletes buckets that began before a moment, and the oldest until the rest fits.

        Returns how many.
        """
        files = sorted(self._root.glob("*/*/*.parquet"), key=lambda path: path.name, reverse=True)
        total = deleted = 0
        for path in files:
            # Another replica may expire the same volume.
            with contextlib.suppress(ValueError, FileNotFoundError):
                total += path.stat().st_size
                if total > max_bytes or _start(path) < before:
                    path.unlink()
                    deleted += 1
        for folder in self._root.glob("*/*"):
            with contextlib.suppress(OSError):  # not empty, which is the usual case
                folder.rmdir()
        return deleted

    def _folder(self, key: Key) -> Path:
        # Names come from headers anyone may send; quoted, and with dots replaced, they cannot climb.
        namespace, revision = (quote(part, safe="").replace(".", "%2E") for part in key)
        return self._root / namespace / revision


def _read(path: Path) -> tuple[Chunk, Tally]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return _from_table(file.read(use_threads=False))


def _start(path: Path) -> float:
    return float(path.name.partition("-")[0])


def _to_table(bucket: Bucket) -> Any:
    import pyarrow as pa

    chunk = bucket.chunk()
    arrays, names = [], []
    for place, values in enumerate(chunk.rows.T):
        plane = chunk.layout.planes[place]
        names.append(f"{plane.side}.{plane.kind}.{plane.name}")
        if plane.kind is Kind.TEXT:
            arrays.append(_texts(values, list(chunk.layout.vocabularies[place])))
        else:
            arrays.append(_array(pa.float64(), values))
    facts = {"start": chunk.start, "seen": chunk.seen, "tally": asdict(bucket.tally)}
    return pa.Table.from_arrays(arrays, names=names).replace_schema_metadata({_METADATA: json.dumps(facts)})


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
    encoded = [text.encode() for text in vocabulary]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    strings = pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
    return pa.DictionaryArray.from_arrays(_array(pa.int32(), codes, validity), strings)


def _codes(indices: Any) -> NDArray[np.float64]:
    """The way back from :func:`_texts`: codes, NaN for null."""
    validity, values = indices.buffers()
    codes = np.frombuffer(values, np.int32, len(indices)).astype(np.float64)
    if validity is not None:
        codes[np.unpackbits(np.frombuffer(validity, np.uint8), count=len(codes), bitorder="little") == 0] = np.nan
    return codes


def _from_table(table: Any) -> tuple[Chunk, Tally]:
    metadata = table.schema.metadata or {}
    if _METADATA not in metadata:
        raise ValueError("not a bucket of sluice-monitor")
    facts = json.loads(metadata[_METADATA])
    layout = Layout()
    rows = np.full((table.num_rows, table.num_columns), np.nan)
    for index, name in enumerate(table.column_names):
        side, kind, column = name.split(".", 2)
        place = layout.place(Plane(Side(side), column, Kind(kind)))
        for values in table.column(index).chunks:  # one, or none when there are no rows
            if kind == Kind.TEXT:
                vocabulary = values.dictionary.to_pylist()
                layout.vocabularies[place].update((text, code) for code, text in enumerate(vocabulary))
                rows[:, place] = _codes(values.indices)
            else:
                rows[:, place] = np.frombuffer(values.buffers()[1], np.float64, len(rows))
    return Chunk(facts["start"], facts["seen"], rows, layout), Tally(**facts["tally"])
