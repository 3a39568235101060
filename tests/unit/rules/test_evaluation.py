"""What counts as a pass, and what people read when something is wrong with a rule."""

from __future__ import annotations

import re

import pytest

from sluice.rules.evaluation import RuleError, compiled, evaluate

FACTS = {
    "weight": 50,
    "name": "fraud",
    "stated": {},
    "list": list(range(300)),
    "half": 0.5,
    "now": "2026-11-24T00:00:00Z",
}


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("facts.weight <= 50", True),
        ("facts.weight < 50", False),
        ("facts.weight > 49.5", True),
        ("has(facts.stated.riskTier)", False),
        ("!has(facts.stated.riskTier) || facts.stated.riskTier == 'High'", True),
        ("facts.list.all(n, n >= 0)", True),
        ("facts.name.matches('^f')", True),
        ("timestamp(facts.now) < timestamp('2027-01-01T00:00:00Z')", True),
        ("duration('10m') < duration('1h')", True),
    ],
)
def test_only_true_passes(expression: str, passes: bool) -> None:
    assert evaluate(expression, FACTS) is passes


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        pytest.param("facts.wieght <= 50", "nobody stated 'wieght'", id="a fact that is not there"),
        pytest.param("facts.stated.riskTier == 'High'", "ask with has(…) first", id="what nobody stated"),
        pytest.param("facts.name", "it gives a string, and a rule must give true or false", id="a truthy text"),
        pytest.param("facts.weight", "it gives an int", id="a number"),
        pytest.param("facts.list", "it gives a list", id="a list"),
        pytest.param("facts.weight / 0 == 1", "divide by zero", id="no number"),
        pytest.param("facts.name > 3", "No matching overloads", id="types that do not fit"),
        pytest.param("facts.half == 0.5 && facts.gone", "nobody stated 'gone'", id="half an answer"),
        pytest.param(
            "facts.list.all(a, facts.list.all(b, facts.list.all(c, true)))", "too many steps", id="nested lists"
        ),
    ],
)
def test_what_cannot_be_told_is_no_pass_and_says_what_to_mend(expression: str, said: str) -> None:
    with pytest.raises(RuleError, match=re.escape(said)) as caught:
        evaluate(expression, FACTS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        pytest.param("facts.weight <=", "line 1, column 16: Syntax error", id="syntax"),
        pytest.param("fact.weight <= 50", "line 1, column 5: undeclared reference to 'fact.weight'", id="a name"),
        pytest.param("true &&\n  facts.name.lowerAscii() == ''", "line 2, column 24", id="a function of Kubernetes"),
        pytest.param("'yes'", "it gives a string", id="another type"),
        pytest.param("(" * 900 + "true" + ")" * 900, "nested too deeply", id="parentheses"),
        pytest.param("['a']" + ".map(s, s + s)" * 100 + " == []", "nested too deeply", id="doubling"),
    ],
)
def test_what_does_not_compile_says_where(expression: str, said: str) -> None:
    with pytest.raises(RuleError, match=re.escape(said)):
        compiled(expression)


def test_true_of_an_untyped_fact_passes_and_its_like_does_not() -> None:
    assert evaluate("facts.yes", {"yes": True})
    for truthy in (1, "true", [True], {"true": True}):
        with pytest.raises(RuleError):
            evaluate("facts.yes", {"yes": truthy})
