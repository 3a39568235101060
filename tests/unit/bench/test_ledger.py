"""Every request is entered once: in the phase in which it was sent, as good, as the bad model's own, or as lost."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.ledger import BadModel, Demand, Ledger, Outcome, complaints, line, outcome, percentile
from hack.demo.load import NO_ANSWER, NO_REVISION, Answer

BAD = BadModel("r3", b"feature store timed out")
OWN = b'{"error": "ValueError: feature store timed out"}'


def answer(
    sent: float = 1.0, revision: str = "r2", status: int = 200, content: bytes = b"", took: float = 0.1
) -> Answer:
    trouble = "TimeoutError" if status == NO_ANSWER else ""
    return Answer(sent, sent + took, revision, status, content, trouble)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(answer(), Outcome.GOOD, id="stable, good"),
        pytest.param(answer(revision="r3"), Outcome.GOOD, id="bad model, for once good"),
        pytest.param(answer(status=204), Outcome.GOOD, id="no content is a success"),
        pytest.param(answer(revision="r3", status=500, content=OWN), Outcome.MODEL, id="bad model's own failure"),
        pytest.param(answer(revision="r2", status=500, content=OWN), Outcome.LOST, id="its words from another"),
        pytest.param(answer(revision="r3", status=500), Outcome.LOST, id="a 500 that is not the model's"),
        pytest.param(answer(revision="r3", status=503, content=OWN), Outcome.LOST, id="the gateway in its place"),
        pytest.param(answer(status=404), Outcome.LOST, id="no such model"),
        pytest.param(answer(status=302), Outcome.LOST, id="sent elsewhere"),
        pytest.param(answer(revision=NO_REVISION, status=503), Outcome.LOST, id="the gateway's own"),
        pytest.param(answer(revision=NO_REVISION, status=NO_ANSWER), Outcome.LOST, id="no answer"),
    ],
)
def test_only_the_bad_models_own_words_excuse_a_failure(given: Answer, expected: Outcome) -> None:
    assert outcome(given, BAD) is expected


def ledger(*answers: Answer, ended: float = 20.0) -> Ledger:
    """Two phases, from 0 and from 10 to ``ended``."""
    made = Ledger(BAD)
    made.begin("first", 0.0)
    made.begin("second", 10.0)
    made.end(ended)
    for each in answers:
        made.take(each)
    return made


def test_a_request_belongs_to_the_phase_in_which_it_was_sent() -> None:
    made = ledger(answer(9.9, took=5), answer(10.0), answer(20.0), answer(20.1), answer(-1.0))
    assert [phase.requests for phase in made.phases] == [1, 2]


def test_what_comes_while_a_phase_lasts_is_entered_at_once() -> None:
    made = Ledger(BAD)
    phase = made.begin("first", 0.0)
    made.take(answer(5.0))
    assert phase.requests == 1
    assert math.isclose(phase.rate, 0.0)


def test_the_rate_is_of_requests_over_the_whole_phase() -> None:
    first, second = ledger(*(answer(sent / 10) for sent in range(100))).phases
    assert math.isclose(first.rate, 10.0)
    assert second.rate == 0.0


def test_the_last_request_of_a_revision_is_the_one_sent_last_not_the_one_answered_last() -> None:
    made = ledger(answer(3.0, "r3", took=0.1), answer(2.0, "r3", took=9.0), answer(4.0))
    assert made.last_sent == {"r3": 3.0, "r2": 4.0}


def test_latencies_are_kept_with_and_without_the_bad_model() -> None:
    (phase, _) = ledger(answer(1, took=0.01), answer(2, "r3", took=1.2), answer(3, took=0.02)).phases
    assert percentile(phase.latencies, 99) == pytest.approx(1.2)
    assert percentile(phase.others, 99) == pytest.approx(0.02)
    assert "p50 20 ms, p99 1200 ms (without the bad model's: p99 20 ms)" in line(phase)


def test_a_phase_tells_what_was_lost_and_how() -> None:
    lost = [answer(1, NO_REVISION, NO_ANSWER), answer(2, "r1", 503), answer(3, "r1", 503)]
    (phase, _) = ledger(*lost, answer(4, "r3", 500, OWN), answer(5)).phases
    assert line(phase).splitlines() == [
        (
            "first: 5 requests at 0.5/s, 3 lost, 1 answered badly by the bad model itself; p50 100 ms, p99 100 ms "
            "(without the bad model's: p99 100 ms)"
        ),
        "  answered by: none 1, r1 2, r2 1, r3 1",
        "  lost: 2 x 503 by r1",
        "  lost: 1 x TimeoutError",
    ]


ENOUGH = Demand(requests=10, rate=1.0)


def test_nothing_is_wrong_with_enough_good_answers_at_the_pace() -> None:
    made = ledger(*(answer(float(sent)) for sent in range(20)))
    assert complaints(made.phases, ENOUGH) == []


@pytest.mark.parametrize(
    ("given", "demand", "said"),
    [
        pytest.param(answer(3.5, "r2", 503), ENOUGH, "1 of 11 requests were lost", id="one lost"),
        pytest.param(answer(3.5), replace(ENOUGH, requests=12), "11 requests, and 12 were asked for", id="too few"),
        pytest.param(answer(3.5), replace(ENOUGH, rate=1.2), "1.1 requests a second, and 1 were", id="too slow"),
    ],
)
def test_each_shortcoming_is_a_complaint(given: Answer, demand: Demand, said: str) -> None:
    made = ledger(*(answer(float(sent)) for sent in range(10)), given)
    (complaint,) = complaints(made.phases[:1], demand)
    assert complaint.startswith("first: ")
    assert said in complaint


def test_a_failure_of_the_bad_model_itself_is_no_complaint() -> None:
    made = ledger(*(answer(float(sent), "r3", 500, OWN) for sent in range(10)))
    assert complaints(made.phases[:1], ENOUGH) == []


def test_percentiles_of_nothing_are_no_number() -> None:
    assert math.isnan(percentile([], 50))
