"""Validation reports: what is not clearly a pass is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.storage import validation

DIGEST = f"sha256:{'a' * 64}"
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_a_report() -> None:
    document = {
        "modelDigest": DIGEST,
        "result": "PASS",
        "validator": "val",
        "performedAt": "2026-11-20T10:00:00Z",
        "nextDueAt": "2027-11-20T10:00:00+01:00",
    }
    found = validation.read(json.dumps(document).encode(), "run 1")
    assert (found.model_digest, found.result, found.validator) == (DIGEST, "pass", "val")
    assert found.performed_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert found.next_due_at == datetime(2027, 11, 20, 9, tzinfo=UTC)


@given(st.binary())
def test_any_bytes_are_read_and_pass_nothing(raw: bytes) -> None:
    assert validation.read(raw, "s").result != "pass"


@given(JSON, JSON, JSON)
def test_any_json_is_read(result: object, digest: object, time: object) -> None:
    document = {"result": result, "modelDigest": digest, "performedAt": time}
    found = validation.read(json.dumps(document).encode(), "s")
    assert found.result == "" or isinstance(result, str)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"result": ["pass"]}', id="a-list"),
        pytest.param(b'{"result": "fail", "result": "pass"}', id="said-twice"),
        pytest.param(b'["pass"]', id="no-object"),
        pytest.param(b'\xef\xbb\xbf{"result": "pass"}', id="a-byte-order-mark"),
        pytest.param(b'{"result": "pass"} {"result": "pass"}', id="two-documents"),
        pytest.param(b'{"result": "pass"}' + b" " * (1 << 20), id="too-large"),
        pytest.param(b'{"a":' * 100_000, id="too-deep"),
        pytest.param(b'{"result": "pass with conditions"}', id="more-than-a-pass"),
    ],
)
def test_what_is_not_clearly_a_pass_is_none(raw: bytes) -> None:
    assert validation.read(raw, "s").result != "pass"
