"""A record of an act tells when a breach began and ended, and whether the act went as it should."""

from __future__ import annotations

from typing import Any

import pytest

from hack.demo.acts import ACTS, DRIFT_DETECTED, PROMOTED, SLO_BREACHED, Act, Outage
from hack.demo.load import Tally
from hack.demo.observation import failing, read
from hack.demo.record import SILENCE, Record
from hack.demo.referee import Limits
from hack.demo.summary import exit_code, row
from tests.unit.demo.examples import ended, result, stepping

LIMITS = Limits(errors=0.05, error_samples=50, seconds=0.25, latency_samples=100, effect=0.15, effect_samples=200)


def record(act: Act = ACTS[1]) -> Record:
    return Record(act, started=0.0, limits=LIMITS)


def follow(found: Record, *documents: dict[str, Any]) -> Record:
    for now, document in enumerate(documents, start=1):
        found.observe(read(document), float(now))
    return found


ALL_STEPS = (
    stepping("Shadow", 0, index=1),
    stepping("Weight", 25, index=2),
    stepping("Weight", 50, index=3),
    stepping("Weight", 100, index=4),
)


def test_an_act_that_is_promoted_by_way_of_all_its_steps_is_good() -> None:
    found = follow(record(), *ALL_STEPS, ended("True", PROMOTED))
    assert found.good
    assert tuple(found.steps) == ACTS[1].steps() == ("shadow", "25 %", "50 %", "100 %")
    assert found.ended == 5.0


def test_a_promotion_that_skipped_a_step_is_not_good() -> None:
    assert not follow(record(), *ALL_STEPS[1:], ended("True", PROMOTED)).good


def test_a_first_release_takes_all_the_traffic_at_once_and_is_good() -> None:
    first = stepping("Weight", 100)
    del first["status"]["stableRevision"]
    assert follow(record(ACTS[0]), first, ended("True", PROMOTED)).good


@pytest.mark.parametrize(
    ("act", "status", "reason"),
    [(2, "True", PROMOTED), (2, "False", DRIFT_DETECTED), (3, "False", SLO_BREACHED), (1, "False", SLO_BREACHED)],
)
def test_another_end_than_the_expected_one_is_not_good(act: int, status: str, reason: str) -> None:
    assert not follow(record(ACTS[act]), *ALL_STEPS, ended(status, reason)).good


def test_an_act_without_an_end_is_not_good() -> None:
    assert not follow(record(), *ALL_STEPS).good


def test_a_status_of_the_act_before_is_passed_over() -> None:
    before = ended("False", SLO_BREACHED)
    before["metadata"]["generation"] = 2
    assert follow(record(), before).ending is None


def test_a_step_counts_once_however_often_it_is_seen_and_not_before_it_is_carried_out() -> None:
    waiting = stepping("Weight", 10, started=False)
    found = follow(record(), waiting, stepping("Weight", 10), stepping("Weight", 10))
    assert found.steps == ["10 %"]


def bad_answers(tally: Tally, count: int, start: float) -> None:
    for number in range(count):
        tally.record("california-r2", 500, 0.01, start + number / 10)


def test_zero_is_the_candidates_last_answer_counted_from_the_breach_that_the_client_saw() -> None:
    found, tally = follow(record(ACTS[2]), stepping("Weight", 25)), Tally()
    bad_answers(tally, 49, start=10.0)
    found.look(tally, 14.9)
    assert not found.breached
    bad_answers(tally, 1, start=15.0)
    found.look(tally, 15.0)
    bad_answers(tally, 50, start=15.1)
    found.look(tally, 20.0)
    assert (found.breach, list(found.breached)) == (15.0, ["error-rate"])
    assert found.seconds_to_zero(tally) == pytest.approx(5.0)


def test_a_candidate_is_silent_some_seconds_after_its_last_answer() -> None:
    found, tally = follow(record(ACTS[2]), stepping("Weight", 25)), Tally()
    assert found.silent(tally, 0.0)
    bad_answers(tally, 1, start=10.0)
    assert not found.silent(tally, 10.0 + SILENCE)
    assert found.silent(tally, 10.1 + SILENCE)


OUTAGE = Act(5, "v5", PROMOTED, outage=Outage(at_weight=25, seconds=40))
AT_25 = stepping("Weight", 25, index=1)
UNANSWERED = stepping("Weight", 25, index=1, monitors=[result("error-rate", "Error")])
REST = (stepping("Weight", 50, index=2), stepping("Weight", 100, index=3), ended("True", PROMOTED))


def during(*documents: dict[str, Any]) -> Record:
    found = follow(record(OUTAGE), AT_25)
    found.outage_begins(read(AT_25), 1.0)
    follow(found, *documents)
    found.outage_ends(50.0)
    return follow(found, *REST)


def test_a_rollout_that_holds_through_the_outage_and_says_so_is_good() -> None:
    found = during(UNANSWERED)
    assert found.held
    assert found.good


def test_a_rollout_that_moves_during_the_outage_is_not_good() -> None:
    assert not during(UNANSWERED, stepping("Weight", 50, index=2)).good


def test_an_outage_that_no_gate_noticed_is_not_good() -> None:
    assert not during(AT_25).good


def test_an_outage_that_never_came_is_not_good() -> None:
    assert not follow(record(OUTAGE), AT_25, *REST).good


def test_a_row_counts_the_candidates_failures_apart_from_all_others() -> None:
    found, tally = follow(record(ACTS[2]), stepping("Weight", 25), ended("False", SLO_BREACHED)), Tally()
    bad_answers(tally, 3, start=1.0)
    tally.record("none", 503, 0.01, 2.0)
    assert row(found, tally).failures == "3 of 3 by the candidate, 1 others"


def test_a_bad_model_that_was_caught_in_the_shadow_never_met_a_user() -> None:
    found = follow(record(ACTS[3]), stepping("Shadow", 0), ended("False", DRIFT_DETECTED))
    assert row(found, Tally()).to_zero == "no user met it"


def test_an_outcome_names_the_gates_that_failed() -> None:
    found = follow(record(ACTS[2]), stepping("Weight", 25), ended("False", SLO_BREACHED))
    found.failing = failing({"status": {"steps": [{"results": [result("latency-p99", "Fail")]}]}})
    assert row(found, Tally()).outcome == "rolled back (SLOBreached: latency-p99)"
    assert row(found, Tally()).good


def test_the_exit_code_is_zero_only_if_every_act_was_played_and_good() -> None:
    good = row(follow(record(), *ALL_STEPS, ended("True", PROMOTED)), Tally())
    bad = row(follow(record(), ended("False", SLO_BREACHED)), Tally())
    assert exit_code([good, good], acts=2) == 0
    assert exit_code([good], acts=2) == 1
    assert exit_code([good, bad], acts=2) == 1
