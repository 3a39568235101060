"""Whatever a registry holds fits into an API object."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.storage import bounds

ANYTHING = st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.text(alphabet=st.characters(codec=None)))


@given(ANYTHING, st.integers(2, 50))
def test_a_text_fits_and_can_be_written(value: object, limit: int) -> None:
    found = bounds.text(value, limit)
    assert len(found) <= limit
    assert json.loads(json.dumps(found, ensure_ascii=False).encode()) == found


@given(ANYTHING, st.integers(2, 50))
def test_a_word_fits_on_a_line(value: object, limit: int) -> None:
    found = bounds.word(value, limit)
    assert len(found) <= limit
    assert found == " ".join(found.split())
    assert "\u202e" not in found


def test_what_was_cut_equals_nothing_that_is_looked_for() -> None:
    assert bounds.text("approved" + "x" * 10, 8) == "approve…"
    assert bounds.text("approved", 8) == "approved"


@pytest.mark.parametrize(
    "value", [None, 7, "", "sha256:", f"md5:{'a' * 64}", f"sha256:{'g' * 64}", "x" * 9999], ids=str
)
def test_what_is_no_digest_is_none(value: object) -> None:
    assert bounds.digest(value) is None


def test_a_digest_in_capitals_is_one() -> None:
    assert bounds.digest(f" SHA256:{'AB' * 32}\n") == f"sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("value", "time"),
    [
        pytest.param("2026-11-25T12:00:00Z", datetime(2026, 11, 25, 12, tzinfo=UTC), id="rfc-3339"),
        pytest.param("2026-11-25", datetime(2026, 11, 25, tzinfo=UTC), id="a-day"),
        pytest.param(1_000, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), id="milliseconds"),
        pytest.param("0001-01-01T00:00:00+10:00", None, id="before-time-began"),
        pytest.param(10**30, None, id="after-it-ended"),
        pytest.param(-1, None, id="negative"),
        pytest.param(True, None, id="a-boolean"),
        pytest.param("soon", None, id="a-word"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_times(value: object, time: datetime | None) -> None:
    assert bounds.time(value) == time
