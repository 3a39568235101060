"""Every input ends in one of four words, and in the right one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.verdict import Verdict
from sluice.monitor.comparison import ColumnKind, match_columns, name_columns
from sluice.monitor.origin import Origins
from sluice.monitor.payload import Cell
from sluice.monitor.reservoir import Chunk, Layout, Side
from sluice.monitor.tally import Tally
from sluice.monitor.verdict import ColumnVerdict, Judgement, Reason, Rule, Sample, judge
from sluice.monitor.window import Column, Frame, assemble

RULE = Rule(min_samples=200, min_effect=0.1, alpha=0.01)
RNG_SEED = 20_261_124


def frame(**columns: Sequence[Cell]) -> Frame:
    """The way a window is really made: through the reservoir's encoding."""
    layout = Layout()
    encoded = []
    for row in zip(*columns.values(), strict=True):
        values: list[float] = []
        layout.encode(Side.OUTPUTS, tuple(columns), row, values)
        encoded.append(values)
    width = len(layout.planes)
    rows = np.array([values + [np.nan] * (width - len(values)) for values in encoded]).reshape(len(encoded), width)
    return assemble([Chunk(0, len(rows), rows, layout)], Side.OUTPUTS, 20_000, np.random.default_rng(0))


def verdict(
    candidate: Frame,
    stable: Frame,
    *,
    rule: Rule = RULE,
    columns: Sequence[str] = (),
    lost: Tally | None = None,
) -> Judgement:
    sides = Sample(candidate.rows, lost or Tally(paired=candidate.rows)), Sample(stable.rows, Tally(stable.rows))
    return judge(match_columns(candidate, stable, columns), *sides, rule)


def only(judgement: Judgement) -> ColumnVerdict:
    [column] = judgement.columns
    return column


def scores(seed: int, rows: int = 500, shift: float = 0.0) -> list[Cell]:
    return [float(score) for score in np.random.default_rng(seed).normal(shift, size=rows)]


def labels(seed: int, shares: Sequence[float], rows: int = 500) -> list[Cell]:
    return [f"class-{label}" for label in np.random.default_rng(seed).choice(len(shares), rows, p=shares)]


def some_missing(cells: list[Cell], every: int, cell: Cell = None) -> list[Cell]:
    return [cell if index % every == 0 else value for index, value in enumerate(cells)]


def free_texts(seed: int, rows: int = 500, words: float = 200) -> list[Cell]:
    """Answers of a language model: no two alike, and longer than what is kept of each."""
    lengths = np.random.default_rng(seed).gamma(4, words / 4, size=rows)
    return [f"{seed}-{index} " + "word " * int(length) for index, length in enumerate(lengths)]


