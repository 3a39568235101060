"""From events to rows: what is kept, what is counted, and what is shed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.api.sender import evaluation_prefix
from sluice.monitor.cloudevents import Event, Key, read_event
from sluice.monitor.collector import Collector
from sluice.monitor.senders import Senders
from sluice.monitor.store import Store
from sluice.monitor.telemetry import Metrics

CAPTURED = Path(__file__).with_name("kserve-logger-events.jsonl")
NOW = 1_795_508_200.0
"""A moment within five minutes of the captured events."""
REQUEST, RESPONSE = b'{"instances":[[1,2]]}', b'{"predictions":[3]}'


class Bench:
    """A collector with its store, its metrics and a clock that is set by hand."""

    def __init__(self, *, max_series: int = 100, max_events: int = 1_000, keys: Path | None = None) -> None:
        self.now = NOW
        self.metrics = Metrics()
        self.store = Store(bucket_seconds=10, bucket_rows=1_000, max_series=max_series, max_bytes=1 << 20, seed=0)
        self.collector = Collector(
            self.store,
            self.metrics,
            Senders(keys),
            pair_timeout=30,
            clock=lambda: self.now,
            max_events=max_events,
        )

    def send(
        self, identity: str, *, body: bytes, request: bool, revision: str = "m-r1", time: str = "", request_id: str = ""
    ) -> None:
        metadata = json.dumps({"X-Request-Id": [request_id]}).encode() if request_id else b""
        self.collector.offer(
            Event(request, b"models", revision.encode(), identity.encode(), time.encode(), body, metadata)
        )

    def infer(
        self,
        identity: str,
        revision: str = "m-r1",
        request: bytes = REQUEST,
        response: bytes = RESPONSE,
        request_id: str = "",
    ) -> None:
        self.send(identity, body=request, request=True, revision=revision, request_id=request_id)
        self.send(identity, body=response, request=False, revision=revision, request_id=request_id)
        self.collector.work()

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"sluice_monitor_{name}", labels) or 0.0


@pytest.fixture
def bench() -> Bench:
    return Bench()


def captured() -> Iterator[Event]:
    for line in CAPTURED.read_text().splitlines():
        event = json.loads(line)
        headers = {name.encode(): value.encode() for name, value in event["headers"].items()}
        yield read_event(headers, event["body"].encode())


def test_the_captured_events_become_the_rows_that_were_asked_and_answered(bench: Bench) -> None:
    for event in captured():
        bench.collector.offer(event)
    bench.collector.work()
    held = {revision: bench.store.window(Key("models", revision), 0) for revision in ("iris-r1", "iris-r2")}
    assert {revision: window.tally.paired for revision, window in held.items()} == {"iris-r1": 15, "iris-r2": 3}
    chunk = held["iris-r1"].chunks[0]
    assert [plane.name for plane in chunk.layout.planes] == ["x0", "x1", "x2", "x3", "prediction"]
    assert chunk.start == 1_795_508_160
    assert chunk.rows[0].tolist() == [5.1, 3.5, 1.4, 0.2, 0.0]


def test_a_request_without_a_response_counts_as_failed_in_the_bucket_it_came_in(bench: Bench) -> None:
    for event in captured():
        bench.collector.offer(event)
    bench.collector.work()
    bench.now += 29
    bench.collector.expire()
    assert bench.store.window(Key("models", "iris-r2"), 0).tally.failed == 0
    bench.now += 2
    bench.collector.expire()
    tallies = [bench.store.window(Key("models", revision), 0).tally for revision in ("iris-r1", "iris-r2")]
    assert sum(tally.failed for tally in tallies) == 4
    assert bench.metric("events_unpaired_total", type="request") == 4


def test_a_response_without_a_request_counts_as_orphaned(bench: Bench) -> None:
    bench.send("a", body=RESPONSE, request=False)
    bench.collector.work()
    bench.now += 31
    bench.collector.expire()
    assert bench.store.window(Key("models", "m-r1"), 0).tally.orphaned == 1


def test_an_event_without_a_body_is_neither_work_nor_a_loss(bench: Bench) -> None:
    bench.send("get", body=b"", request=True)
    bench.collector.work()
    bench.now += 31
    bench.collector.expire()
    assert bench.metric("events_ignored_total") == 1
    assert len(bench.store) == 0


@pytest.mark.parametrize(
    ("request_body", "response_body", "count"),
    [
        pytest.param(b"not json", RESPONSE, "unreadable", id="request unreadable"),
        pytest.param(REQUEST, b'{"error":"no"}', "unreadable", id="response unreadable"),
        pytest.param(REQUEST, b'{"predictions":[1,2]}', "mismatched", id="more answers than questions"),
    ],
)
def test_an_inference_that_gives_no_row_is_counted(
    bench: Bench, request_body: bytes, response_body: bytes, count: str
) -> None:
    bench.infer("a", request=request_body, response=response_body)
    bench.infer("b")
    tally = bench.store.window(Key("models", "m-r1"), 0).tally
    assert (tally.paired, getattr(tally, count)) == (2, 1)
    assert bench.store.rows == 1


def test_golden_rows_are_no_traffic(bench: Bench) -> None:
    """Neither what a model answers to them nor that it does not."""
    bench.infer("a", request_id="sluice-evaluation-0")
    bench.infer("b", response=b'{"error":"no"}', request_id="sluice-evaluation-1")
    bench.send("c", body=REQUEST, request=True, request_id="sluice-evaluation-2")
    bench.infer("d", request_id="d")
    bench.now += 31
    bench.collector.expire()
    tally = bench.store.window(Key("models", "m-r1"), 0).tally
    assert (tally.paired, tally.unreadable, tally.failed) == (1, 0, 0)
    assert bench.store.rows == 1
    assert bench.metric("evaluation_requests_total") == 3


def test_where_senders_are_known_nobody_has_requests_left_out_by_a_name(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("a" * 64)
    bench = Bench(keys=keys)
    bench.infer("a", request_id="sluice-evaluation-0")
    bench.infer("b", request_id=evaluation_prefix(b"a" * 64, "others") + "0")
    bench.infer("c", request_id=evaluation_prefix(b"b" * 64, "models") + "0")
    bench.infer("d", request_id=evaluation_prefix(b"a" * 64, "models") + "0")
    assert bench.store.rows == 3
    assert bench.metric("evaluation_requests_total") == 1


def test_rows_of_a_mirrored_request_bear_the_same_request_at_both_revisions(bench: Bench) -> None:
    batch = b'{"instances":[[1,2],[3,4]]}', b'{"predictions":[3,7]}'
    for revision in ("m-r1", "m-r2"):
        bench.infer(f"event-of-{revision}", revision, *batch, request_id="from-the-gateway")
    for revision in ("m-r1", "m-r2"):
        origins = bench.store.window(Key("models", revision), 0).chunks[0].origins
        assert origins is not None
        assert origins.requests.tolist() == [b"from-the-gateway"] * 2
        assert origins.index.tolist() == [0, 1]


def test_an_event_sent_twice_is_left_out_and_counted(bench: Bench) -> None:
    for _ in range(2):
        bench.send("a", body=REQUEST, request=True)
        bench.send("a", body=RESPONSE, request=False)
    bench.collector.work()
    bench.now += 31
    bench.collector.expire()
    tally = bench.store.window(Key("models", "m-r1"), 0).tally
    assert (tally.paired, tally.failed, tally.orphaned) == (1, 0, 0)
    assert bench.metric("events_odd_total", reason="duplicate") == 2


def test_a_late_response_is_counted_and_its_inference_is_lost_once(bench: Bench) -> None:
    bench.send("a", body=REQUEST, request=True)
    bench.collector.work()
    bench.now += 31
    bench.collector.expire()
    bench.send("a", body=RESPONSE, request=False)
    bench.collector.work()
    bench.now += 31
    bench.collector.expire()
    tally = bench.store.window(Key("models", "m-r1"), 0).tally
    assert (tally.paired, tally.failed, tally.orphaned) == (0, 1, 0)
    assert bench.metric("events_odd_total", reason="late") == 1


def test_a_response_that_overtakes_its_request_is_counted_and_costs_nothing(bench: Bench) -> None:
    bench.send("a", body=RESPONSE, request=False)
    bench.send("a", body=REQUEST, request=True)
    bench.collector.work()
    assert bench.store.rows == 1
    assert bench.metric("pairs_reordered_total") == 1


def test_halves_that_there_is_no_room_for_are_dropped_and_nobody_s_failure() -> None:
    bench = Bench(max_events=10)
    for batch in range(5):
        for index in range(4):
            bench.send(f"{batch}-{index}", body=REQUEST, request=True)
        bench.collector.work()
    assert bench.metric("waiting_events") == 10
    assert bench.metric("events_dropped_total", reason="waiting") == 10
    assert bench.store.window(Key("models", "m-r1"), 0).tally.failed == 0


def test_a_sender_whose_clock_is_wrong_is_filed_by_the_time_of_receipt(bench: Bench) -> None:
    bench.send("a", body=REQUEST, request=True, time="2020-01-01T00:00:00Z")
    bench.send("a", body=RESPONSE, request=False)
    bench.collector.work()
    assert bench.store.window(Key("models", "m-r1"), 0).chunks[0].start == NOW // 10 * 10
    assert bench.metric("events_untimed_total") == 1


def test_events_of_another_order_fall_into_the_buckets_of_their_own_times(bench: Bench) -> None:
    for second in (25, 5, 15):
        time = f"2026-11-24T08:16:{second:02}Z"
        bench.send(f"{second}", body=REQUEST, request=True, time=time)
        bench.send(f"{second}", body=RESPONSE, request=False, time=time)
    bench.collector.work()
    chunks = bench.store.window(Key("models", "m-r1"), 0).chunks
    assert sorted(chunk.start for chunk in chunks) == [1_795_508_160, 1_795_508_170, 1_795_508_180]


def test_a_schema_that_changes_in_mid_stream_adds_columns_and_loses_no_rows(bench: Bench) -> None:
    bench.infer("a")
    bench.infer("b", request=b'{"instances":[{"age":3}]}', response=b'{"predictions":["yes"]}')
    [chunk] = bench.store.window(Key("models", "m-r1"), 0).chunks
    assert len(chunk.rows) == 2
    assert {plane.name for plane in chunk.layout.planes} == {"x0", "x1", "age", "prediction"}
    assert bench.metric("schema_changes_total") == 1


def test_a_revision_too_many_is_dropped_and_counted() -> None:
    bench = Bench(max_series=1)
    bench.infer("a", revision="m-r1")
    bench.infer("b", revision="m-r2")
    bench.send("c", body=REQUEST, request=True, revision="m-r3")
    bench.collector.work()
    bench.now += 31
    bench.collector.expire()
    assert len(bench.store) == 1
    assert bench.metric("events_dropped_total", reason="revisions") == 2


def test_a_full_queue_sheds_whole_inferences_and_counts_them() -> None:
    bench = Bench(max_events=100)
    for index in range(1_000):
        bench.send(str(index), body=REQUEST, request=True)
        bench.send(str(index), body=RESPONSE, request=False)
    queued = bench.metric("queue_events")
    assert queued <= 100
    assert bench.metric("events_dropped_total", reason="queue") == 2_000 - queued
    bench.collector.work()
    tally = bench.store.window(Key("models", "m-r1"), 0).tally
    # Pairs, but for a half at most at each of the two fills where more begins to be shed, and at the end.
    assert tally.paired >= queued // 2 - 2


def test_what_is_shed_does_not_depend_on_the_revision() -> None:
    bench = Bench(max_events=400)
    for index in range(1_000):
        bench.send(f"{index}", body=REQUEST, request=True, revision=f"m-r{index % 2}")
        bench.send(f"{index}", body=RESPONSE, request=False, revision=f"m-r{index % 2}")
    bench.collector.work()
    kept = [bench.store.window(Key("models", f"m-r{index}"), 0).tally.paired for index in (0, 1)]
    assert min(kept) > 0.8 * max(kept)


async def test_the_loop_works_events_off_and_waits_for_more(bench: Bench) -> None:
    task = asyncio.create_task(bench.collector.run())
    for batch in range(2):
        for index in range(100):
            bench.send(f"{batch}-{index}", body=REQUEST, request=True)
            bench.send(f"{batch}-{index}", body=RESPONSE, request=False)
        async with asyncio.timeout(30):
            while bench.store.rows < 100 * (batch + 1):  # noqa: ASYNC110 - a stored row signals nobody
                await asyncio.sleep(0.001)
    task.cancel()


def test_a_process_that_ends_works_off_its_queue_and_blames_nobody_for_the_rest(bench: Bench) -> None:
    bench.send("a", body=REQUEST, request=True)
    bench.send("a", body=RESPONSE, request=False)
    bench.send("b", body=REQUEST, request=True)
    bench.collector.finish()
    tally = bench.store.window(Key("models", "m-r1"), 0).tally
    assert (tally.paired, tally.failed) == (1, 0)
