"""The verdict is the monitor's on performance, over all rows and over slices, with one budget for mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.api.measure import PerformanceMetric
from sluice.api.verdict import Verdict
from sluice.evaluation import judgement
from sluice.evaluation.golden import Golden
from sluice.evaluation.judgement import MAX_MESSAGE, MAX_SLICES, Marked, judge
from sluice.evaluation.marking import outcomes, places
from sluice.evaluation.question import Question
from sluice.evaluation.requests import plan
from sluice.evaluation.result import Judged
from sluice.evaluation.trouble import EvaluationError
from sluice.monitor.grading import UngradedError, Yardstick, grade
from sluice.monitor.payload import Table
from sluice.monitor.scoring import measure
from tests.unit.evaluation.examples import golden, question

ROWS = 600


def judged(asked: Question, rows: Golden, candidate: Sequence[Any], stable: Sequence[Any] | None = None) -> Judged:
    """The verdict on an answer to each golden row."""
    return judge(asked, rows, plan(rows, asked), marked(asked, rows, candidate, stable))


def marked(asked: Question, rows: Golden, candidate: Sequence[Any], stable: Sequence[Any] | None = None) -> Marked:
    requests, truths = plan(rows, asked), rows.truths(asked.label)

    def of(answers: Sequence[Any]) -> Any:
        tables = [Table(("prediction",), [[answers[row]] for row in request.rows]) for request in requests]
        return outcomes(truths, requests, tables)

    return Marked(places(requests), of(candidate), of(stable) if stable is not None else None)


def wrong(truths: Sequence[int], share: float, among: Sequence[bool] | None = None) -> list[int]:
    """Answers of which so many, at even distances, are not the truth."""
    chosen = [row for row in range(len(truths)) if among is None or among[row]]
    changed = {chosen[int(place)] for place in np.linspace(0, len(chosen) - 1, round(share * len(chosen)))}
    return [1 - truth if row in changed else truth for row, truth in enumerate(truths)]


TRUTHS = [row % 2 for row in range(ROWS)]
COUNTRIES = ["BR" if row % 4 < 2 else "CL" if row % 4 == 2 else "PE" for row in range(ROWS)]


def test_as_good_as_stable_passes() -> None:
    found = judged(question(), golden(truth=TRUTHS), wrong(TRUTHS, 0.05), wrong(TRUTHS, 0.05))
    assert (found.verdict, found.reason) == (Verdict.PASS, "WithinLimits")
    assert found.candidate is not None
    assert found.stable is not None
    assert found.candidate.value == found.stable.value == 0.95
    assert (found.candidate.rows, found.slices, found.confidence) == (ROWS, (), 0.99)


def test_worse_than_stable_fails_with_both_figures() -> None:
    found = judged(question(), golden(truth=TRUTHS), wrong(TRUTHS, 0.2), wrong(TRUTHS, 0.05))
    assert (found.verdict, found.reason) == (Verdict.FAIL, "WorseThanStable")
    assert "Accuracy 0.8" in found.message
    assert "stable: Accuracy 0.95" in found.message


def test_few_rows_that_are_worse_prove_nothing() -> None:
    truths = TRUTHS[:60]
    found = judged(question(), golden(truth=truths), wrong(truths, 0.1), wrong(truths, 0.05))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "TooFewLabels")


def test_a_slice_that_is_served_worse_fails_the_whole_and_is_named() -> None:
    among = [country == "PE" for country in COUNTRIES]
    asked = question(slices=["country"], maxDegradation=0.15)
    found = judged(asked, golden(truth=TRUTHS, country=COUNTRIES), wrong(TRUTHS, 0.5, among), TRUTHS)
    assert (found.verdict, found.reason) == (Verdict.FAIL, "WorseThanStable")
    assert found.message.startswith("1 of 3 slices fails, worst country=PE: Accuracy 0.5")
    assert "Over all rows: Accuracy 0.875" in found.message
    worst = found.slices[0]
    assert (worst.value, worst.verdict, worst.rows) == ("PE", Verdict.FAIL, 150)
    assert {one.verdict for one in found.slices[1:]} == {Verdict.PASS}


def test_the_worst_slice_comes_first_for_metrics_of_either_direction() -> None:
    truths = [float(row % 7) for row in range(ROWS)]
    answers = [
        truth + {"BR": 0.5, "CL": 2.0, "PE": 1.0}[country] for truth, country in zip(truths, COUNTRIES, strict=True)
    ]
    asked = question(metric="MAE", maxDegradation=None, maximum=0.4, slices=["country"])
    found = judged(asked, golden(truth=truths, country=COUNTRIES), answers)
    assert [one.value for one in found.slices] == ["CL", "PE", "BR"]
    assert [one.candidate for one in found.slices] == pytest.approx([2.0, 1.0, 0.5])
    assert found.slices[0].stable is None


def test_verdicts_share_the_confidence_that_was_asked_for() -> None:
    asked = question(slices=["country"])
    found = judged(asked, golden(truth=TRUTHS, country=COUNTRIES), wrong(TRUTHS, 0.1), wrong(TRUTHS, 0.1))
    alone = judged(question(), golden(truth=TRUTHS), wrong(TRUTHS, 0.1), wrong(TRUTHS, 0.1))
    assert found.confidence == pytest.approx(1 - 0.01 / 4)
    assert found.candidate is not None
    assert alone.candidate is not None
    assert found.candidate.margin > alone.candidate.margin


def test_a_slice_that_cannot_be_told_holds_nothing_back_and_is_counted() -> None:
    truths = [1.0 if country == "PE" else float(row) for row, country in enumerate(COUNTRIES)]
    asked = question(metric="R2", maxDegradation=None, minimum=0.5, slices=["country"])  # PE has one truth: no R2
    found = judged(asked, golden(truth=truths, country=COUNTRIES), truths)
    assert found.verdict is Verdict.PASS
    assert found.message.endswith("2 of 3 slices pass. Of 1 slice it cannot be told.")
    assert found.slices[0].verdict is Verdict.INCONCLUSIVE
    assert found.slices[0].candidate is None


def test_small_slices_are_left_out_and_rows_without_a_value_are_in_none() -> None:
    countries = ["AR"] * 49 + ["BO"] * 50 + [None] * 501
    found = judged(question(slices=["country"]), golden(truth=TRUTHS, country=countries), TRUTHS, TRUTHS)
    assert [(one.value, one.rows) for one in found.slices] == [("BO", 50)]


def test_which_slices_there_are_does_not_depend_on_the_answers() -> None:
    countries = ["BO"] * 50 + ["AR"] * 550
    answers: list[Any] = [None] * 5 + TRUTHS[5:]
    found = judged(question(slices=["country"]), golden(truth=TRUTHS, country=countries), answers, TRUTHS)
    worst = found.slices[0]
    assert (worst.value, worst.verdict, worst.reason) == ("BO", Verdict.INCONCLUSIVE, "Ungraded")
    assert worst.message == "5 of 50 answers of the candidate are none that Accuracy can use."


@pytest.mark.parametrize("who", ["the candidate", "the stable revision"])
@pytest.mark.parametrize("rows", [49, 199])
def test_a_slice_that_is_not_answered_holds_all_back_however_few_rows_it_has(who: str, rows: int) -> None:
    truths = [row % 2 for row in range(20_000)]
    countries = ["BR"] * rows + ["CL"] * (20_000 - rows)
    none: list[Any] = [float("nan")] * rows + truths[rows:]
    sides = (none, truths) if who == "the candidate" else (truths, none)
    found = judged(question(slices=["country"]), golden(truth=truths, country=countries), *sides)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "Ungraded")
    assert found.message.startswith(
        f"1 of 2 slices is not answered, worst country=BR: {rows} of {rows} answers of {who} are none that Accuracy "
        "can use. Over all rows: Accuracy 1 "
    )
    assert (found.slices[0].value, found.slices[0].verdict, found.slices[0].candidate) == ("BR", "Inconclusive", None)


def test_one_row_without_an_answer_is_no_pattern_and_two_of_a_small_slice_are() -> None:
    countries = ["BR"] * 20 + ["CL"] * (ROWS - 20)
    for none, expected in ((1, Verdict.PASS), (2, Verdict.INCONCLUSIVE)):
        answers: list[Any] = [None] * none + TRUTHS[none:]
        found = judged(question(slices=["country"]), golden(truth=TRUTHS, country=countries), answers, TRUTHS)
        assert found.verdict is expected


def test_of_a_ranking_one_request_without_an_answer_is_no_pattern() -> None:
    truths, groups = [1, 0, 0, 0] * 200, [row // 4 for row in range(800)]
    countries = ["BR" if row < 40 else "CL" for row in range(800)]
    asked = question(metric="MRR", group="q", slices=["country"], maxDegradation=None, minimum=0.5)
    for none, expected in (([0, 1], Verdict.PASS), ([0, 4], Verdict.INCONCLUSIVE)):
        answers = [None if row in none else truth for row, truth in enumerate(truths)]
        assert judged(asked, golden(truth=truths, q=groups, country=countries), answers).verdict is expected


def test_a_slice_that_fails_counts_more_than_one_that_is_not_answered() -> None:
    countries = ["BR"] * 5 + ["PE"] * 295 + ["CL"] * 300
    answers: list[Any] = [None] * 5 + [1 - truth for truth in TRUTHS[5:300]] + TRUTHS[300:]
    found = judged(question(slices=["country"]), golden(truth=TRUTHS, country=countries), answers, TRUTHS)
    assert (found.verdict, found.reason) == (Verdict.FAIL, "WorseThanStable")
    assert [one.value for one in found.slices] == ["PE", "BR", "CL"]


def test_slices_that_are_not_answered_come_before_those_that_cannot_be_told_and_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judgement, "MAX_SLICES", 5)
    truths = [0.0] * 100 + [float(row) for row in range(100, 2_000)]
    values = ["same"] * 100 + [str(row // 2) if row < 114 else "most" for row in range(100, 2_000)]
    answers: list[Any] = truths[:100] + [None] * 14 + truths[114:]
    asked = question(metric="R2", maxDegradation=None, minimum=0.5, slices=["v"])
    found = judged(asked, golden(truth=truths, v=values), answers)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "Ungraded")
    assert found.message.startswith("5 of 7 slices are not answered, worst v=50: 2 of 2 ")
    assert [one.value for one in found.slices[5:]] == ["same", "most"]
    assert found.message.endswith("Of 1 slice it cannot be told.")


def test_both_are_judged_on_the_rows_that_both_have_answered() -> None:
    hard = [row % 100 == 0 for row in range(ROWS)]  # stable is wrong there, and the candidate says nothing
    ours = [None if difficult else truth for truth, difficult in zip(TRUTHS, hard, strict=True)]
    theirs = [1 - truth if difficult else truth for truth, difficult in zip(TRUTHS, hard, strict=True)]
    found = judged(question(), golden(truth=TRUTHS), ours, theirs)
    assert found.candidate is not None
    assert found.stable is not None
    assert found.candidate.value == found.stable.value == 1.0
    assert found.candidate.rows == found.stable.rows == ROWS - 6


@pytest.mark.parametrize("who", ["the candidate", "the stable revision"])
def test_answers_that_are_none_are_not_left_out_as_if_at_random(who: str) -> None:
    none: list[Any] = [None] * 7 + TRUTHS[7:]
    sides = (none, TRUTHS) if who == "the candidate" else (TRUTHS, none)
    found = judged(question(), golden(truth=TRUTHS), *sides)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "Ungraded")
    assert f"7 of 600 answers of {who}" in found.message


def test_scores_that_are_no_probabilities_are_told_so() -> None:
    asked = question(metric="ROCAUC", positive="1", maxDegradation=None, minimum=0.5)
    found = judged(asked, golden(truth=TRUTHS), [truth * 4 - 2 for truth in TRUTHS])
    assert found.message.endswith("can use: it needs probabilities of the positive class, from 0 to 1.")


def test_rows_without_a_label_are_no_part_of_it() -> None:
    truths: list[Any] = [None] * 560 + TRUTHS[560:]
    found = judged(question(), golden(truth=truths), TRUTHS, TRUTHS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.message == "40 of 600 golden rows have a label that Accuracy can use; 50 are needed (minRows)."


def test_labels_and_answers_that_name_no_class_alike_are_an_error_and_no_verdict() -> None:
    names = [("no", "yes")[truth] for truth in TRUTHS]
    with pytest.raises(UngradedError, match="labels are of the classes 0, 1, and answers of no, yes"):
        judged(question(), golden(truth=TRUTHS), names, names)
    with pytest.raises(UngradedError, match="no answer could be right"):
        judged(question(metric="Recall", positive="1"), golden(truth=TRUTHS), names, names)


def test_a_candidate_that_names_classes_otherwise_than_stable_is_wrong() -> None:
    names = [("no", "yes")[truth] for truth in TRUTHS]
    assert judged(question(), golden(truth=TRUTHS), names, TRUTHS).verdict is Verdict.FAIL


def test_messages_name_fields_of_the_evaluation() -> None:
    asked = question(metric="Recall", positive="7")
    assert "as spec.evaluation.positive says" in judged(asked, golden(truth=TRUTHS), TRUTHS, TRUTHS).message
    rows = golden(truth=TRUTHS)
    requests = plan(rows, question())
    tables = [Table(("a", "b"), [[1, 2]] * len(request.rows)) for request in requests]
    two = Marked(places(requests), outcomes(TRUTHS, requests, tables))
    with pytest.raises(UngradedError, match=r"name one as spec\.evaluation\.prediction: a, b"):
        judge(question(), rows, requests, two)


def test_too_many_slices_are_refused() -> None:
    rows = 10 * (MAX_SLICES + 1)
    truths = [row % 2 for row in range(rows)]
    asked = question(slices=["customer"], minRows=10)
    with pytest.raises(
        EvaluationError, match="201 slices of customer have 10 rows or more, and 200 at most"
    ) as refused:
        judged(asked, golden(truth=truths, customer=[str(row // 10) for row in range(rows)]), truths, truths)
    assert refused.value.reason == "TooManySlices"


def test_the_message_is_bounded_whatever_values_are_called() -> None:
    values = [("x" * 500, "y" * 500)[row % 2] for row in range(ROWS)]
    found = judged(question(slices=["v"]), golden(truth=TRUTHS, v=values), wrong(TRUTHS, 0.9), TRUTHS)
    assert len(found.message) <= MAX_MESSAGE
    assert all(len(one.value) == 128 for one in found.slices)


# --- what is one observation


def test_rows_alone_are_independent_and_rows_of_a_group_are_not() -> None:
    truths = [1] * ROWS
    answers = [int(row % 60 >= 6) for row in range(ROWS)]  # one in ten is wrong: of each group, all or none
    groups = [row // 6 for row in range(ROWS)]
    alone = judged(question(), golden(truth=truths), answers, answers)
    grouped = judged(question(group="g"), golden(truth=truths, g=groups), answers, answers)
    assert alone.candidate is not None
    assert grouped.candidate is not None
    assert grouped.candidate.value == alone.candidate.value == 0.9
    assert grouped.candidate.margin > 1.7 * alone.candidate.margin


def test_answers_of_both_to_the_same_rows_are_paired() -> None:
    candidate, stable = wrong(TRUTHS, 0.3), wrong(TRUTHS, 0.1)
    both = marked(question(), golden(truth=TRUTHS), candidate, stable)
    assert both.stable is not None
    assert both.candidate.origins.requests.tolist() == both.stable.origins.requests.tolist()
    assert len(set(both.candidate.origins.requests.tolist())) == ROWS


@settings(max_examples=20)
@given(metric=st.sampled_from(["NDCG", "PrecisionAtK", "MRR"]), seed=st.integers(0, 99), size=st.integers(3, 6))
def test_a_ranking_is_measured_as_the_monitor_measures_it(metric: str, seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 2, 30 * size).tolist()
    scores = rng.permutation(30 * size).astype(float).tolist()
    groups = np.repeat(np.arange(30), size).tolist()
    asked = question(metric=metric, group="q", minRows=10, maxDegradation=None, minimum=0.0)
    found = judged(asked, golden(truth=truths, q=groups), scores)
    one = marked(asked, golden(truth=truths, q=groups), scores).candidate
    expected = measure(grade(one, Yardstick(metric=PerformanceMetric(metric), min_labels=1)), PerformanceMetric(metric))
    assert found.candidate is not None
    assert found.candidate.value == pytest.approx(expected)


def test_a_ranker_that_scores_all_alike_gains_nothing_from_how_the_data_are_sorted() -> None:
    truths = [1, 0, 0, 0, 0] * 200  # the relevant row first, as golden data often are
    asked = question(metric="MRR", group="q", maxDegradation=None, minimum=0.9)
    found = judged(asked, golden(truth=truths, q=[row // 5 for row in range(1000)]), [0.5] * 1000)
    assert found.verdict is Verdict.FAIL
    assert found.candidate is not None
    assert found.candidate.value < 0.6


def test_a_ranking_has_slices_of_whole_groups_only() -> None:
    truths, groups = [1, 0] * 100, [row // 2 for row in range(200)]
    asked = question(metric="MRR", group="q", slices=["country"], maxDegradation=None, minimum=0.5)
    whole = golden(truth=truths, q=groups, country=["BR" if group % 2 else "CL" for group in groups])
    assert [one.rows for one in judged(asked, whole, truths).slices] == [100, 100]
    mixed = golden(truth=truths, q=groups, country=["BR", "CL"] * 100)
    with pytest.raises(EvaluationError, match=r"rows 1 and 2 .* several values in slice column country"):
        judged(asked, mixed, truths)


def test_equal_candidates_seldom_fail_however_many_slices_there_are() -> None:
    """At a confidence of 0.9, shared by 11 verdicts, at most one in ten fails by chance; here of 60, with room."""
    rng, failed = np.random.default_rng(7), 0
    truths = rng.integers(0, 2, ROWS)
    slices = [f"s{row % 10}" for row in range(ROWS)]
    asked = question(slices=["s"], confidence=0.9, maxDegradation=0.0)
    for _ in range(60):
        ours, theirs = (np.where(rng.random(ROWS) < 0.2, 1 - truths, truths).tolist() for _ in range(2))
        rows = golden(truth=truths.tolist(), s=slices)
        failed += judged(asked, rows, ours, theirs).verdict is Verdict.FAIL
    assert failed <= 12
