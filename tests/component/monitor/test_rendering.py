"""The report shows the very numbers of the decision, and a renderer that dies costs one report.

Where Evidently means the same thing otherwise: it has no Brier score, so the report has one of its own; rows of equal
score get one place, so it is given places; the R2 of a constant truth is 0 and not undefined.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from sluice.api.measure import PerformanceMetric, Task
from sluice.api.verdict import Verdict
from sluice.monitor.comparison import ColumnKind, match_columns
from sluice.monitor.contract import PerformanceAnswer, PerformanceRequest
from sluice.monitor.evidence import Evidence, ReportState
from sluice.monitor.exhibit import Columns, Exhibit, Grades, RenderJob, exhibits
from sluice.monitor.grading import Graded
from sluice.monitor.presets import MOST_CLASSES, performance
from sluice.monitor.renderer import Renderer, RendererError
from sluice.monitor.rendering import escape_data, render, report
from sluice.monitor.scoring import measure
from sluice.monitor.tally import Tally
from sluice.monitor.telemetry import Metrics
from sluice.monitor.vector import WIDE
from sluice.monitor.verdict import Judgement, Rule, Sample, judge
from sluice.monitor.window import Column, Frame

pytestmark = pytest.mark.filterwarnings("ignore")  # of Evidently's; the renderer keeps them to itself
RULE = Rule(min_samples=100, min_effect=0.1, alpha=0.01)
Numbers = NDArray[Any]
HOSTILE = "</script><script>alert(1)</script>"


def frame(seed: int, shift: float = 0.0, rows: int = 400) -> Frame:
    """A column of each kind that a verdict knows, and of each way to be difficult."""
    rng = np.random.default_rng(seed)
    numbers = {
        "normal": rng.normal(shift, size=rows),
        "tied": np.round(rng.normal(shift, size=rows), 1) + 0.05,
        "gaps": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
        "classes": rng.integers(0, 3, rows).astype(float),
        "same": np.full(rows, 1.5),
        "moved": np.full(rows, 0.1 + shift / 5_000),
        "empty": np.full(rows, np.nan),
    }
    numbers |= {f"vector[{place}]": rng.normal(shift, size=rows) for place in range(WIDE)}
    nan = np.full(rows, np.nan)
    columns = {name: Column(values) for name, values in numbers.items()}
    columns["texts"] = Column(nan, rng.choice(3, rows, p=[0.5, 0.4, 0.1]).astype(np.int32), ("a", "b", "c"))
    columns["words"] = Column(
        nan,
        np.arange(rows, dtype=np.int32),
        tuple(f"{seed}-{index}" for index in range(rows)),
        numbers["normal"].round(1),
    )
    columns["ids"] = Column(nan, np.arange(rows, dtype=np.int32), tuple(f"id-{seed}-{index}" for index in range(rows)))
    return Frame(rows, columns)


def decided(shift: float) -> tuple[Judgement, tuple[Exhibit, ...]]:
    candidate, stable = frame(1, shift), frame(2)
    pairs = match_columns(candidate, stable, ())
    sample = Sample(candidate.rows, Tally(candidate.rows))
    judgement = judge(pairs, sample, sample, RULE)
    return judgement, exhibits(pairs, judgement.columns)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_report_shows_the_p_values_and_levels_of_the_verdict(shift: float) -> None:
    judgement, shown = decided(shift)
    metrics = report(shown, RULE.min_effect, "a report").dict()["metrics"]
    reported = {metric["config"]["column"]: metric for metric in metrics}
    compared = [column for column in judgement.columns if column.test in {"ks", "chi2", "constant"}]
    assert {column.name for column in compared} >= {"normal", "tied", "gaps", "classes", "same", "texts", "words"}
    assert ColumnKind.VECTOR in {column.kind for column in compared}
    units = {ColumnKind.TEXT: " (characters)", ColumnKind.VECTOR: ": a classifier's score"}
    for column in compared:
        name = column.name + units.get(column.kind, "")
        assert float(reported[name]["value"]) == pytest.approx(column.p_value, rel=1e-12), column.name
        assert reported[name]["config"]["threshold"] == column.alpha


def test_a_column_without_values_does_not_end_the_whole_report() -> None:
    judgement, shown = decided(0.0)
    assert "empty" in {column.name for column in judgement.columns}
    assert "empty" not in {exhibit.pair.name for exhibit in shown}


def test_rendering_twice_with_another_rule_uses_the_second_rule() -> None:
    _, shown = decided(1.0)
    pages = [report(shown, effect, "a report").get_html_str(as_iframe=False) for effect in (0.1, 0.9)]
    assert ["effect of 0.9" in page for page in pages] == [False, True]


def test_a_page_of_another_shape_is_refused_rather_than_served_unescaped() -> None:
    with pytest.raises(ValueError, match="another shape"):
        escape_data("<html><script>var x = '</script>'</script></html>")


def test_a_renderer_that_dies_costs_one_report_and_the_next_has_a_new_one(tmp_path: Path) -> None:
    _, shown = decided(0.0)
    renderer = Renderer()
    try:
        first = renderer.render(RenderJob("first", Columns(0.1, shown), tmp_path / "first.html"))
        assert not first.error
        assert renderer._process
        renderer._process.kill()
        renderer._process.join()
        with pytest.raises(RendererError, match="died"):
            renderer.render(RenderJob("second", Columns(0.1, shown), tmp_path / "second.html"))
        assert not renderer.running
        third = renderer.render(RenderJob("third", Columns(0.1, shown), tmp_path / "third.html"))
        assert third.digest.startswith("sha256:")
    finally:
        renderer.end()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.html", "third.html"]


def test_a_report_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    _, shown = decided(0.0)
    renderer = Renderer(timeout=0.0)
    with pytest.raises(RendererError, match="no report after"):
        renderer.render(RenderJob("late", Columns(0.1, shown), tmp_path / "late.html"))
    assert not renderer.running


def test_an_error_in_rendering_is_told_and_does_not_end_the_process(tmp_path: Path) -> None:
    _, shown = decided(0.0)
    renderer = Renderer()
    try:
        refused = renderer.render(RenderJob("x", Columns(0.1, shown), tmp_path / "no-such-folder" / "x.html"))
        assert refused.error.startswith("FileNotFoundError")
        assert renderer.running
    finally:
        renderer.end()


def graded(
    metric: PerformanceMetric, seed: int, *, names: tuple[str, ...] = ("a", "b", "c"), rows: int = 300
) -> Graded:
    """Answers as a verdict on the metric has them: imperfect, with ties, in requests of one to ten rows."""
    rng = np.random.default_rng(seed)
    requests = np.sort(rng.integers(0, rows // 4, rows))
    truth: Numbers
    answer: Numbers
    if metric.task is Task.CLASSIFICATION:
        count = len(names) if metric is PerformanceMetric.ACCURACY else 2
        names = names[:count]
        truth = rng.integers(0, count, rows).astype(float)
        answer = np.where(rng.random(rows) < 0.7, truth, rng.integers(0, count, rows))
        if metric.of_probability:
            answer = np.clip(answer * 0.4 + rng.normal(0.3, 0.3, rows), 0, 1).round(2)
    elif metric.task is Task.REGRESSION:
        names, truth = (), rng.normal(5, size=rows)
        answer = truth + rng.normal(0.2, 0.5, rows)
    else:
        names, truth = (), rng.integers(0, 4, rows) * (rng.random(rows) < 0.3).astype(float)
        answer = (truth + rng.normal(size=rows)).round(0)
    return Graded(truth, answer, requests, requests % 100, names)


NAMES = {
    "R2": "R2Score",
    "F1": "F1Score",
    "ROCAUC": "RocAuc",
    "PrecisionAtK": "PrecisionTopK",
}
"""Evidently's, where they are others than ours."""


