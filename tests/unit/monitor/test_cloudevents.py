"""Headers as KServe 0.20's logger sends them, and as nobody should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluice.monitor.cloudevents import MAX_ATTRIBUTE, Key, MalformedEventError, read_event, read_time

CAPTURED = Path(__file__).with_name("kserve-logger-events.jsonl")
HEADERS = {
    b"ce-type": b"org.kubeflow.serving.inference.request",
    b"ce-id": b"1c281753",
    b"ce-namespace": b"models",
    b"ce-inferenceservicename": b"iris-r1",
    b"ce-time": b"2026-11-24T08:16:00.700867932Z",
}


def test_every_captured_event_is_read() -> None:
    lines = CAPTURED.read_text().splitlines()
    for line in lines:
        captured = json.loads(line)
        headers = [(name.encode(), value.encode()) for name, value in captured["headers"].items()]
        event = read_event(headers, captured["body"].encode())
        assert event.is_request == captured["headers"]["ce-type"].endswith("request")
        assert event.key == Key("models", captured["headers"]["ce-inferenceservicename"])
    assert len(lines) == 40


@pytest.mark.parametrize("name", [b"ce-type", b"ce-id", b"ce-namespace", b"ce-inferenceservicename"])
def test_an_event_without_a_needed_header_is_malformed_and_the_header_is_named(name: bytes) -> None:
    headers = [(key, value) for key, value in HEADERS.items() if key != name]
    with pytest.raises(MalformedEventError, match=name.decode()):
        read_event(headers, b"{}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(b"ce-type", b"org.kubeflow.serving.inference.other", id="unknown type"),
        pytest.param(b"ce-id", b"", id="empty id"),
        pytest.param(b"ce-id", b"x" * (MAX_ATTRIBUTE + 1), id="endless id"),
        pytest.param(b"ce-inferenceservicename", "münchen".encode(), id="not ASCII"),
    ],
)
def test_an_event_with_a_senseless_header_is_malformed(name: bytes, value: bytes) -> None:
    with pytest.raises(MalformedEventError):
        read_event((HEADERS | {name: value}).items(), b"{}")


def test_nanoseconds_are_read() -> None:
    happened = read_time(b"2026-11-24T08:16:00.700867932Z", received=1_795_508_160.0, tolerance=300)
    assert happened == pytest.approx(1_795_508_160.700867)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="absent"),
        pytest.param(b"yesterday", id="not a time"),
        pytest.param(b"2026-11-24T08:16:00", id="no time zone"),
        pytest.param(b"2026-11-24T09:16:00Z", id="an hour ahead"),
        pytest.param(b"2020-01-01T00:00:00Z", id="years ago"),
    ],
)
def test_a_time_that_cannot_be_believed_gives_way_to_the_time_of_receipt(text: bytes) -> None:
    assert read_time(text, received=1_795_508_160.0, tolerance=300) == 1_795_508_160.0
