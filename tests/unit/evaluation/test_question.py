"""A question is read as it was written, or refused with what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.api.measure import PerformanceMetric
from sluice.evaluation.question import read
from sluice.evaluation.trouble import EvaluationError
from tests.unit.evaluation.examples import PREFIX, document, question, server


def test_what_is_not_said_has_its_default() -> None:
    found = question()
    assert (found.metric, found.batch, found.top, found.group, found.slices) == (
        PerformanceMetric.ACCURACY,
        100,
        10,
        None,
        (),
    )
    assert [column.name for column in found.candidate.columns] == ["amount", "country"]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        pytest.param({"lable": "y"}, "unknown field `lable`", id="a-misspelt-field"),
        pytest.param({"candidate": server(uri="x")}, "unknown field `uri`", id="inside"),
        pytest.param({"metric": "Precison"}, "$.metric", id="no-such-metric"),
        pytest.param({"maxDegradation": None}, "nothing can fail", id="no-limit"),
        pytest.param({"maxDegradation": "0.02"}, "$.maxDegradation", id="a-number-as-text"),
        pytest.param({"metric": "NDCG"}, "needs a group", id="a-ranking-of-what"),
        pytest.param({"metric": "Recall"}, "positive is needed", id="recall-of-no-class"),
        pytest.param({"slices": ["truth"]}, "different columns", id="a-slice-by-the-truth"),
        pytest.param({"slices": ["a", "a"]}, "different columns", id="a-slice-twice"),
        pytest.param({"group": "truth"}, "different columns", id="a-group-by-the-truth"),
        pytest.param({"slices": list("abcdefghi")}, "$.slices", id="nine-slices"),
        pytest.param({"minRows": 5}, "$.minRows", id="five-rows"),
        pytest.param({"confidence": 1.0}, "$.confidence", id="certain"),
        pytest.param({"candidate": server(url="http://x/v1")}, "$.candidate.url", id="a-url-with-a-path"),
        pytest.param({"idPrefix": "a\nb"}, "$.idPrefix", id="a-header-in-a-header"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(EvaluationError) as refused:
        question(**changes)
    assert refused.value.reason == "InvalidQuestion"
    assert part in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"namespace": 1}', "\ud800".encode("utf-8", "surrogatepass")])
def test_what_is_no_question_is_refused(text: str | bytes) -> None:
    with pytest.raises(EvaluationError, match="SLUICE_EVALUATION is no question"):
        read(text)


def test_the_token_in_the_prefix_is_shown_nowhere() -> None:
    assert PREFIX not in json.dumps(question().shown())
    with pytest.raises(EvaluationError) as refused:
        question(idPrefix=f"{PREFIX} ")
    assert "s3cret" not in str(refused.value)


def test_what_is_shown_is_what_was_asked() -> None:
    shown = question().shown()
    assert read(json.dumps(shown | {"idPrefix": PREFIX})) == question()
    assert shown["maxDegradation"] == document()["maxDegradation"]