def figure(snapshot: Any, metric: PerformanceMetric, top: int, *, reference: bool = False) -> float:
    """A figure of one side, as the report has it."""
    wanted = NAMES.get(metric, metric.value)
    found = [each for each in snapshot.dict()["metrics"] if each["metric_name"].startswith(f"{wanted}(")]
    assert len(found) == 1
    value = found[0]["value"]
    if reference:
        value = snapshot.context.get_reference_metric_result(found[0]["id"]).to_simple_dict()
    if metric.task is Task.RANKING:
        # One row for each place; their column "rank" is one too high for NDCG and MRR in Evidently 0.7.23.
        return float(value["value"][top - 1])
    return float(value["mean"] if isinstance(value, dict) else value)


@pytest.mark.parametrize(
    ("metric", "compared"),
    [
        *((metric, True) for metric in PerformanceMetric),
        (PerformanceMetric.F1, False),
        (PerformanceMetric.ROC_AUC, False),
        (PerformanceMetric.MAE, False),
        (PerformanceMetric.NDCG, False),
    ],
)
def test_the_report_shows_the_figure_of_the_verdict_on_performance(metric: PerformanceMetric, compared: bool) -> None:
    candidate, stable, top = graded(metric, 1), graded(metric, 2), 3
    snapshot = performance(Grades(metric, top, candidate, stable if compared else None), "a report")
    assert figure(snapshot, metric, top) == pytest.approx(measure(candidate, metric, top), rel=1e-6)
    if compared:
        assert figure(snapshot, metric, top, reference=True) == pytest.approx(measure(stable, metric, top), rel=1e-6)
    assert len(snapshot.get_html_str(as_iframe=False)) > 1_000_000


