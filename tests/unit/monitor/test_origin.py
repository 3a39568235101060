"""Which rows belong together."""

from __future__ import annotations

import numpy as np

from sluice.monitor.origin import Origins, gather, unknown


def origins(*requests: bytes) -> Origins:
    count = len(requests)
    return Origins(np.array(requests), np.zeros(count, dtype=np.int32), np.ones(count, dtype=np.int32))


def test_rows_of_one_request_are_one_cluster_wherever_they_are() -> None:
    first, second, third, fourth = origins(b"b", b"a", b"b", b"c").clusters().tolist()
    assert first == third
    assert sorted({first, second, fourth}) == [0, 1, 2]


def test_a_row_of_an_unknown_request_is_a_cluster_of_its_own() -> None:
    clusters = origins(b"", b"a", b"", b"a").clusters().tolist()
    assert clusters[1] == clusters[3]
    assert sorted(set(clusters)) == [0, 1, 2]
    assert len(set(unknown(5).clusters().tolist())) == 5
    assert unknown(0).clusters().tolist() == []


def test_ids_of_different_lengths_are_put_together_whole() -> None:
    together = gather([origins(b"a"), origins(b"a-much-longer-one"), unknown(1)])
    assert together.requests.tolist() == [b"a", b"a-much-longer-one", b""]
    assert len(gather([])) == 0
