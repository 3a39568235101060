"""Late labels over HTTP: answers are collected, labelled, judged and reported by a real monitor, also after its end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Start = Callable[..., Any]
"""See conftest: starts a monitor."""
ROWS = 5


def infer(monitor: Any, revision: str, first: int, count: int, error: float) -> None:
    """Batched requests whose answers are off by so much, to either side."""
    rng = np.random.default_rng(first)
    for number in range(first, first + count):
        truth = [float(number + row) for row in range(ROWS)]
        answers = [value + error * float(rng.normal()) for value in truth]
        request = {"instances": [[value] for value in truth]}
        name = f"{revision}-{number}"
        monitor.infer(revision, name, request, {"predictions": answers}, request_id=f"request-{number}")


def labels(first: int, count: int) -> bytes:
    """The truth of all their rows."""
    given = [
        {"request": f"request-{number}", "row": row, "label": float(number + row)}
        for number in range(first, first + count)
        for row in range(ROWS)
    ]
    return json.dumps({"labels": given}).encode()


def ask(monitor: Any, candidate: str, **changes: object) -> Any:
    question = {
        "namespace": "models",
        "deployment": "m",
        "candidate": candidate,
        "window": 600,
        "metric": "MAE",
        "minLabels": 100,
        "maximum": 0.5,
    }
    return monitor.request("POST", "/v1/performance", json.dumps(question | changes).encode()).json


def test_labels_that_come_later_judge_what_was_answered(start: Start, tmp_path: Path) -> None:
    rows = f"file://{tmp_path}/rows"
    monitor = start(rows_url=rows)
    infer(monitor, "m-r1", 0, 60, error=0.1)
    infer(monitor, "m-r2", 0, 60, error=2.0)
    monitor.settle(120)
    assert ask(monitor, "m-r2")["reason"] == "NoLabels"

    answer = monitor.request("POST", "/v1/labels/models", labels(0, 61)).json
    assert answer["joined"] == 300, "both revisions were asked the same, and a label is of both"
    assert answer["unknown"] == [{"request": "request-60", "row": row} for row in range(ROWS)]

    bad = ask(monitor, "m-r2")
    assert (bad["verdict"], bad["reason"]) == ("Fail", "OutsideLimits"), bad
    assert (bad["candidate"]["labels"], bad["candidate"]["requests"]) == (300, 60)
    good = ask(monitor, "m-r1")
    assert (good["verdict"], good["candidate"]["value"] < 0.2) == ("Pass", True), good
    worse = ask(monitor, "m-r2", stable="m-r1", maximum=None, maxDegradation=0.2)
    assert (worse["verdict"], worse["reason"]) == ("Fail", "WorseThanStable")

    record = monitor.report(worse["report"]["id"])
    assert record["state"] == "Rendered", record
    assert record["answer"]["stable"]["value"] == worse["stable"]["value"]
    page = monitor.get(worse["report"]["url"])
    assert record["digest"] == f"sha256:{hashlib.sha256(page.body).hexdigest()}"
    assert "Mean Absolute Percentage Error" in page.body.decode()
    assert ask(monitor, "m-r2")["report"] == bad["report"], "one report stands for a verdict that stays the same"

    assert monitor.stop() == 0
    again = start(rows_url=rows)
    after = ask(again, "m-r2")
    assert (after["verdict"], after["candidate"]) == (bad["verdict"], bad["candidate"])
    again.kill()


def test_labels_outlive_a_monitor_that_is_killed(start: Start, tmp_path: Path) -> None:
    rows = f"file://{tmp_path}/rows"
    monitor = start(rows_url=rows, checkpoint_seconds=1)
    infer(monitor, "m-r1", 0, 30, error=0.1)
    monitor.settle(30)
    assert monitor.request("POST", "/v1/labels/models", labels(0, 30)).json["joined"] == 150
    monitor.kill()
    again = start(rows_url=rows)
    assert ask(again, "m-r1")["candidate"]["labels"] == 150, "what was answered 200 is stored"
    again.kill()


def test_what_is_no_label_is_refused_and_told_why(start: Start) -> None:
    monitor = start()
    for body, status, said in [
        (b"{", 400, "cannot be read"),
        (b'{"labels":[]}', 400, "labels"),
        (b'{"labels":[{"request":"a"}]}', 400, "label"),
        (b'{"labels":[{"request":"","label":1}]}', 400, "request"),
        (b'{"labels":[{"request":"a","label":[1]}]}', 400, "label"),
        (b" " * (1 << 20) + b"{}", 413, "too large"),
    ]:
        answer = monitor.request("POST", "/v1/labels/models", body)
        assert (answer.status, said in answer.body.decode()) == (status, True), answer
    assert ask(monitor, "m-r1", metric="Beauty")["reason"] == "InvalidRequest"
    assert monitor.metric('sluice_monitor_labels_total{outcome="joined"}') == 0