@pytest.mark.parametrize(
    ("metric", "names"),
    [
        (PerformanceMetric.ACCURACY, ("not 1", "1", "2")),
        (PerformanceMetric.ACCURACY, ("1", "0", "-1.5")),
        (PerformanceMetric.F1, ("label", "answer", "")),
        (PerformanceMetric.LOG_LOSS, ("1", "0", "-1.5")),
    ],
)
def test_classes_may_have_any_names(metric: PerformanceMetric, names: tuple[str, ...]) -> None:
    grades = Grades(metric, 10, graded(metric, 1, names=names), graded(metric, 2, names=names))
    snapshot = performance(grades, "a report")
    assert figure(snapshot, metric, 10) == pytest.approx(measure(grades.candidate, metric), rel=1e-6)
    assert snapshot.get_html_str(as_iframe=False)


def test_a_report_on_very_many_classes_shows_the_most_frequent_and_the_same_accuracy() -> None:
    metric = PerformanceMetric.ACCURACY
    names = tuple(f"class {number}" for number in range(5 * MOST_CLASSES))
    grades = Grades(metric, 10, graded(metric, 1, names=names, rows=3_000), graded(metric, 2, names=names, rows=3_000))
    snapshot = performance(grades, "a report")
    assert figure(snapshot, metric, 10) == pytest.approx(measure(grades.candidate, metric), rel=1e-6)
    by_class = next(each for each in snapshot.dict()["metrics"] if each["metric_name"].startswith("F1ByLabel("))
    assert len(by_class["value"]) == MOST_CLASSES + 1


@pytest.mark.parametrize(
    "metric", [PerformanceMetric.ACCURACY, PerformanceMetric.RECALL, PerformanceMetric.BRIER_SCORE]
)
def test_the_name_of_a_class_cannot_end_the_script_that_it_is_part_of(
    metric: PerformanceMetric, tmp_path: Path
) -> None:
    pages = []
    for name in ("harmless", HOSTILE):
        names = (f"not {name}", name, "other")
        grades = Grades(metric, 10, graded(metric, 1, names=names), graded(metric, 2, names=names))
        assert not render(RenderJob("a report", grades, tmp_path / "page.html")).error
        pages.append((tmp_path / "page.html").read_text())
    harmless, attacked = pages
    assert HOSTILE not in attacked
    assert "\\u003c/script>\\u003cscript>alert(1)" in attacked
    assert attacked.count("</script") == harmless.count("</script") > 0


ROWS = 40
REQUESTS = np.arange(ROWS)
NONE = np.empty(0)
EMPTY = Graded(NONE, NONE, NONE.astype(np.intp), NONE.astype(np.intp))


def scored(truth: Numbers, answer: Numbers, requests: Numbers) -> Graded:
    return Graded(truth, answer, requests, requests)


def plain(truth: Numbers, answer: Numbers, *names: str) -> Graded:
    return Graded(truth, answer, REQUESTS, REQUESTS, names)


ZERO, ONE = np.zeros(ROWS), np.ones(ROWS)
MIXED = REQUESTS % 2 * 1.0
NO_X = ("not x", "x")


