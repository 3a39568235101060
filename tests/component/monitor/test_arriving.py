"""Events on the wire, byte by byte: what a sender may do, and what becomes of what it must not."""

from __future__ import annotations

import contextlib
import json
import socket
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Start = Callable[..., Any]
"""See conftest: starts a monitor."""
Headers = Callable[..., dict[str, str]]
REQUEST, RESPONSE = b'{"instances":[[1.0,2.0]]}', b'{"predictions":[3.0]}'


class Wire:
    """One TCP connection to a monitor."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> tuple[int, bytes]:
        """The next answer: status and body."""
        while b"\r\n\r\n" not in self._unread:
            self._receive()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(self._unread) < length:
            self._receive()
        body, self._unread = self._unread[:length], self._unread[length:]
        return int(head.split()[1]), body

    def is_closed(self) -> bool:
        """Waits for the other end to close."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> None:
        data = self._socket.recv(65_536)
        assert data, "closed without an answer"
        self._unread += data


@pytest.fixture(scope="module")
def monitor(start_shared: Start) -> Any:
    """Shared, for what these tests are about leaves nothing behind on it but counts."""
    return start_shared(max_body_bytes=2_000)


@pytest.fixture
def settle(monitor: Any) -> Callable[[], None]:
    """Waits until the one inference of this test has been worked off."""
    pairs = monitor.growth("sluice_monitor_pairs_total")
    return lambda: monitor.eventually(lambda: pairs() == 1)


@pytest.fixture
def wire(monitor: Any) -> Iterator[Wire]:
    opened = Wire(monitor.port)
    with contextlib.closing(opened):
        yield opened


@pytest.fixture
def event(headers: Headers) -> Callable[..., bytes]:
    """An event as bytes, with further lines in its head. Its id is this test's own."""
    prefix = uuid.uuid4().hex

    def build(
        identity: str, half: str, body: bytes, *lines: str, path: str = "/events", version: str = "HTTP/1.1"
    ) -> bytes:
        fields = [f"{name.title()}: {value}" for name, value in headers("m-r1", f"{prefix}-{identity}", half).items()]
        if not any(line.lower().startswith("transfer-encoding") for line in lines):
            fields.append(f"Content-Length: {len(body)}")
        return "\r\n".join([f"POST {path} {version}", "Host: monitor", *fields, *lines, "", ""]).encode() + body

    return build


Event = Callable[..., bytes]
Settle = Callable[[], None]


def test_events_in_one_segment_are_answered_one_by_one(settle: Settle, wire: Wire, event: Event) -> None:
    wire.send(event("a", "request", REQUEST) + event("a", "response", RESPONSE) + event("b", "request", REQUEST))
    assert [wire.answer() for _ in range(3)] == [(202, b"")] * 3
    settle()


def test_an_event_may_come_one_byte_at_a_time(settle: Settle, wire: Wire, event: Event) -> None:
    for byte in event("a", "request", REQUEST):
        wire.send(bytes([byte]))
    assert wire.answer() == (202, b"")
    wire.send(event("a", "response", RESPONSE))
    assert wire.answer() == (202, b"")
    settle()


def test_an_event_may_come_in_chunks_of_no_stated_length(settle: Settle, wire: Wire, event: Event) -> None:
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (REQUEST[:7], REQUEST[7:])) + b"0\r\n\r\n"
    wire.send(event("a", "request", chunked, "Transfer-Encoding: chunked"))
    assert wire.answer() == (202, b"")
    wire.send(event("a", "response", RESPONSE))
    assert wire.answer() == (202, b"")
    settle()


@pytest.mark.parametrize("path", ["/events", "/", "/events/token-that-nobody-asked-for", "/events?from=broker"])
def test_events_are_taken_at_every_path_that_is_theirs(wire: Wire, event: Event, path: str) -> None:
    wire.send(event("a", "request", REQUEST, path=path))
    assert wire.answer() == (202, b"")


def test_a_connection_may_carry_other_requests_before_and_after_events(
    settle: Settle, wire: Wire, event: Event
) -> None:
    wire.send(event("a", "request", REQUEST))
    assert wire.answer() == (202, b"")
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: monitor\r\n\r\n")
    assert wire.answer() == (200, b"ok\n")
    wire.send(event("a", "response", RESPONSE))
    assert wire.answer() == (202, b"")
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: monitor\r\n\r\n")
    assert wire.answer() == (200, b"ok\n")
    settle()


@pytest.mark.parametrize(
    ("lines", "version"),
    [pytest.param(("Connection: close",), "HTTP/1.1", id="asked for"), pytest.param((), "HTTP/1.0", id="HTTP/1.0")],
)
def test_a_sender_that_wants_no_more_is_let_go(wire: Wire, event: Event, lines: tuple[str, ...], version: str) -> None:
    wire.send(event("a", "request", REQUEST, *lines, version=version))
    assert wire.answer() == (202, b"")
    assert wire.is_closed()


def test_a_sender_that_asks_first_is_told_to_go_on(wire: Wire, event: Event) -> None:
    head, _, _ = event("a", "request", REQUEST, "Expect: 100-continue").partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire._socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(REQUEST)
    assert wire.answer() == (202, b"")


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(monitor: Any, wire: Wire, event: Event) -> None:
    refused = monitor.growth('sluice_monitor_events_malformed_total{reason="size"}')
    head, _, _ = event("a", "request", b"x" * 2_001).partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.answer()[0] == 413
    assert wire.is_closed()
    assert refused() == 1


