"""Queries and limits with their parameters filled in: no surprise gets into a query."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.core import promql
from tests.unit.core.examples import level

LEVEL = level(
    bad='sum by (namespace, revision) (increase(errors{path="${path}"}[${window}]))',
    total="sum by (namespace, revision) (increase(requests[${window}]))",
    limits={"max": "${maxRatio}"},
    window=timedelta(seconds=90),
    parameters={"path": "/predict", "maxRatio": "0.01"},
)


def use(**parameters: str) -> MonitorUse:
    return MonitorUse(name="error-rate", parameters=parameters)


def test_queries_have_defaults_the_window_and_what_the_use_states() -> None:
    assert LEVEL.slo is not None
    found = promql.queries(LEVEL.slo, promql.parameters(LEVEL, use(path="/v2")))
    assert found.bad == 'sum by (namespace, revision) (increase(errors{path="/v2"}[1m30s]))'
    assert found.total == "sum by (namespace, revision) (increase(requests[1m30s]))"
    assert found.value is None
    assert found.all == (found.total, found.bad)


def test_the_value_is_a_query_of_its_own() -> None:
    monitor = level(query="histogram_quantile(${q}, x)", limits={"max": "1"}, parameters={"q": "0.99"})
    assert monitor.slo is not None
    found = promql.queries(monitor.slo, promql.parameters(monitor, use()))
    assert found.all == ("total", "histogram_quantile(0.99, x)")


def test_two_uses_with_the_same_parameters_ask_the_same() -> None:
    assert LEVEL.slo is not None
    first, second = (promql.queries(LEVEL.slo, promql.parameters(LEVEL, use())) for _ in range(2))
    assert first == second


def test_a_parameter_that_the_monitor_does_not_have_is_named_with_those_it_has() -> None:
    with pytest.raises(promql.TemplateError, match=r"error-rate has no parameter maxRate \(it has: maxRatio, path\)"):
        promql.parameters(LEVEL, use(maxRate="1"))
    with pytest.raises(promql.TemplateError, match=r"\(it has: none\)"):
        promql.parameters(level(limits={"max": "1"}), use(maxRate="1"))


@pytest.mark.parametrize("value", ["0.01", "-3", "1e-3", "5m", "1h30m", "/v2/models/fraud:predict", "50%", "a_b-c", ""])
def test_numbers_durations_and_words_are_taken(value: str) -> None:
    assert promql.parameters(LEVEL, use(path=value))["path"] == value


@pytest.mark.parametrize(
    "value",
    [
        '"',
        'x"} or up{a="',
        "a b",
        "a,b",
        "a\nb",
        "x)",
        "[5m]",
        "{a}",
        "${window}",
        "a|b",
        "a=~b",
        "a\\b",
        "'",
        "#",
        "é",
    ],
)
def test_what_could_change_a_querys_meaning_is_refused(value: str) -> None:
    with pytest.raises(promql.TemplateError, match="parameter path of monitor error-rate may hold"):
        promql.parameters(LEVEL, use(path=value))


@given(st.text())
def test_a_value_that_is_taken_stays_within_its_quotes(value: str) -> None:
    try:
        taken = promql.parameters(LEVEL, use(path=value))
    except promql.TemplateError:
        return
    assert not set(taken["path"]) & set("\"'`\\{}()[],=~!<>$ \t\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("up[${windw}]", r"no parameter windw for \$\{windw\}", id="unknown"),
        pytest.param("up > ${max-ms}", r"\$\{max-ms\} names no parameter", id="not-a-name"),
        pytest.param("up > ${}", r"\$\{\} names no parameter", id="empty"),
        pytest.param("up > ${maxMs", r"\$\{maxMs names no parameter", id="not-closed"),
    ],
)
def test_a_placeholder_that_stands_for_nothing_is_an_error(text: str, message: str) -> None:
    with pytest.raises(promql.TemplateError, match=message):
        promql.fill(text, {"window": "1m"})


@pytest.mark.parametrize("text", ["label_replace(up, 'a', '$1', 'b', '(.*)')", "up", "$window", "$$"])
def test_other_dollars_are_promqls_own(text: str) -> None:
    assert promql.fill(text, {"window": "1m"}) == text


def test_filling_in_happens_once() -> None:
    assert promql.fill("${a} ${b}", {"a": "${b}", "b": "1"}) == "${b} 1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0.05", 0.05, id="a-number"),
        pytest.param("${maxMs}", 500.0, id="a-parameter"),
        pytest.param("-1", -1.0, id="below-zero"),
        pytest.param("1e-3", 0.001, id="an-exponent"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_limit_is_a_number_or_a_parameter_that_is_one(text: str | None, expected: float | None) -> None:
    assert promql.number(text, {"maxMs": "500"}) == expected


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "1_000", "1e999", "", "5m", "0x1f", " 1", "1."])
def test_a_limit_that_nothing_could_exceed_or_that_is_no_number_is_an_error(value: str) -> None:
    with pytest.raises(promql.TemplateError, match="which is not a number"):
        promql.number("${maxMs}", {"maxMs": value})


def test_a_monitor_without_queries_has_no_window() -> None:
    drift = ModelMonitorSpec.model_validate({"drift": {}, "parameters": {"a": "1"}})
    assert promql.parameters(drift, use()) == {"a": "1"}
