"""Every golden row is asked once, in the company it belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.evaluation.requests import plan
from sluice.evaluation.trouble import EvaluationError
from tests.unit.evaluation.examples import golden, question


@given(rows=st.integers(1, 500), batch=st.integers(1, 120))
def test_rows_of_no_group_are_asked_in_batches_and_each_is_its_own(rows: int, batch: int) -> None:
    requests = plan(golden(rows, truth=[0] * rows), question(batch=batch))
    assert [row for request in requests for row in request.rows] == list(range(rows))
    assert all(len(request.rows) == batch for request in requests[:-1])
    assert [request.number for request in requests] == list(range(len(requests)))
    assert not any(request.together for request in requests)


@given(groups=st.lists(st.sampled_from(["a", "b", "c", 1, "1"]), min_size=1), metric=st.sampled_from(["NDCG", "MAE"]))
def test_rows_of_one_group_are_one_request_wherever_they_are(groups: list[str], metric: str) -> None:
    requests = plan(golden(truth=[0] * len(groups), query=groups), question(metric=metric, group="query", batch=1))
    assert sorted(row for request in requests for row in request.rows) == list(range(len(groups)))
    assert [{str(groups[row]) for row in request.rows} for request in requests] == [
        {str(group)} for group in dict.fromkeys(str(group) for group in groups)
    ]
    assert all(request.together for request in requests)


def test_rows_that_are_ranked_are_shuffled_the_same_each_time() -> None:
    rows = golden(truth=[0] * 40, query=["a"] * 20 + ["b"] * 20)
    asked = question(metric="NDCG", group="query")
    assert plan(rows, asked) == plan(rows, asked)
    assert all(list(request.rows) != sorted(request.rows) for request in plan(rows, asked))


def test_a_row_of_no_group_is_told() -> None:
    with pytest.raises(EvaluationError, match="row 2 of the golden data has nothing in group column query"):
        plan(golden(truth=[0, 0], query=["a", None]), question(group="query"))
