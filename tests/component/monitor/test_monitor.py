"""The whole monitor over HTTP: events in, a verdict and its evidence out."""

from __future__ import annotations

import hashlib
import html.parser
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

KEPT = 5
"""Reports of the shared monitor. More than ever wait at a time: one that waits may be the oldest, and goes."""
HOSTILE = "</script><script>alert(1)</script><!--"
Start = Callable[..., Any]
"""See conftest: starts a monitor."""
Headers = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def shared(start_shared: Start) -> Any:
    """For tests that need no monitor of their own: to start one takes seconds, and its first report many."""
    return start_shared(max_body_bytes=2_000, reports_kept=KEPT, renderer_idle=600)


@pytest.fixture
def monitor(shared: Any) -> Any:
    """The shared one, in a namespace of the test's own."""
    return shared.apart()


def send(monitor: Any, revision: str, answers: list[object], start: int = 0) -> None:
    rng = np.random.default_rng(start)
    for index, answer in enumerate(answers, start):
        request = {"instances": [rng.normal(size=3).tolist()]}
        monitor.infer(revision, f"{revision}-{index}", request, {"predictions": [answer]})


def scores(seed: int, shift: float = 0.0, count: int = 150) -> list[object]:
    return [float(score) for score in np.random.default_rng(seed).normal(shift, size=count)]


