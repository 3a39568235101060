"""One guarded API server for all tests of the guards: they would be in the way of those that run as administrator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.component.governance.guarded import Guarded, started

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The chart's guards on a real API server that can mutate by policy."""
    with started(tmp_path_factory.mktemp("guarded")) as made:
        yield made


@pytest.fixture
def space(guarded: Guarded) -> str:
    """A namespace of the test's own, in which everybody has their role."""
    return guarded.namespace(f"guarded-{next(_numbers)}")
