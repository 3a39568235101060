"""The report shows the very numbers of the decision, and a renderer that dies costs one report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sluice.monitor.comparison import ColumnKind, match_columns
from sluice.monitor.exhibit import Exhibit, RenderJob, exhibits
from sluice.monitor.renderer import Renderer, RendererError
from sluice.monitor.rendering import escape_data, report
from sluice.monitor.tally import Tally
from sluice.monitor.verdict import Judgement, Rule, Sample, judge
from sluice.monitor.window import Column, Frame

RULE = Rule(min_samples=100, min_effect=0.1, alpha=0.01)


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
    for column in compared:
        name = f"{column.name} (characters)" if column.kind is ColumnKind.TEXT else column.name
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
        first = renderer.render(RenderJob("first", 0.1, shown, tmp_path / "first.html"))
        assert not first.error
        assert renderer._process
        renderer._process.kill()
        renderer._process.join()
        with pytest.raises(RendererError, match="died"):
            renderer.render(RenderJob("second", 0.1, shown, tmp_path / "second.html"))
        assert not renderer.running
        third = renderer.render(RenderJob("third", 0.1, shown, tmp_path / "third.html"))
        assert third.digest.startswith("sha256:")
    finally:
        renderer.end()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.html", "third.html"]


def test_a_report_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    _, shown = decided(0.0)
    renderer = Renderer(timeout=0.0)
    with pytest.raises(RendererError, match="no report after"):
        renderer.render(RenderJob("late", 0.1, shown, tmp_path / "late.html"))
    assert not renderer.running


def test_an_error_in_rendering_is_told_and_does_not_end_the_process(tmp_path: Path) -> None:
    _, shown = decided(0.0)
    renderer = Renderer()
    try:
        refused = renderer.render(RenderJob("x", 0.1, shown, tmp_path / "no-such-folder" / "x.html"))
        assert refused.error.startswith("FileNotFoundError")
        assert renderer.running
    finally:
        renderer.end()