def test_a_body_that_turns_out_too_large_is_refused_while_it_comes(monitor: Any, wire: Wire, event: Event) -> None:
    wire.send(event("a", "request", b"", "Transfer-Encoding: chunked") + b"400\r\n" + b"x" * 0x400 + b"\r\n")
    wire.send(b"400\r\n" + b"x" * 0x400 + b"\r\n")
    assert wire.answer()[0] == 413
    assert wire.is_closed()
    assert monitor.metric("sluice_monitor_unfinished_bytes") == 0


def test_a_head_without_end_is_refused(monitor: Any, wire: Wire, event: Event) -> None:
    refused = monitor.growth('sluice_monitor_events_malformed_total{reason="size"}')
    with contextlib.suppress(ConnectionError):  # it may close while we still write
        wire.send(b"POST /events HTTP/1.1\r\nX: " + b"x" * 20_000)
        wire.send(b"x" * 20_000)
    assert wire.answer()[0] == 431
    assert wire.is_closed()
    assert refused() == 1


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"POST /events HTTP/9.9\r\n\r\n", id="version"),
        pytest.param(b"POST /events HTTP/1.1\r\nno header\r\n\r\n", id="header"),
        pytest.param(b"POST /events HTTP/1.1\r\nContent-Length: -1\r\n\r\n", id="length"),
        pytest.param(
            b"POST /events HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", id="two lengths"
        ),
        pytest.param(b"POST /events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="chunk"),
    ],
)
def test_what_is_no_http_is_refused_and_counted(monitor: Any, wire: Wire, garbage: bytes) -> None:
    refused = monitor.growth('sluice_monitor_events_malformed_total{reason="http"}')
    wire.send(garbage)
    assert wire.answer()[0] == 400
    assert wire.is_closed()
    assert refused() == 1
    assert monitor.get("/healthz").status == 200


def test_an_event_that_is_no_event_is_refused_and_the_next_one_is_taken(wire: Wire, event: Event) -> None:
    wire.send(event("a", "nothing of ours", REQUEST))
    status, text = wire.answer()
    assert (status, text) == (400, b"ce-type is neither an inference request nor a response\n")
    wire.send(event("a", "request", REQUEST))
    assert wire.answer() == (202, b"")


def test_another_request_behind_an_event_in_one_segment_ends_the_connection(wire: Wire, event: Event) -> None:
    wire.send(event("a", "request", REQUEST) + b"GET /metrics HTTP/1.1\r\nHost: monitor\r\n\r\n")
    assert wire.answer() == (202, b"")
    assert wire.answer()[0] == 404
    assert wire.is_closed()


def test_a_sender_that_leaves_in_mid_sentence_leaves_nothing_behind(monitor: Any, event: Event) -> None:
    wires = [Wire(monitor.port) for _ in range(20)]
    for wire in wires:
        wire.send(event("a", "request", b"x" * 1_000)[:-500])
    monitor.eventually(lambda: monitor.metric("sluice_monitor_unfinished_bytes") == 20 * 500)
    for wire in wires:
        wire.close()
    monitor.eventually(lambda: monitor.metric("sluice_monitor_unfinished_bytes") == 0)
    assert monitor.metric("sluice_monitor_queue_events") == 0


def test_an_event_under_way_when_the_monitor_stops_is_taken(start: Start, event: Event) -> None:
    monitor = start()
    with contextlib.closing(Wire(monitor.port)) as wire:
        whole = event("a", "request", REQUEST)
        wire.send(whole[:-5])
        monitor.eventually(lambda: monitor.metric("sluice_monitor_unfinished_bytes") > 0)
        monitor._connection.close()
        monitor.process.terminate()
        monitor.eventually(lambda: "Shutting down" in monitor.log.read_text())
        wire.send(whole[-5:])
        assert wire.answer() == (202, b"")
        assert wire.is_closed()
    assert monitor.process.wait(60) == 0


def test_rows_of_a_batch_are_stored_with_their_request(start: Start, tmp_path: Any) -> None:
    import duckdb

    monitor = start(rows_url=tmp_path / "rows", checkpoint_seconds=1)
    monitor.infer("m-r1", "a", {"instances": [[1, 2], [3, 4]]}, {"predictions": [3, 7]}, request_id="from-the-gateway")
    monitor.infer("m-r2", "b", {"instances": [[1, 2], [3, 4]]}, {"predictions": [4, 7]}, request_id="from-the-gateway")
    monitor.settle(2)
    assert monitor.stop() == 0
    rows = duckdb.execute(
        """
        SELECT one."request.row", one."outputs.number.prediction", two."outputs.number.prediction"
        FROM read_parquet($1, hive_partitioning = true) one JOIN read_parquet($1, hive_partitioning = true) two
        USING ("request.id", "request.row") WHERE one.revision = 'm-r1' AND two.revision = 'm-r2' ORDER BY 1
        """,
        [f"{tmp_path}/rows/**/*.parquet"],
    ).fetchall()
    assert rows == [(0, 3.0, 4.0), (1, 7.0, 7.0)]


def test_a_hostile_flood_of_ids_and_shapes_is_survived(start: Start, headers: Headers) -> None:
    monitor = start(max_series=3)
    bodies = [json.dumps({"instances": [{f"column-{index}-{other}": 1 for other in range(40)}]}) for index in range(60)]
    for index, body in enumerate(bodies):
        for half, text in (("request", body), ("response", '{"predictions":[1]}')):
            for revision in ("m-r1", f"m-r{index + 2}"):
                answer = monitor.request("POST", "/events", text.encode(), headers(revision, f"{index}", half))
                assert answer.status == 202
    monitor.eventually(lambda: monitor.metric('sluice_monitor_events_dropped_total{reason="revisions"}') == 58)
    assert monitor.metric("sluice_monitor_schema_changes_total") == 50  # 51 times 40 columns, and no more than 2,048
    assert monitor.metric('sluice_monitor_events_malformed_total{reason="body"}') == 9