UNIQUE: list[Cell] = [f"id-{index:03}" for index in range(500)]
OTHERS: list[Cell] = [f"no-{index:03}" for index in range(500)]
CASES = [
    # What a healthy pair of revisions looks like
    pytest.param(scores(1), scores(2), "Pass", Reason.NOT_SIGNIFICANT, id="same numbers"),
    pytest.param(labels(1, [0.7, 0.3]), labels(2, [0.7, 0.3]), "Pass", Reason.NOT_SIGNIFICANT, id="same classes"),
    pytest.param([1.5] * 500, [1.5] * 500, "Pass", Reason.CONSTANT, id="the same constant"),
    pytest.param(["a"] * 500, ["a"] * 500, "Pass", Reason.CONSTANT, id="the same single class"),
    pytest.param([True, False] * 250, [False, True] * 250, "Pass", Reason.NOT_SIGNIFICANT, id="same booleans"),
    pytest.param(
        scores(1, 20_000, 0.06), scores(2, 20_000), "Pass", Reason.EFFECT_TOO_SMALL, id="significant, too small"
    ),
    pytest.param(
        [float(np.float32(x)) for x in np.linspace(0, 1, 7).repeat(80)],
        [float(x) for x in np.linspace(0, 1, 7).repeat(80)],
        "Pass",
        Reason.NOT_SIGNIFICANT,
        id="the same leaves in another precision",
    ),
    pytest.param([0.1002] * 500, [0.1] * 500, "Pass", Reason.EFFECT_TOO_SMALL, id="a constant moves by 0.2 %"),
    pytest.param(scores(1), some_missing(scores(2), 5), "Pass", Reason.NOT_SIGNIFICANT, id="fewer missing"),
    pytest.param(
        some_missing(scores(1), 400), scores(2), "Pass", Reason.NOT_SIGNIFICANT, id="two of five hundred missing"
    ),
    pytest.param(
        [*labels(1, [0.5, 0.5], 499), "new"], labels(2, [0.5, 0.5]), "Pass", Reason.NOT_SIGNIFICANT, id="one unseen"
    ),
    pytest.param(free_texts(1), free_texts(2), "Pass", Reason.NOT_SIGNIFICANT, id="free texts"),
    pytest.param(
        free_texts(1, 5_000), free_texts(2, 5_000), "Pass", Reason.NOT_SIGNIFICANT, id="more free texts than are kept"
    ),
    # What a harmful change looks like
    pytest.param(free_texts(1, words=100), free_texts(2), "Fail", Reason.DRIFT_DETECTED, id="free texts half as long"),
    pytest.param([""] * 500, free_texts(2), "Fail", Reason.DRIFT_DETECTED, id="nothing said"),
    pytest.param(["no"] * 500, UNIQUE, "Fail", Reason.DRIFT_DETECTED, id="one word for everybody"),
    pytest.param([None] * 500, free_texts(2), "Fail", Reason.COLUMN_MISSING, id="null where stable wrote"),
    pytest.param(scores(1, shift=0.5), scores(2), "Fail", Reason.DRIFT_DETECTED, id="shifted numbers"),
    pytest.param([0.0] * 500, scores(2), "Fail", Reason.DRIFT_DETECTED, id="a constant where stable varies"),
    pytest.param([0] * 500, [1] * 500, "Fail", Reason.DRIFT_DETECTED, id="always one class, always the other"),
    pytest.param([0.2] * 500, [0.1] * 500, "Fail", Reason.DRIFT_DETECTED, id="a constant doubles"),
    pytest.param([0, 1] * 250, [0, 0, 0, 0, 1] * 100, "Fail", Reason.DRIFT_DETECTED, id="twice as many positives"),
    pytest.param([True] * 500, [True, False] * 250, "Fail", Reason.DRIFT_DETECTED, id="a boolean stuck"),
    pytest.param(labels(1, [0.5, 0.5]), labels(2, [0.7, 0.3]), "Fail", Reason.DRIFT_DETECTED, id="other classes"),
    pytest.param(["new"] * 500, ["old"] * 500, "Fail", Reason.DRIFT_DETECTED, id="only unseen categories"),
    pytest.param(
        some_missing(scores(1), 20), scores(2), "Fail", Reason.MORE_MISSING_VALUES, id="null where stable answers"
    ),
    pytest.param(
        some_missing(scores(1), 20, float("nan")), scores(2), "Fail", Reason.MORE_MISSING_VALUES, id="NaN likewise"
    ),
    pytest.param(
        some_missing(scores(1), 20, float("inf")), scores(2), "Fail", Reason.MORE_MISSING_VALUES, id="infinite likewise"
    ),
    pytest.param([None] * 500, scores(2), "Fail", Reason.COLUMN_MISSING, id="nothing but null"),
    pytest.param([str(x) for x in scores(1)], scores(2), "Fail", Reason.TYPE_CHANGED, id="numbers become strings"),
    pytest.param([0, 1] * 250, ["no", "yes"] * 250, "Fail", Reason.TYPE_CHANGED, id="strings become numbers"),
    # What cannot be judged
    pytest.param(UNIQUE, OTHERS, "Inconclusive", Reason.TOO_MANY_CATEGORIES, id="identifiers of one length"),
    pytest.param([None] * 500, [None] * 500, "Inconclusive", Reason.COLUMN_EMPTY, id="null on both sides"),
    pytest.param(scores(1), [None] * 500, "Inconclusive", Reason.COLUMN_NEW, id="null on stable alone"),
    pytest.param(
        some_missing(scores(1), 1)[:301] + scores(1)[301:],
        some_missing(scores(2), 1)[:301] + scores(2)[301:],
        "Inconclusive",
        Reason.TOO_FEW_VALUES,
        id="too few values among enough rows",
    ),
]


