"""What is not to be traced costs no tracing."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Run a test marked `no_cover` without a tracer, also in a process of xdist's.

    There, pytest-cov 7.1 has started two: one as if it were alone, and its own. It pauses the latter, which wakes the
    former. Nobody reads what that finds, and the test takes thrice as long.
    """
    tracer = sys.gettrace()
    if item.get_closest_marker("no_cover") is not None:
        sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
