"""One guarded API server for all tests of the guards: they would be in the way of those that run as administrator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.component.governance.guarded import Guarded, started
from tests.component.platform import install_platform

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The chart's guards on a real API server that can mutate by policy."""
    with started(tmp_path_factory.mktemp("guarded")) as made:
        yield made


@pytest.fixture(scope="session")
def prepared(guarded: Guarded) -> Guarded:
    """The API server with KServe's and the Gateway API's kinds, and a Gateway."""
    guarded.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateways"}})
    install_platform(guarded.admin)
    return guarded


@pytest.fixture
def space(guarded: Guarded) -> str:
    """A namespace of the test's own, in which everybody has their role."""
    return guarded.namespace(f"guarded-{next(_numbers)}")