class Scripts(html.parser.HTMLParser):
    """Counts the script elements that a browser would run."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += tag == "script"


def scripts(page: str) -> int:
    parser = Scripts()
    parser.feed(page)
    return parser.count


def test_a_candidate_that_behaves_alike_passes_and_the_answer_keeps_its_contract(monitor: Any) -> None:
    send(monitor, "m-r1", scores(1))
    send(monitor, "m-r2", scores(2))
    monitor.settle(300)
    answer = monitor.ask("m-r2", "m-r1")
    assert answer.status == 200
    body = answer.json
    assert (body["verdict"], body["reason"]) == ("Pass", "WithinLimits")
    assert set(body) == {
        "verdict", "reason", "message", "samples", "inferences", "windowStart", "windowEnd", "columns", "report",
    }  # fmt: skip
    assert body["samples"] == {"candidate": 150, "stable": 150}
    assert body["inferences"]["candidate"]["paired"] == 150
    assert monitor.since.isoformat()[:19] <= body["windowStart"][:19] <= body["windowEnd"][:19]
    assert set(body["report"]) == {"id", "url"}
    [column] = body["columns"]
    assert set(column) == {
        "name", "kind", "verdict", "reason", "test", "statistic", "pValue", "alpha", "effect", "minEffect",
        "detectableEffect", "meanShift", "missingCandidate", "missingStable",
    }  # fmt: skip
    assert (column["name"], column["kind"], column["test"], column["alpha"]) == ("prediction", "Numeric", "ks", 0.01)


def test_a_candidate_that_drifts_fails_and_its_report_can_be_read_and_verified(monitor: Any) -> None:
    send(monitor, "m-r1", scores(1))
    send(monitor, "m-r2", scores(2, shift=2))
    monitor.settle(300)
    answer = monitor.ask("m-r2", "m-r1").json
    assert (answer["verdict"], answer["reason"]) == ("Fail", "DriftDetected")
    assert "prediction" in answer["message"]
    record = monitor.report(answer["report"]["id"])
    assert record["state"] == "Rendered", record
    assert record["answer"]["verdict"] == "Fail"
    page = monitor.get(answer["report"]["url"])
    assert page.status == 200
    assert record["digest"] == f"sha256:{hashlib.sha256(page.body).hexdigest()}"
    assert "Data drift detected" in page.body.decode()
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy


def test_inputs_are_judged_by_the_names_of_the_signature(monitor: Any) -> None:
    send(monitor, "m-r1", scores(1), start=0)
    send(monitor, "m-r2", scores(2), start=1_000)
    monitor.settle(300)
    schema = [{"name": name, "type": "double"} for name in ("age", "income", "debt")]
    answer = monitor.ask("m-r2", "m-r1", subject="Inputs", schema=schema, columns=["age", "debt"]).json
    assert [column["name"] for column in answer["columns"]] == ["age", "debt"]
    assert answer["verdict"] == "Pass"


def test_rankings_of_mirrored_requests_are_compared_and_shown(monitor: Any) -> None:
    """Two that rank alike, one by other figures; and one that ranks the other way round."""
    rng = np.random.default_rng(1)
    for number in range(60):
        rows = rng.normal(size=(12, 2)).tolist()
        for revision, weight in (("m-r1", 1.0), ("m-r2", 100.0), ("m-r3", -1.0)):
            answers = [weight * row[0] for row in rows]
            name = f"{revision}-{number}"
            monitor.infer(revision, name, {"instances": rows}, {"predictions": answers}, request_id=f"request-{number}")
    monitor.settle(180)
    alike = monitor.ask("m-r2", "m-r1", subject="Ranking", top=3, minEffect=0.2).json
    assert alike["verdict"] == "Pass", alike
    assert alike["columns"][0]["effect"] == 0
    other = monitor.ask("m-r3", "m-r1", subject="Ranking", top=3, minEffect=0.2).json
    assert (other["verdict"], other["columns"][0]["name"]) == ("Fail", "prediction (first 3)")
    assert other["columns"][0]["effect"] == 1
    assert monitor.report(other["report"]["id"])["state"] == "Rendered"
    assert monitor.ask("m-r3", "m-r1", subject="Ranking", top=12).json["reason"] == "NoData"


def test_a_hostile_category_cannot_break_out_of_the_report(monitor: Any) -> None:
    classes: list[object] = ["good", "bad"]
    hostile: list[object] = ["good", HOSTILE]
    send(monitor, "m-r1", classes * 75)
    send(monitor, "m-r2", classes * 75)
    send(monitor, "m-r3", hostile * 75)
    monitor.settle(450)
    pages = []
    for candidate in ("m-r2", "m-r3"):
        answer = monitor.ask(candidate, "m-r1").json
        assert monitor.report(answer["report"]["id"])["state"] == "Rendered"
        pages.append(monitor.get(answer["report"]["url"]).body.decode())
    harmless, attacked = pages
    assert HOSTILE not in attacked
    assert "\\u003c/script>\\u003cscript>alert(1)" in attacked
    assert scripts(attacked) == scripts(harmless) > 0


def test_requests_without_a_response_make_a_pass_inconclusive(start: Start) -> None:
    monitor = start(pair_timeout=0.5)
    send(monitor, "m-r1", scores(1))
    send(monitor, "m-r2", scores(2))
    for index in range(100):
        monitor.infer("m-r2", f"lost-{index}", {"instances": [[1, 2, 3]]}, None)
    monitor.eventually(lambda: monitor.metric('sluice_monitor_events_unpaired_total{type="request"}') >= 100)
    answer = monitor.ask("m-r2", "m-r1").json
    assert (answer["verdict"], answer["reason"]) == ("Inconclusive", "SamplesLost")
    assert answer["inferences"]["candidate"]["failed"] == 100
    assert answer["report"] is None


def test_a_split_that_is_not_the_one_that_was_told_makes_a_pass_inconclusive(monitor: Any) -> None:
    send(monitor, "m-r1", scores(1))
    send(monitor, "m-r2", scores(2))
    monitor.settle(300)
    assert monitor.ask("m-r2", "m-r1", share=0.5).json["verdict"] == "Pass"
    told = monitor.ask("m-r2", "m-r1", share=0.1).json
    assert (told["verdict"], told["reason"]) == ("Inconclusive", "SampleRatioMismatch")
    assert "50.00% of 300 requests, and should have 10.00%" in told["message"]


def test_of_a_guard_look_that_passes_no_report_is_made(monitor: Any) -> None:
    send(monitor, "m-r1", scores(1))
    send(monitor, "m-r2", scores(2))
    send(monitor, "m-r3", scores(3, shift=2))
    monitor.settle(450)
    passed, failed = (monitor.ask(name, "m-r1", guard=True).json for name in ("m-r2", "m-r3"))
    assert (passed["verdict"], passed["report"]) == ("Pass", None)
    assert failed["verdict"] == "Fail"
    assert monitor.report(failed["report"]["id"])["state"] == "Rendered"


def test_a_revision_never_heard_of_is_inconclusive(monitor: Any) -> None:
    answer = monitor.ask("m-r2", "m-r1").json
    assert (answer["verdict"], answer["reason"], answer["report"]) == ("Inconclusive", "NoData", None)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"subject": "Weather"}, id="unknown subject"),
        pytest.param({"alpha": 0}, id="no budget"),
        pytest.param({"alpha": "0.01"}, id="a number as text"),
        pytest.param({"minSamples": 1_000_000}, id="more samples than are kept"),
        pytest.param({"since": "2026-11-24T08:00:00"}, id="no time zone"),
        pytest.param({"deployment": ""}, id="no deployment"),
    ],
)
def test_a_question_that_makes_no_sense_is_an_error_that_says_why(monitor: Any, changes: dict[str, object]) -> None:
    answer = monitor.ask("m-r2", "m-r1", **changes)
    assert answer.status == 400
    assert (answer.json["verdict"], answer.json["reason"]) == ("Error", "InvalidRequest")
    assert len(answer.json["message"]) > 20


def test_events_are_answered_by_what_they_are(monitor: Any, headers: Headers) -> None:
    malformed, ignored = "sluice_monitor_events_malformed_total", "sluice_monitor_events_ignored_total"
    counts = [
        monitor.growth(name) for name in (f'{malformed}{{reason="size"}}', f'{malformed}{{reason="headers"}}', ignored)
    ]
    good = headers("m-r1", "a", "request")
    assert monitor.request("POST", "/events", b'{"instances":[[1]]}', good).status == 202
    assert monitor.request("POST", "/", b'{"instances":[[1]]}', good).status == 202
    assert monitor.request("POST", "/events", b"", good).status == 202
    missing = {name: value for name, value in good.items() if name != "ce-id"}
    refused = monitor.request("POST", "/events", b"{}", missing)
    assert (refused.status, refused.body) == (400, b"header ce-id is missing\n")
    assert monitor.request("POST", "/events", b"x" * 2_001, good).status == 413
    assert monitor.request("POST", "/events", b"x" * 2_000, good).status == 202
    assert monitor.get("/events").status == 404
    assert [count() for count in counts] == [1, 1, 1]


def test_a_body_without_a_length_is_cut_off_at_the_limit_too(monitor: Any, headers: Headers) -> None:
    chunk = b"400\r\n" + b"x" * 0x400 + b"\r\n"
    chunked = headers("m-r1", "a", "request") | {"transfer-encoding": "chunked"}
    assert monitor.request("POST", "/events", chunk * 3 + b"0\r\n\r\n", chunked).status == 413


def test_rows_outlive_a_restart(start: Start, tmp_path: Path) -> None:
    first = start(rows_url=tmp_path / "data")
    send(first, "m-r1", scores(1))
    send(first, "m-r2", scores(2, shift=2))
    first.settle(300)
    before = first.ask("m-r2", "m-r1").json
    assert first.stop() == 0
    second = start(rows_url=tmp_path / "data")
    second.since = first.since
    after = second.ask("m-r2", "m-r1").json
    assert after["columns"] == before["columns"]
    assert (after["samples"], after["inferences"]) == (before["samples"], before["inferences"])


def test_a_report_that_was_not_finished_when_the_monitor_ended_is_failed_after_a_restart(start: Start) -> None:
    first = start()
    send(first, "m-r1", scores(1))
    send(first, "m-r2", scores(2))
    first.settle(300)
    report_id = first.ask("m-r2", "m-r1").json["report"]["id"]
    first.kill()
    second = start()
    record = second.get(f"/v1/reports/{report_id}.json").json
    assert (record["state"], record["digest"]) == ("Failed", None)
    assert second.get(f"/v1/reports/{report_id}").status == 404


@pytest.mark.parametrize("report_id", ["0" * 32, "..%2f..%2fetc%2fpasswd", "x"])
def test_a_report_that_never_was_is_not_found(monitor: Any, report_id: str) -> None:
    assert monitor.get(f"/v1/reports/{report_id}").status == 404
    assert monitor.get(f"/v1/reports/{report_id}.json").status == 404


def test_only_the_newest_reports_are_kept(monitor: Any) -> None:
    send(monitor, "m-r1", scores(1))
    send(monitor, "m-r2", scores(2))
    monitor.settle(300)
    reports = []
    for _ in range(KEPT + 1):
        reports.append(monitor.ask("m-r2", "m-r1").json["report"]["id"])
        assert monitor.report(reports[-1])["state"] == "Rendered"
    # The oldest goes right after the newest is announced.
    monitor.eventually(lambda: monitor.get(f"/v1/reports/{reports[0]}.json").status == 404)
    assert [monitor.get(f"/v1/reports/{report}").status for report in reports] == [404] + [200] * KEPT


def test_log_lines_are_json_and_a_stop_is_clean(start: Start) -> None:
    monitor = start()
    assert monitor.get("/healthz").status == 200
    assert monitor.stop() == 0
    lines = [json.loads(line) for line in monitor.log.read_text().splitlines()]
    assert lines
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)


def test_the_metrics_that_dashboards_read_are_there(monitor: Any) -> None:
    text = monitor.get("/metrics").body.decode()
    names = """events_received events_dropped events_malformed events_ignored pairs events_unpaired queue_events
    waiting_events rows_kept rows_bytes revisions rows_evicted volume_errors verdicts verdict_seconds
    report_seconds reports events_refused events_odd events_untimed pairs_reordered schema_changes unfinished_bytes
    unstored_seconds store_seconds"""
    assert [name for name in names.split() if f"# TYPE sluice_monitor_{name}" not in text] == []


def test_a_reports_directory_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a directory")
    ended = subprocess.run(
        [sys.executable, "-m", "sluice.monitor", "--port", "0", "--reports-dir", str(occupied)],
        capture_output=True,
        timeout=120,
        check=False,
        text=True,
    )
    assert ended.returncode != 0
    assert str(occupied) in ended.stdout