@pytest.mark.parametrize(
    ("metric", "candidate", "stable"),
    [
        pytest.param("Recall", plain(ONE, ONE, *NO_X), plain(MIXED, ONE, *NO_X), id="one class, two at stable"),
        pytest.param("Accuracy", plain(ZERO, ZERO, *NO_X), None, id="never the positive class"),
        pytest.param("Accuracy", plain(MIXED, ZERO, "b", "a"), plain(ZERO, ZERO, "b"), id="two classes, one at stable"),
        pytest.param("Accuracy", plain(MIXED, ONE * 2, *"abc"), plain(MIXED, ONE, *"ab"), id="three, two at stable"),
        pytest.param("LogLoss", plain(MIXED, ONE, *NO_X), plain(ONE, ONE, *NO_X), id="stable's truth of one class"),
        pytest.param("ROCAUC", plain(MIXED, MIXED, "not answer", "answer"), EMPTY, id="stable without rows"),
        pytest.param("Accuracy", plain(MIXED, MIXED, *"ab"), EMPTY, id="stable without rows, classes"),
        pytest.param("MAE", plain(ONE, MIXED), plain(MIXED, MIXED), id="the truth is constant"),
        pytest.param("MAE", plain(ONE, ONE), EMPTY, id="both are constant"),
        pytest.param("MAE", plain(MIXED * 1e300, MIXED), plain(MIXED, -MIXED), id="immense"),
        pytest.param("RMSE", plain(MIXED, MIXED), plain(ZERO, ONE), id="stable's truth is zero"),
    ],
)
def test_answers_that_are_hardly_any_still_have_a_report(metric: str, candidate: Graded, stable: Graded | None) -> None:
    grades = Grades(PerformanceMetric(metric), 10, candidate, stable)
    snapshot = performance(grades, "a report")
    assert figure(snapshot, grades.metric, 10) == pytest.approx(measure(candidate, grades.metric), rel=1e-6)
    assert snapshot.get_html_str(as_iframe=False)


def test_answers_that_evidently_has_no_report_of_are_an_error_that_says_why(tmp_path: Path) -> None:
    many = np.repeat(np.arange(30), 300)
    cases = {
        "of one class": Grades(PerformanceMetric.LOG_LOSS, 10, plain(ZERO, MIXED, *NO_X)),
        "labels are 0": Grades(PerformanceMetric.MAE, 10, plain(ZERO, MIXED)),
        "no request has a relevant row": Grades(PerformanceMetric.NDCG, 10, plain(ZERO, MIXED)),
        "more rows of each": Grades(PerformanceMetric.MRR, 1_000, scored(many * 1.0, many * 1.0, many)),
    }
    renderer = Renderer()
    try:
        for words, grades in cases.items():
            rendered = renderer.render(RenderJob("a report", grades, tmp_path / "x.html"))
            assert words in rendered.error
            assert renderer.running
        fine = Grades(PerformanceMetric.MAE, 10, graded(PerformanceMetric.MAE, 1), graded(PerformanceMetric.MAE, 2))
        assert renderer.render(RenderJob("a report", fine, tmp_path / "x.html")).digest.startswith("sha256:")
    finally:
        renderer.end()


def test_a_stable_revision_with_shorter_requests_does_not_change_what_is_shown_of_the_candidate() -> None:
    metric, pairs = PerformanceMetric.NDCG, np.repeat(np.arange(20), 2)
    candidate = graded(metric, 1)
    stable = scored(MIXED, ONE, pairs)
    snapshot = performance(Grades(metric, 5, candidate, stable), "a report")
    assert figure(snapshot, metric, 5) == pytest.approx(measure(candidate, metric, 5), rel=1e-6)


def test_an_answer_about_performance_has_its_report_with_question_and_answer_beside_it(tmp_path: Path) -> None:
    metric = PerformanceMetric.MAE
    evidence = Evidence(tmp_path, Metrics(), kept=10, idle_seconds=60)
    request = PerformanceRequest(
        namespace="models", deployment="m", candidate="m-r2", window=60, metric=metric, min_labels=10
    )
    answer = PerformanceAnswer(verdict=Verdict.PASS, reason="WithinLimits", message="MAE 0.5.")
    assert evidence.attach("MAE of m-r2", request, answer, Grades(metric, 10, EMPTY)) == answer
    linked = evidence.attach("MAE of m-r2", request, answer, Grades(metric, 10, graded(metric, 1)))
    assert linked.report is not None
    record = evidence.record(linked.report.id)
    assert record is not None
    assert record.state is ReportState.PENDING
    assert msgspec.convert(record.request, PerformanceRequest) == request
    assert msgspec.convert(record.answer, PerformanceAnswer) == linked