@pytest.mark.parametrize(("candidate", "stable", "word", "reason"), CASES)
def test_a_column_has_its_verdict(candidate: list[Cell], stable: list[Cell], word: str, reason: Reason) -> None:
    judgement = verdict(frame(y=candidate), frame(y=stable))
    assert (only(judgement).verdict, only(judgement).reason) == (word, reason)
    assert judgement.verdict == word
    assert 0 < len(judgement.message) <= 1_024


def test_a_text_column_says_that_it_is_judged_by_length() -> None:
    judgement = verdict(frame(answer=free_texts(1, words=100)), frame(answer=free_texts(2)))
    column = only(judgement)
    assert (column.kind, column.test) == (ColumnKind.TEXT, "ks")
    assert column.mean_shift is not None
    assert column.mean_shift < -0.5
    assert "length of answer (ks effect 0." in judgement.message


def test_texts_of_which_most_are_common_are_categories_still() -> None:
    def some(seed: int) -> list[Cell]:
        common = labels(seed, [0.25] * 4, 300)
        return [*common, *(f"rare-{seed}-{index}" for index in range(200))]

    column = only(verdict(frame(y=some(1)), frame(y=some(2))))
    assert (column.kind, column.test, column.verdict) == (ColumnKind.CATEGORICAL, "chi2", Verdict.PASS)


def test_rows_without_lengths_are_categories_as_they_were_when_they_were_kept() -> None:
    def old(cells: list[Cell]) -> Frame:
        new = frame(y=cells)
        return Frame(new.rows, {"y": replace(new.columns["y"], lengths=np.empty(0))})

    column = only(verdict(old(UNIQUE), frame(y=OTHERS)))
    assert (column.kind, column.verdict) == (ColumnKind.CATEGORICAL, Verdict.INCONCLUSIVE)
    assert column.reason is Reason.TOO_MANY_CATEGORIES


@pytest.mark.parametrize(("words", "word"), [(200, "Pass"), (100, "Fail")])
def test_free_texts_for_the_same_requests_are_compared_one_by_one(words: float, word: str) -> None:
    stable = frame(answer=free_texts(1))
    candidate = frame(answer=free_texts(1, words=words))
    pairs = match_columns(candidate, stable, (), paired=True)
    judgement = judge(pairs, Sample(500, Tally(500)), Sample(500, Tally(500)), RULE)
    assert (only(judgement).test, judgement.verdict) == ("concordance", word)


@pytest.mark.parametrize(
    ("candidate", "stable", "reason"),
    [
        pytest.param([], scores(2), Reason.NO_DATA, id="no candidate"),
        pytest.param(scores(1), [], Reason.NO_STABLE_DATA, id="no stable"),
        pytest.param([], [], Reason.NO_DATA, id="neither"),
        pytest.param(scores(1, 199, 9), scores(2), Reason.TOO_FEW_SAMPLES, id="few of the candidate, however bad"),
        pytest.param(scores(1), scores(2, 199), Reason.TOO_FEW_SAMPLES, id="few of stable"),
    ],
)
def test_too_few_rows_are_inconclusive_whatever_they_say(
    candidate: list[Cell], stable: list[Cell], reason: Reason
) -> None:
    judgement = verdict(frame(y=candidate), frame(y=stable))
    assert (judgement.verdict, judgement.reason, judgement.columns) == (Verdict.INCONCLUSIVE, reason, ())


def test_a_column_that_the_candidate_dropped_fails() -> None:
    judgement = verdict(frame(y=scores(1)), frame(y=scores(2), z=scores(3)))
    assert (judgement.verdict, judgement.reason) == (Verdict.FAIL, Reason.COLUMN_MISSING)


