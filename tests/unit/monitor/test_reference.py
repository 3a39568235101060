"""What serves is held against its own first time: the reference is kept, fair, and outlives rows and processes."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sluice.api.verdict import Verdict
from sluice.monitor import reservoir
from sluice.monitor.cloudevents import Key
from sluice.monitor.contract import DriftAnswer, DriftRequest, Span
from sluice.monitor.depot import Directory, Stored
from sluice.monitor.drift import DriftService
from sluice.monitor.evidence import Evidence
from sluice.monitor.payload import Cell, Table
from sluice.monitor.reference import HeldReferences, Reference, References, StoredReferences, Time
from sluice.monitor.reservoir import Chunk, Layout, Side
from sluice.monitor.saver import Saver
from sluice.monitor.spool import Spool
from sluice.monitor.standing import SHOWN_SECONDS
from sluice.monitor.store import Store
from sluice.monitor.tally import Tally
from sluice.monitor.telemetry import Metrics
from sluice.monitor.window import assemble, condense

KEY = Key("models", "fraud-r2")
PROMOTED = 999_960.0
HOUR = 3_600.0
DAY = 86_400.0
FIRST = Time(PROMOTED, PROMOTED + 4 * HOUR)
Draw = Callable[[np.random.Generator], tuple[list[Cell], list[Cell]]]
"""One request and its answer."""


def alike(rng: np.random.Generator) -> tuple[list[Cell], list[Cell]]:
    amount = float(rng.normal())
    return [amount, "at" if rng.random() < 0.3 else "de"], [amount / 2]


def moved(rng: np.random.Generator) -> tuple[list[Cell], list[Cell]]:
    amount = float(rng.normal(1.5))
    return [amount, "at"], [amount / 2]


class Desk:
    """A drift service with rows of its own, whose time is told."""

    def __init__(self, root: Path, references: References | None = None, *, stored: bool = True, **store: Any) -> None:
        self.now = PROMOTED
        self.root = root
        self.metrics = Metrics()
        self.rng = np.random.default_rng(7)
        given = {"bucket_seconds": 60, "bucket_rows": 100, "max_series": 10, "max_bytes": 1 << 26, "seed": 0}
        self.store = Store(**(given | store))
        self.spool = Spool(Directory(root), self.metrics, clock=lambda: self.now) if stored else None
        self.evidence = Evidence(root / "reports", self.metrics, kept=50, idle_seconds=1)
        self.evidence.open()
        self.references = references or StoredReferences(Directory(root), self.metrics, lambda: self.now)
        self.service = self.another()

    def another(self) -> DriftService:
        """As after a restart."""
        return DriftService(
            self.store,
            self.spool,
            self.evidence,
            self.metrics,
            self.references,
            max_rows=2_000,
            seed=0,
            late_seconds=40,
            retention_seconds=DAY,
            clock=lambda: self.now,
        )

    def serve(self, seconds: float, draw: Draw = alike, every: float = 10.0) -> None:
        """Requests come for some time."""
        end = self.now + seconds
        while self.now < end:
            asked, answered = draw(self.rng)
            self.store.tally(KEY, self.now).paired += 1
            self.store.add(KEY, self.now, Table(("amount", "country"), [asked]), Table(("score",), [answered]))
            self.now += every

    async def forget(self) -> None:
        """Rows go to files, and out of memory."""
        assert self.spool is not None
        assert await Saver(self.store, self.spool, self.metrics, seconds=1).save()
        self.drop()

    def drop(self) -> None:
        """They go out of memory, wherever they are."""
        self.store.close(before=1e12)
        self.store.forget(before=1e12)

    def delete(self, before: float = 1e12) -> None:
        """Stored rows are too old."""
        assert self.spool is not None
        self.spool.expire(before=before, max_bytes=1 << 40)

    async def ask(self, since: float | None = None, until: float | None = None, **changes: Any) -> DriftAnswer:
        given: dict[str, Any] = {
            "namespace": KEY.namespace,
            "deployment": "fraud",
            "candidate": KEY.revision,
            "stable": KEY.revision,
            "since": moment(PROMOTED if since is None else since),
            "until": moment(until) if until is not None else None,
            "reference": Span(moment(FIRST.since), moment(FIRST.until)),
            "subject": "Inputs",
            "min_samples": 100,
            "min_effect": 0.1,
            "alpha": 0.001,
        }
        return await self.service.answer(DriftRequest(**(given | changes)))

    async def look(self, draw: Draw = alike, **changes: Any) -> DriftAnswer:
        """An hour goes by, and is looked at when it is over."""
        since = self.now
        self.serve(HOUR, draw)
        return await self.ask(since, self.now, **changes)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_what_is_asked_alike_passes_and_what_is_asked_otherwise_fails(desk: Desk) -> None:
    desk.serve(4 * HOUR)
    calm = await desk.look()
    assert (calm.verdict, calm.reason) == (Verdict.PASS, "WithinLimits")
    assert (calm.samples.candidate, calm.samples.stable) == (360, 1_440)
    assert "360 rows against 1,440 of the reference" in calm.message
    assert calm.report is not None
    assert calm.window_start == moment(PROMOTED + 4 * HOUR)
    assert calm.window_end == moment(PROMOTED + 5 * HOUR)
    bad = await desk.look(moved)
    assert (bad.verdict, bad.reason) == (Verdict.FAIL, "DriftDetected")
    assert {column.name for column in bad.columns} == {"amount", "country"}
    answers = await desk.ask(PROMOTED + 5 * HOUR, desk.now, subject="Prediction")
    assert [column.name for column in answers.columns] == ["score"]
    assert answers.verdict is Verdict.FAIL


async def test_each_look_sees_the_rows_of_its_own_time(desk: Desk) -> None:
    desk.serve(4 * HOUR)
    assert (await desk.look(moved)).verdict is Verdict.FAIL
    assert (await desk.look()).verdict is Verdict.PASS
    assert (await desk.ask(PROMOTED + 4 * HOUR, PROMOTED + 5 * HOUR)).verdict is Verdict.FAIL


async def test_until_it_is_whole_nothing_is_compared_and_it_is_said_how_far_it_is(desk: Desk) -> None:
    desk.serve(HOUR)
    answer = await desk.ask()
    assert (answer.verdict, answer.reason) == (Verdict.INCONCLUSIVE, "ReferenceIncomplete")
    assert "354 rows of 25%" in answer.message
    assert answer.report is None
    early = await desk.ask(PROMOTED, PROMOTED + HOUR)
    assert early.reason == "ReferenceIncomplete", "not even if somebody asks for it"


async def test_before_any_bucket_is_over_there_is_nothing_of_it(desk: Desk) -> None:
    answer = await desk.ask()
    assert "0 rows of 0%" in answer.message
    assert not list(desk.root.rglob("references/**/*.parquet"))


async def test_rows_that_are_deleted_meanwhile_are_in_it_if_somebody_asked_while_they_were_there(desk: Desk) -> None:
    for _ in range(4):
        desk.serve(HOUR)
        await desk.ask()
        await desk.forget()
        desk.delete(before=desk.now - 120)
    assert (await desk.look()).samples.stable == 1_440


async def test_a_month_later_and_after_a_restart_it_is_still_there(desk: Desk) -> None:
    desk.serve(4 * HOUR)
    first = await desk.look()
    await desk.forget()
    desk.delete()
    for _ in range(30):
        desk.now += 86_400
        desk.service = desk.another()
        assert isinstance(desk.references, StoredReferences)
        desk.references.spool.expire(before=desk.now - 2 * 86_400, max_bytes=1 << 30)
        answer = await desk.look(alpha=1e-6)  # of thirty looks, one would be a false alarm
        assert (answer.verdict, answer.samples.stable) == (Verdict.PASS, first.samples.stable), answer.message
    assert len(list(desk.root.rglob("references/**/*.parquet"))) == 1


async def test_one_that_nobody_asks_for_ends_by_its_age(desk: Desk) -> None:
    desk.serve(4 * HOUR)
    await desk.look()
    await desk.forget()
    desk.delete()
    assert isinstance(desk.references, StoredReferences)
    assert desk.references.spool.expire(before=desk.now + 1, max_bytes=1 << 30) == 1
    answer = await desk.look()
    assert (answer.verdict, answer.reason) == (Verdict.INCONCLUSIVE, "ReferenceLost")
    assert "next promotion" in answer.message


async def test_in_memory_it_outlives_its_rows_and_not_the_process(tmp_path: Path) -> None:
    desk = Desk(tmp_path, HeldReferences(), stored=False)
    desk.serve(4 * HOUR)
    assert (await desk.look()).verdict is Verdict.PASS
    desk.drop()
    assert (await desk.look()).verdict is Verdict.PASS
    desk.references = HeldReferences()
    desk.service = desk.another()
    assert (await desk.look()).reason == "ReferenceLost"


async def test_a_look_without_rows_or_with_few_cannot_tell(desk: Desk) -> None:
    desk.serve(4 * HOUR)
    desk.now += HOUR
    nobody = await desk.ask(desk.now - HOUR, desk.now)
    assert (nobody.verdict, nobody.reason) == (Verdict.INCONCLUSIVE, "NoData")
    assert nobody.message == "The revision has no rows in the window."
    desk.serve(HOUR, every=60)
    few = await desk.ask(desk.now - HOUR, desk.now)
    assert (few.verdict, few.reason) == (Verdict.INCONCLUSIVE, "TooFewSamples")
    assert "60 rows against 1,440 of the reference" in few.message


# What is not there any more

TWO_DAYS: dict[str, Any] = {"reference": Span(moment(PROMOTED), moment(PROMOTED + DAY))}
"""Of which the first is the reference."""
WEEK: dict[str, Any] = {"reference": Span(moment(PROMOTED), moment(PROMOTED + 7 * DAY))}


class Days(Desk):
    """A desk whose customers ask otherwise by day than by night."""

    def __init__(self, root: Path, references: References | None = None, **given: Any) -> None:
        super().__init__(root, references, **({"bucket_seconds": 600} | given))

    def half(self) -> None:
        is_night = (self.now - PROMOTED) // (DAY / 2) % 2
        self.serve(DAY / 2, alike if is_night else moved, every=120)

    async def day(self) -> None:
        for _ in range(2):
            self.half()
            await self.ask(**TWO_DAYS)

    async def watch(self) -> DriftAnswer:
        """The look at the second day, whenever it is taken."""
        return await self.ask(PROMOTED + DAY, PROMOTED + 2 * DAY, **TWO_DAYS)

    def restart(self, **spool: Any) -> None:
        if self.spool is not None:
            self.spool = Spool(Directory(self.root), self.metrics, clock=lambda: self.now, **spool)
        if isinstance(self.references, StoredReferences):
            self.references = StoredReferences(Directory(self.root), self.metrics, lambda: self.now)
        self.service = self.another()


async def test_a_look_that_is_taken_again_when_half_of_it_is_gone_cannot_tell(tmp_path: Path) -> None:
    desk = Days(tmp_path)
    await desk.day()
    await desk.day()
    assert (await desk.watch()).verdict is Verdict.PASS
    await desk.forget()
    desk.now += 0.04 * DAY
    desk.delete(before=desk.now - DAY)
    desk.restart()
    late = await desk.watch()
    assert late.verdict is Verdict.PASS, "some minutes are no matter"
    assert late.window_start == moment(math.ceil((desk.now - DAY) / 600) * 600), "and it is said which"
    desk.now = PROMOTED + 2.5 * DAY
    desk.delete(before=desk.now - DAY)
    desk.restart()
    again = await desk.watch()
    assert (again.verdict, again.reason) == (Verdict.INCONCLUSIVE, "RowsGone"), again.message
    assert "the first 12.0 h are gone" in again.message
    assert "monitor.retentionSeconds" in again.message
    assert again.report is None


async def test_a_look_of_which_half_had_no_room_cannot_tell_even_after_a_restart(tmp_path: Path) -> None:
    desk = Days(tmp_path)
    await desk.day()
    await desk.day()
    await desk.forget()
    assert desk.spool is not None
    room = sum(file.size for file in Directory(tmp_path).list("namespace=models/")) / 4  # of two days
    desk.spool.expire(before=PROMOTED + DAY, max_bytes=room)
    for _ in range(2):
        answer = await desk.watch()
        assert (answer.verdict, answer.reason) == (Verdict.INCONCLUSIVE, "RowsGone"), answer.message
        assert "monitor.rows.maxMiB" in answer.message
        desk.restart(max_bytes=room)


async def test_what_made_room_in_memory_and_was_stored_nowhere_is_gone(tmp_path: Path) -> None:
    desk = Desk(tmp_path, HeldReferences(), stored=False, max_bytes=60_000)
    for _ in range(24):
        desk.serve(HOUR / 6)
        await desk.ask()
    answer = await desk.look()
    assert (answer.verdict, answer.reason) == (Verdict.INCONCLUSIVE, "RowsGone"), answer.message
    assert "monitor.rowsMiB" in answer.message


@pytest.mark.parametrize(
    ("hours", "reason"), [pytest.param(19, "ReferenceLost", id="most"), pytest.param(2, "Pass", id="little")]
)
@pytest.mark.parametrize("stored", [pytest.param(True, id="in-an-empty-volume"), pytest.param(False, id="in-memory")])
async def test_a_reference_that_a_new_pod_has_the_rest_of_is_one_if_little_is_missing(
    tmp_path: Path, hours: int, reason: str, stored: bool
) -> None:
    desk = Days(tmp_path, None if stored else HeldReferences(), stored=stored)
    desk.now += hours * HOUR
    desk.restart()
    desk.serve(DAY + HOUR - hours * HOUR, every=120)
    first = await desk.ask(**TWO_DAYS)
    desk.serve(DAY - HOUR, every=120)
    answer = await desk.watch()
    if reason == "Pass":
        assert answer.verdict is Verdict.PASS, answer.message
    else:
        assert {first.reason, answer.reason} == {reason}
        assert answer.verdict is Verdict.INCONCLUSIVE
        assert f"{hours}.0 h of rows were gone" in answer.message
        assert "monitor.persistence" in answer.message


async def test_a_watch_that_is_switched_on_late_has_no_reference(tmp_path: Path) -> None:
    desk = Days(tmp_path)
    for _ in range(3):
        desk.half()
    answer = await desk.ask(**TWO_DAYS)
    assert (answer.verdict, answer.reason) == (Verdict.INCONCLUSIVE, "ReferenceLost")
    assert "12.0 h of rows" in answer.message


async def test_what_was_lost_while_nobody_asked_adds_up_over_restarts(tmp_path: Path) -> None:
    desk = Days(tmp_path, bucket_seconds=3_600)
    reasons = []
    for hours in (12, 36, 36):  # of which the first of what is older than a day is lost: 0, 12 and 12 of 168
        desk.serve(hours * HOUR, every=600)
        reasons.append((await desk.ask(**WEEK)).reason)
        await desk.forget()
        desk.restart()
    assert reasons == ["ReferenceIncomplete", "ReferenceIncomplete", "ReferenceLost"]


async def test_a_time_in_which_nobody_asked_the_model_is_not_lost(tmp_path: Path) -> None:
    desk = Days(tmp_path, bucket_seconds=3_600)
    for _ in range(6):
        desk.now += DAY / 2
        assert (await desk.ask(**WEEK)).reason == "ReferenceIncomplete"
        desk.restart()
    desk.serve(12 * HOUR, every=600)
    answer = await desk.ask(**WEEK)
    assert answer.reason == "ReferenceIncomplete"
    assert answer.samples.stable > 50


async def test_lost_inferences_of_the_first_time_are_known_later(desk: Desk) -> None:
    desk.store.tally(KEY, PROMOTED + 5).failed += 5_000
    desk.serve(4 * HOUR)
    answer = await desk.look()
    assert (answer.verdict, answer.reason) == (Verdict.INCONCLUSIVE, "SamplesLost")
    assert "of the reference's" in answer.message


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"subject": "Ranking"}, id="ranking"),
        pytest.param({"reference": Span(moment(5), moment(5))}, id="no-time"),
    ],
)
async def test_what_cannot_be_held_against_a_reference_is_an_error(desk: Desk, changes: dict[str, Any]) -> None:
    answer = await desk.ask(PROMOTED, PROMOTED + HOUR, **changes)
    assert (answer.verdict, answer.reason) == (Verdict.ERROR, "InvalidRequest")


async def test_a_volume_that_cannot_be_read_is_an_error(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(desk.references, "find", broken)
    answer = await desk.ask()
    assert (answer.verdict, answer.reason) == (Verdict.ERROR, "VolumeUnreadable")


@pytest.mark.parametrize("at_rest", [True, False])
async def test_what_nobody_foresaw_is_an_error_and_its_traceback_is_logged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at_rest: bool
) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError("by what?")

    monkeypatch.setattr(desk.service, "_grow" if at_rest else "_compute", defect)
    desk.serve(HOUR)
    answer = await desk.ask() if at_rest else await desk.ask(reference=None)
    assert (answer.verdict, answer.reason) == (Verdict.ERROR, "Internal")
    assert "ZeroDivisionError" in answer.message
    [record] = caplog.records
    assert record.exc_info is not None
    monkeypatch.undo()
    assert (await desk.ask()).reason == "ReferenceIncomplete", "and the next is asked as ever"


async def test_one_report_stands_for_looks_that_find_the_same_and_a_new_one_is_made_each_day(desk: Desk) -> None:
    desk.serve(4 * HOUR)
    calm = [await desk.look() for _ in range(3)]
    bad = [await desk.look(moved) for _ in range(2)]
    reports = [answer.report.id if answer.report else None for answer in (*calm, *bad)]
    assert reports[0] == reports[1] == reports[2] != reports[3] == reports[4]
    desk.now += SHOWN_SECONDS
    later = await desk.look(moved)
    assert later.report is not None
    assert later.report.id != reports[4]


# The sample


def chunk(*values: float, seen: int | None = None, text: bool = False) -> Chunk:
    layout = Layout()
    rows: list[list[float]] = []
    for value in values:
        cells: list[float] = []
        layout.encode(Side.OUTPUTS, ("y",), [str(value) if text else value], cells)
        rows.append(cells)
    return Chunk(0.0, seen or len(values), np.array(rows), layout)


def test_parts_that_were_sampled_at_other_rates_are_thinned_to_one() -> None:
    busy, quiet = chunk(*[0.0] * 100, seen=1_000), chunk(*[1.0] * 1_000)
    found = condense([busy, quiet], 10_000, np.random.default_rng(0), 5.0)
    assert (found.start, found.seen) == (5.0, 2_000)
    assert sorted(found.rows[:, 0].tolist()) == [0.0] * 100 + [1.0] * 100


def test_what_grows_in_many_parts_is_as_fair_as_what_is_taken_at_once() -> None:
    rng = np.random.default_rng(3)
    whole = Reference.begun(0.0)
    for part in range(200):
        whole = whole.grown([chunk(*[float(part)] * 50)], Tally(paired=50), part + 1.0, 400, rng)
    assert (whole.rows, whole.chunk.seen, whole.tally.paired, whole.covered) == (400, 10_000, 10_000, 200.0)
    counts = np.bincount(whole.chunk.rows[:, 0].astype(int), minlength=200)
    first, last = counts[:100].sum(), counts[100:].sum()
    assert abs(first - last) < 5 * math.sqrt(400) / 2


def test_texts_keep_their_words_ranks_are_left_behind_and_a_column_may_be_new() -> None:
    words, more = chunk(1.0, 2.0, text=True), chunk(2.0, 3.0, text=True)
    more.layout.place(reservoir.Plane(Side.RANKS, "y", reservoir.Kind.NUMBER))
    more = replace(more, rows=np.column_stack([more.rows, [1.0, 2.0]]))
    found = condense([words, more, chunk(7.0)], 100, np.random.default_rng(0), 0.0)
    frame = assemble([found], Side.OUTPUTS, 100, np.random.default_rng(0))
    column = frame.columns["y"]
    assert [column.labels[code] if code >= 0 else None for code in column.codes] == ["1.0", "2.0", "2.0", "3.0", None]
    assert column.numbers[-1] == 7.0
    assert {plane.side for plane in found.layout.planes} == {Side.OUTPUTS}


def test_columns_beyond_the_most_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = chunk(1.0), chunk(2.0, text=True)
    monkeypatch.setattr(reservoir, "MAX_PLANES", 1)
    found = condense([one, two], 100, np.random.default_rng(0), 0.0)
    assert found.rows.shape == (2, 1)


# Where it is kept


def reference(rows: int = 3, covered: float = 50.0, lost: float = 0.0) -> Reference:
    return Reference(chunk(*map(float, range(rows))), Tally(paired=rows), covered, lost)


def stored(root: Path, now: float = 100.0) -> StoredReferences:
    return StoredReferences(Directory(root), Metrics(), lambda: now)


@pytest.mark.parametrize("kind", ["held", "stored"])
def test_what_is_kept_is_found_by_its_revision_and_its_time(kind: str, tmp_path: Path) -> None:
    shelf: References = HeldReferences() if kind == "held" else stored(tmp_path)
    when = Time(10.25, 60.5)
    assert shelf.find(KEY, when) is None
    shelf.keep(KEY, when, reference())
    assert (found := shelf.find(KEY, when)) is not None
    assert found.lost == 0
    shelf.keep(KEY, when, reference(4, 60.5, 2.5))
    found = shelf.find(KEY, when)
    assert found is not None
    assert (found.rows, found.covered, found.tally, found.lost) == (4, 60.5, Tally(paired=4), 2.5)
    assert shelf.find(KEY, Time(10.25, 61)) is None
    assert shelf.find(Key("models", "fraud-r3"), when) is None


def test_in_memory_the_one_that_was_not_asked_for_longest_makes_room() -> None:
    size = reference().chunk.rows.nbytes
    shelf = HeldReferences(2 * size)
    first, second, third = (Time(0, end) for end in (1, 2, 3))
    shelf.keep(KEY, first, reference())
    shelf.keep(KEY, second, reference())
    shelf.find(KEY, first)
    shelf.keep(KEY, third, reference())
    assert [shelf.find(KEY, when) is not None for when in (first, second, third)] == [True, False, True]


@pytest.mark.parametrize("days", [pytest.param(0.5, id="asked-for"), pytest.param(5.0, id="not-any-more")])
@pytest.mark.parametrize("kind", ["held", "stored"])
def test_one_that_makes_room_while_it_is_asked_for_is_told_of(
    kind: str, days: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metrics, now = Metrics(), [100.0]
    held = HeldReferences(1, metrics, lambda: now[0])
    in_depot = StoredReferences(Directory(tmp_path), metrics, lambda: now[0])
    shelf: References = held if kind == "held" else in_depot
    shelf.keep(KEY, Time(0, 1), reference())
    now[0] += days * DAY
    shelf.keep(KEY, Time(0, 2), reference())
    if kind == "stored":
        size = max(file.size for file in Directory(tmp_path).list())
        in_depot.expire(1.5 * size)
    assert [shelf.find(KEY, Time(0, end)) is not None for end in (1, 2)] == [False, True]
    told = [record.getMessage() for record in caplog.records]
    assert metrics.registry.get_sample_value("sluice_monitor_references_evicted_total") == len(told) == (days < 2)


def test_the_file_of_an_earlier_state_is_taken_away_and_that_of_another_promotion_stays(tmp_path: Path) -> None:
    shelf = stored(tmp_path)
    shelf.keep(KEY, FIRST, reference())
    shelf.keep(KEY, Time(1, 2), reference())
    shelf.keep(KEY, FIRST, reference(4, 60.0))
    assert len(list(tmp_path.rglob("*.parquet"))) == 2


def test_another_process_may_put_a_later_state_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = stored(tmp_path)
    shelf.keep(KEY, FIRST, reference())
    depot = shelf._depot
    fetch, gone = depot.fetch, [True]

    def racing(file: Stored) -> Path:
        if gone.pop() if gone else False:
            stored(tmp_path, 200.0).keep(KEY, FIRST, reference(5, 60.0))
        return fetch(file)

    monkeypatch.setattr(depot, "fetch", racing)
    found = shelf.find(KEY, FIRST)
    assert found is not None
    assert found.rows == 5


def test_one_that_vanishes_each_time_is_trouble_of_the_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = stored(tmp_path)
    shelf.keep(KEY, FIRST, reference())

    def vanished(_: Stored) -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(shelf._depot, "fetch", vanished)
    with pytest.raises(FileNotFoundError):
        shelf.find(KEY, FIRST)


def test_a_file_that_is_damaged_is_none_and_makes_room_and_a_stranger_s_is_left_alone(tmp_path: Path) -> None:
    shelf = stored(tmp_path)
    shelf.keep(KEY, FIRST, reference())
    [path] = tmp_path.rglob("*.parquet")
    path.write_bytes(os.urandom(100))
    stranger = path.with_name("notes.parquet")
    stranger.write_bytes(b"")
    assert shelf.find(KEY, FIRST) is None
    assert list(tmp_path.rglob("*.parquet")) == [stranger]
