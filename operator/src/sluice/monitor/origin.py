"""Origin: which request each row of a sample came from.

Rows of one batched request are one caller's, sent at one moment: they are not so many independent
observations. And a mirrored request is answered twice, under the same request id: that id is what joins
the two answers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.bytes_]
Positions = NDArray[np.int32]

USUAL_ID = 36
"""Length of a UUID, which is what gateways make. Room for longer ids is made when one comes."""
MAX_ID = 64
"""Longest request id kept as it is, in bytes."""

UNKNOWN = b""
"""The id of a row of which nobody wrote down the request: it came alone, and joins with nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """The origins of a sample's rows, in the same order."""

    requests: Ids
    """Shape (rows,): ids of requests, ``UNKNOWN`` where none is known."""
    index: Positions
    """Shape (rows,)."""
    size: Positions
    """Shape (rows,)."""

    def __len__(self) -> int:
        return len(self.requests)

    def take(self, rows: NDArray[np.intp] | slice) -> Origins:
        """The origins of some of the rows."""
        return Origins(self.requests[rows], self.index[rows], self.size[rows])

    def copy(self) -> Origins:
        """The same, in memory of its own."""
        return Origins(self.requests.copy(), self.index.copy(), self.size.copy())

    def clusters(self) -> NDArray[np.intp]:
        """Shape (rows,): rows with the same number came in one request. Numbers are from 0 and dense."""
        _, codes = np.unique(self.requests, return_inverse=True)
        alone = self.requests == UNKNOWN
        if not alone.any():
            return codes
        codes[alone] = codes.max() + 1 + np.arange(int(alone.sum()))
        _, dense = np.unique(codes, return_inverse=True)
        return dense


def unknown(rows: int) -> Origins:
    """The origins of rows that nobody wrote down."""
    return Origins(np.zeros(rows, dtype="S1"), np.zeros(rows, dtype=np.int32), np.ones(rows, dtype=np.int32))


def gather(parts: list[Origins]) -> Origins:
    """The origins of several samples put together."""
    if not parts:
        return unknown(0)
    return Origins(
        np.concatenate([part.requests for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.size for part in parts]),
    )


def shortened(request: bytes) -> bytes:
    """A request id that fits: as it is where it can be, else its digest, so that equal ids stay equal.

    NumPy's fixed-width texts end at a NUL, and what is not printable ASCII would be no pleasure to query.
    """
    if len(request) <= MAX_ID and request.isascii() and request.decode("ascii").isprintable():
        return request
    return b"blake2:" + hashlib.blake2b(request, digest_size=16).hexdigest().encode()
