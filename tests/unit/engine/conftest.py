"""An API server in memory, a clock, and an engine around them."""

from __future__ import annotations

import pytest

from tests.unit.engine.fakes import Engine, FakeKube, Time, cluster


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def kube(time: Time) -> FakeKube:
    return cluster(time)


@pytest.fixture
def engine(kube: FakeKube, time: Time) -> Engine:
    return Engine(kube, time)
