"""Headers as KServe 0.20's logger sends them, and as nobody should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluice.monitor.cloudevents import (
    MAX_ATTRIBUTE,
    MAX_METADATA,
    Key,
    MalformedEventError,
    read_event,
    read_request_id,
    read_time,
)
from sluice.monitor.origin import MAX_ID

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
        headers = {name.encode(): value.encode() for name, value in captured["headers"].items()}
        event = read_event(headers, captured["body"].encode())
        assert event.is_request == captured["headers"]["ce-type"].endswith("request")
        assert event.key == Key("models", captured["headers"]["ce-inferenceservicename"])
    assert len(lines) == 40


@pytest.mark.parametrize("name", [b"ce-type", b"ce-id", b"ce-namespace", b"ce-inferenceservicename"])
def test_an_event_without_a_needed_header_is_malformed_and_the_header_is_named(name: bytes) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(MalformedEventError, match=name.decode()):
        read_event(headers, b"{}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(b"ce-type", b"org.kubeflow.serving.inference.other", id="unknown type"),
        pytest.param(b"ce-id", b"", id="empty id"),
        pytest.param(b"ce-id", b"x" * (MAX_ATTRIBUTE + 1), id="endless id"),
        pytest.param(b"ce-time", b"1" * (MAX_ATTRIBUTE + 1), id="endless time"),
        pytest.param(b"ce-inferenceservicename", "münchen".encode(), id="not ASCII"),
    ],
)
def test_an_event_with_a_senseless_header_is_malformed(name: bytes, value: bytes) -> None:
    with pytest.raises(MalformedEventError):
        read_event(HEADERS | {name: value}, b"{}")


def request_id(metadata: bytes) -> bytes:
    return read_request_id(read_event(HEADERS | {b"ce-metadata": metadata}, b"{}"))


def test_a_mirrored_request_has_one_id_at_both_revisions_and_two_events_ids() -> None:
    events = []
    for line in CAPTURED.read_text().splitlines()[:4]:
        captured = json.loads(line)
        events.append(read_event({k.encode(): v.encode() for k, v in captured["headers"].items()}, b"{}"))
    assert {event.revision for event in events} == {b"iris-r1", b"iris-r2"}
    assert len({event.id for event in events}) == 2
    assert {read_request_id(event) for event in events} == {b"my-own-id-1"}


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"{}", id="no such header"),
        pytest.param(b'{"X-Request-Id":[]}', id="no value"),
        pytest.param(b'{"X-Request-Id":[""]}', id="an empty value"),
        pytest.param(b'{"X-Request-Id":"a"}', id="not as the logger writes it"),
        pytest.param(b"{not json", id="not JSON"),
        pytest.param(b'{"X-Request-Id":["\xff"]}', id="not UTF-8"),
        pytest.param(b'{"X-Request-Id":["a"],"X":["' + b"x" * MAX_METADATA + b'"]}', id="more than is looked at"),
    ],
)
def test_without_a_request_id_the_event_s_own_stands_in(metadata: bytes) -> None:
    assert request_id(metadata) == b"1c281753"


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("x" * (MAX_ID + 1), id="too long"),
        pytest.param("müsli", id="not ASCII"),
        pytest.param("a\u0000b", id="with a NUL"),
    ],
)
def test_a_request_id_that_does_not_fit_is_kept_as_its_digest(given: str) -> None:
    first, again, other = (
        request_id(json.dumps({"X-Request-Id": [text]}).encode()) for text in (given, given, given + "2")
    )
    assert first == again != other
    assert len(first) <= MAX_ID
    assert first.startswith(b"blake2:")


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