def test_a_column_that_only_the_candidate_has_is_inconclusive_until_columns_are_named() -> None:
    candidate, stable = frame(y=scores(1), z=scores(3)), frame(y=scores(2))
    judgement = verdict(candidate, stable)
    assert (judgement.verdict, judgement.reason) == (Verdict.INCONCLUSIVE, Reason.COLUMN_NEW)
    assert "z" in judgement.message
    assert verdict(candidate, stable, columns=["y"]).verdict is Verdict.PASS


def test_a_named_column_that_nobody_has_never_passes() -> None:
    judgement = verdict(frame(y=scores(1)), frame(y=scores(2)), columns=["y", "misspelt"])
    assert (judgement.verdict, judgement.reason) == (Verdict.INCONCLUSIVE, Reason.COLUMN_EMPTY)


def test_rows_without_columns_are_inconclusive() -> None:
    judgement = verdict(Frame(500, {}), Frame(500, {}))
    assert (judgement.verdict, judgement.reason) == (Verdict.INCONCLUSIVE, Reason.NO_DATA)


def test_one_bad_column_among_many_fails_the_whole_and_is_named() -> None:
    good = {f"x{index}": scores(index) for index in range(24)}
    stable = {f"x{index}": scores(100 + index) for index in range(24)}
    judgement = verdict(frame(**good, bad=scores(50, shift=1)), frame(**stable, bad=scores(51)))
    assert judgement.verdict is Verdict.FAIL
    assert "bad" in judgement.message
    assert [column.name for column in judgement.columns if column.verdict is Verdict.FAIL] == ["bad"]


def test_a_fail_outweighs_what_cannot_be_judged() -> None:
    judgement = verdict(frame(y=scores(1, shift=1), name=UNIQUE), frame(y=scores(2), name=UNIQUE))
    assert judgement.verdict is Verdict.FAIL


def test_the_budget_is_split_evenly_over_the_tests_that_the_columns_cost() -> None:
    judgement = verdict(
        frame(a=scores(1), b=some_missing(scores(2), 100), c=[None] * 500),
        frame(a=scores(3), b=scores(4), c=[None] * 500),
    )
    # One for a's values, two for b's values and its missing ones, none for the empty c.
    assert {column.alpha for column in judgement.columns} == {RULE.alpha / 3}


def test_a_pass_becomes_inconclusive_when_too_many_inferences_gave_no_row() -> None:
    lost = Tally(paired=500, failed=200)
    judgement = verdict(frame(y=scores(1)), frame(y=scores(2)), lost=lost)
    assert (judgement.verdict, judgement.reason) == (Verdict.INCONCLUSIVE, Reason.SAMPLES_LOST)
    assert "200 requests without a response" in judgement.message
    assert verdict(frame(y=scores(1, shift=1)), frame(y=scores(2)), lost=lost).verdict is Verdict.FAIL


def test_a_pass_becomes_inconclusive_when_the_split_was_not_the_one_that_was_told() -> None:
    tenth = replace(RULE, share=0.1)
    same = frame(y=scores(1)), frame(y=scores(2))
    judgement = verdict(*same, rule=tenth)
    assert (judgement.verdict, judgement.reason) == (Verdict.INCONCLUSIVE, Reason.SAMPLE_RATIO_MISMATCH)
    assert judgement.message.startswith("The candidate had 50.00% of 1,000 requests, and should have 10.00%")
    assert verdict(*same, rule=replace(RULE, share=0.5)).verdict is Verdict.PASS
    assert verdict(*same).verdict is Verdict.PASS, "copies have no share"


def test_a_fail_says_that_the_split_was_not_the_one_that_was_told() -> None:
    judgement = verdict(frame(y=scores(1, shift=1)), frame(y=scores(2)), rule=replace(RULE, share=0.1))
    assert (judgement.verdict, judgement.reason) == (Verdict.FAIL, Reason.DRIFT_DETECTED)
    assert "The candidate had 50.00% of 1,000 requests" in judgement.message


