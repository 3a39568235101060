"""A status is read as it is, at whatever stage it is in."""

from __future__ import annotations

import pytest

from hack.demo.observation import Ending, failing, read
from tests.unit.demo.examples import condition, deployment, ended, result, stepping


def test_a_deployment_without_a_status_is_pending_and_unsettled() -> None:
    seen = read({"metadata": {"generation": 1}})
    assert (seen.phase, seen.settled, seen.ready, seen.ending, seen.step_name) == ("Pending", False, False, None, "")


def test_a_status_of_an_earlier_generation_is_unsettled() -> None:
    assert not read(deployment(generation=2, observed=1)).settled
    assert read(deployment(generation=2, observed=2)).settled


@pytest.mark.parametrize(("kind", "weight", "name"), [("Shadow", 0, "shadow"), ("Weight", 25, "25 %")])
def test_a_step_has_the_name_that_the_manifest_gives_it(kind: str, weight: int, name: str) -> None:
    assert read(stepping(kind, weight)).step_name == name


def test_a_step_counts_as_started_when_the_gateway_carries_it_out() -> None:
    assert read(stepping("Weight", 10)).started
    assert not read(stepping("Weight", 10, started=False)).started


def test_weights_are_by_revision() -> None:
    traffic = [{"revision": "california-r1", "weight": 90}, {"revision": "california-r2", "weight": 10}]
    assert read(deployment(traffic=traffic)).weights == {"california-r1": 90, "california-r2": 10}


def test_only_gates_that_fail_at_the_last_step_are_failing() -> None:
    monitors = [result("a", "Fail"), result("b", "Fail", mode="Observe"), result("c", "Error"), result("d", "Pass")]
    revision = {"status": {"steps": [{"results": [result("d", "Fail")]}, {"results": monitors}]}}
    assert set(failing(revision)) == {"a"}


def test_a_revision_without_a_step_fails_no_gate() -> None:
    assert failing({"status": {}}) == {}


def test_the_evidence_of_a_reading_is_where_it_can_be_read() -> None:
    monitors = [result("a", "Fail", evidence={"url": "http://m/v1/reports/1"}), result("b", "Pass")]
    readings = read(deployment(monitors=monitors)).readings
    assert (readings["a"].report, readings["b"].report) == ("http://m/v1/reports/1", None)


def test_a_release_has_ended_once_promoted_is_no_longer_unknown() -> None:
    assert read(deployment(conditions=[condition("Promoted", "Unknown")])).ending is None
    assert read(ended("True", "RevisionPromoted")).ending == Ending(
        promoted=True, reason="RevisionPromoted", message="m"
    )
    assert read(ended("False", "SLOBreached")).ending == Ending(promoted=False, reason="SLOBreached", message="m")


def test_ready_is_the_condition_of_that_name() -> None:
    assert read(deployment(conditions=[condition("Ready", "True")])).ready
    assert not read(deployment(conditions=[condition("Ready", "Unknown")])).ready
