"""The drawing: time runs from left to right, nothing lies on anything else, and it says what the figures say."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.modelrevision import StepRecord
from sluice.cli.plan import StepState, StepView
from sluice.cli.report import assessment, axis, people, plot, story
from sluice.cli.report.axis import Axis
from sluice.cli.report.plot import Plot
from sluice.cli.report.story import Story
from sluice.core.steps import StepKind
from sluice.core.world import Revision
from tests.unit.stories import STORIES, told

pytestmark = pytest.mark.xdist_group("stories")  # which are simulated once for each process

SUBJECT = {"first release": "r1", "ungoverned": "r1"}
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
spans = st.timedeltas(timedelta(seconds=1), timedelta(days=900))
waits = st.lists(st.tuples(st.timedeltas(timedelta(0), timedelta(days=900)), spans), max_size=8)


@cache
def read(name: str) -> Story:
    return story.of(told(name), SUBJECT.get(name, "r2"))


def drawn(found: Story) -> Plot:
    made = plot.plot(found, people.acts(found, assessment.of(found).then))
    assert made is not None
    return made


def laid(length: timedelta, held: list[tuple[timedelta, timedelta]]) -> Axis:
    return axis.axis(START, START + length, [(START + a, START + a + b) for a, b in held], 100.0, 700.0)


@given(spans, waits, st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_later_is_further_to_the_right_and_within(
    length: timedelta, held: list[tuple[timedelta, timedelta]], parts: list[float]
) -> None:
    made = laid(length, held)
    places = [made.x(START + length * part) for part in sorted(parts)]
    assert all(100.0 - 1e-6 <= x <= 700.0 + 1e-6 for x in places)
    assert all(a <= b + 1e-6 for a, b in pairwise(places))
    assert made.x(START) == pytest.approx(100.0)
    assert made.x(START + length) == pytest.approx(700.0)
    assert made.x(START - timedelta(days=1)) == pytest.approx(100.0)
    assert made.x(START + length + timedelta(days=1)) == pytest.approx(700.0)


@given(spans, waits)
def test_ticks_do_not_touch_and_are_where_their_time_is(
    length: timedelta, held: list[tuple[timedelta, timedelta]]
) -> None:
    ticks = laid(length, held).ticks
    assert ticks
    assert len(ticks) <= 14
    assert ticks[0].date
    assert all(b.x - a.x >= 46 for a, b in pairwise(ticks))


def test_a_long_wait_is_drawn_short_and_a_short_one_is_not() -> None:
    long = laid(timedelta(hours=49), [(timedelta(0), timedelta(hours=48))])
    assert [stretch.broken for stretch in long.stretches] == [True, False]
    assert long.x(START + timedelta(hours=48)) - long.x(START) == pytest.approx(0.09 * 600)
    assert [
        stretch.broken for stretch in laid(timedelta(hours=1), [(timedelta(0), timedelta(minutes=9))]).stretches
    ] == [False]


def test_an_axis_without_anything_but_waiting_is_whole() -> None:
    assert [stretch.broken for stretch in laid(timedelta(hours=1), [(timedelta(0), timedelta(hours=1))]).stretches] == [
        False
    ]


def shares(found: Plot) -> list[float]:
    heights = [float(y) for y in re.findall(r"[ML][-\d.]+,([-\d.]+)", found.curve)]
    return [round((found.bottom - y) / (found.bottom - found.top) * 100) for y in heights]


def test_the_curve_goes_through_the_shares_of_the_steps() -> None:
    made = drawn(read("promoted"))
    assert shares(made) == [0, 0, 0, 0, 5, 5, 25, 25, 50, 50, 100, 100]
    assert made.end is not None
    assert (made.end.kind, made.end.label) == ("promoted", "promoted")


def test_a_rollback_falls_to_nothing_at_its_end() -> None:
    made = drawn(read("rolled back"))
    assert shares(made)[-2:] == [25, 0]
    assert made.end is not None
    assert made.end.y == pytest.approx(made.bottom)
    assert [mark.kind for mark in made.verdicts].count("fail") == 1


def test_a_release_that_has_not_ended_has_no_end() -> None:
    made = drawn(read("moving"))
    assert made.end is None
    assert made.after == ""


@pytest.mark.parametrize("name", STORIES)
def test_everything_is_within_the_drawing_and_no_mark_lies_on_another(name: str) -> None:
    made = drawn(read(name))
    for mark in (*made.verdicts, *made.acts):
        assert made.left - 1e-6 <= mark.x <= made.right + 1e-6
        assert 0 <= mark.y <= made.height
    assert all(band.x + band.width <= made.right + 1e-6 for band in (*made.bands, *made.copies))
    for one, other in ((a, b) for a in made.acts for b in made.acts if a is not b):
        assert abs(one.x - other.x) >= 19 or abs(one.y - other.y) >= 19
    assert max((mark.y for mark in made.acts), default=0) + 8 < made.top
    assert made.top < made.bottom < made.height


@pytest.mark.parametrize("name", STORIES)
def test_it_is_described_in_words_too(name: str) -> None:
    found = read(name)
    said = drawn(found).description
    assert all(f"{step.weight} %" in said for step in found.taken)


def test_forty_steps_are_drawn_without_a_label_on_another() -> None:
    """More than a plan can have; the drawing does not depend on that."""
    found = read("ungoverned")
    asked = found.asked_at
    steps = tuple(
        StepView(
            number=number,
            kind=StepKind.WEIGHT,
            weight=number * 5 // 2,
            mirror=0,
            hold=timedelta(minutes=1),
            role="",
            state=StepState.DONE,
            started_at=asked + timedelta(minutes=number),
            finished_at=asked + timedelta(minutes=number + 1),
            results=(),
        )
        for number in range(1, 41)
    )
    status = found.revision.status.model_copy(
        update={"finished_at": None, "promoted_at": asked + timedelta(minutes=42)}
    )
    long = replace(found, revision=Revision(found.revision.name, found.revision.spec, status))
    vars(long).update(steps=steps, taken=steps, end=None)
    made = drawn(long)
    assert len(set(shares(made))) > 38
    labelled = [step for step in made.steps if step.label]
    assert all(b.x - a.x >= 26 or abs(a.y - b.y) >= 11 for a, b in pairwise(labelled))


def test_a_step_that_never_applied_is_no_part_of_the_curve() -> None:
    found = read("ungoverned")
    status = found.revision.status.model_copy(update={"steps": [StepRecord(index=0, weight=100)]})
    assert shares(drawn(replace(found, revision=Revision(found.revision.name, found.revision.spec, status)))) == [0, 0]