def test_whole_numbers_of_few_values_are_categories_and_of_many_are_numbers() -> None:
    few, many = frame(y=[*range(20)] * 25), frame(y=[*range(21)] * 25)
    assert match_columns(few, few, ())[0].kind is ColumnKind.CATEGORICAL
    assert match_columns(many, many, ())[0].kind is ColumnKind.NUMERIC


def test_columns_without_names_get_the_signature_s_and_named_ones_keep_theirs() -> None:
    unnamed = frame(x0=scores(1), x1=scores(2), x2=scores(3))
    assert list(name_columns(unnamed, ["age", "income"]).columns) == ["age", "income", "x2"]
    named = frame(income=scores(1), age=scores(2))
    assert name_columns(named, ["age", "income"]) is named


def test_rows_keep_their_requests_when_columns_are_named() -> None:
    """Without them, the rows of one request would count as so many independent observations."""
    origins = Origins(np.array([b"a", b"a", b"b"]), np.arange(3, dtype=np.int32), np.array([2, 2, 1], dtype=np.int32))
    frame = Frame(3, {"x0": Column(np.arange(3.0))}, origins)
    assert name_columns(frame, ["age"]).origins is origins


def test_a_long_list_of_changed_columns_fits_into_a_condition_s_message() -> None:
    name = "x" * 256
    candidate = {f"{name}{index}": scores(index, shift=2) for index in range(30)}
    stable = {f"{name}{index}": scores(100 + index) for index in range(30)}
    judgement = verdict(frame(**candidate), frame(**stable))
    assert judgement.verdict is Verdict.FAIL
    assert len(judgement.message) <= 1_024


def test_no_change_in_25_columns_fails_no_more_often_than_the_budget_says() -> None:
    rng = np.random.default_rng(RNG_SEED)
    rule = Rule(min_samples=200, min_effect=0.0, alpha=0.05)
    repetitions = 100

    def side() -> Frame:
        numbers = {f"x{index}": rng.normal(size=300).tolist() for index in range(20)}
        classes = {f"c{index}": rng.choice(["a", "b", "c"], 300).tolist() for index in range(5)}
        return frame(**numbers, **classes)

    failed = sum(verdict(side(), side(), rule=rule).verdict is Verdict.FAIL for _ in range(repetitions))
    assert failed / repetitions <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repetitions)


cells = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
columns = st.lists(cells, max_size=40) | st.builds(lambda cell, n: [cell] * n, cells, st.integers(0, 40))


@given(columns, columns, st.floats(0, 1), st.floats(1e-6, 0.5))
def test_any_cells_at_all_end_in_a_verdict(
    candidate: list[Cell], stable: list[Cell], min_effect: float, alpha: float
) -> None:
    rule = Rule(min_samples=2, min_effect=min_effect, alpha=alpha)
    judgement = verdict(frame(y=candidate), frame(y=stable), rule=rule)
    assert judgement.verdict in {Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE}
    assert len(judgement.message) <= 1_024
    if judgement.verdict is Verdict.PASS:
        assert min(len(candidate), len(stable)) >= rule.min_samples
        assert only(judgement).effect is not None


@given(st.integers(0, 1_000), st.floats(-1, 1), st.floats(0, 1))
def test_a_stricter_rule_never_turns_a_fail_into_a_pass(seed: int, shift: float, min_effect: float) -> None:
    candidate, stable = frame(y=scores(seed, 250, shift)), frame(y=scores(seed + 1, 250))
    loose = verdict(candidate, stable, rule=Rule(min_samples=200, min_effect=min_effect, alpha=0.01))
    strict = verdict(candidate, stable, rule=Rule(min_samples=200, min_effect=min_effect / 2, alpha=0.05))
    assert not (loose.verdict is Verdict.FAIL and strict.verdict is Verdict.PASS)


@given(st.integers(0, 1_000), st.floats(-1, 1))
def test_without_missing_values_the_sides_may_be_swapped(seed: int, shift: float) -> None:
    ours, theirs = frame(y=scores(seed, 250, shift)), frame(y=scores(seed + 1, 250))
    assert verdict(ours, theirs).verdict is verdict(theirs, ours).verdict
