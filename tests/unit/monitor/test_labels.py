"""Labels: the truth finds the answers it is of, in memory and in files, and is kept with them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluice.api.measure import PerformanceMetric
from sluice.api.verdict import Verdict
from sluice.monitor import labels as module
from sluice.monitor import spool
from sluice.monitor.appraisal import PerformanceService
from sluice.monitor.cloudevents import Key
from sluice.monitor.contract import Label, LabelsAnswer, PerformanceAnswer, PerformanceRequest
from sluice.monitor.depot import Directory
from sluice.monitor.evidence import Evidence
from sluice.monitor.labels import BusyError, Labels, NotStoredError
from sluice.monitor.origin import shortened
from sluice.monitor.outcome import Outcomes, every, gather
from sluice.monitor.payload import Cell, Table
from sluice.monitor.saver import Saver
from sluice.monitor.spool import Spool
from sluice.monitor.store import Store
from sluice.monitor.telemetry import Metrics

OURS, STABLE = Key("models", "fraud-r2"), Key("models", "fraud-r1")


def store(seconds: float = 10, rows: int = 20_000, max_bytes: int = 1 << 24, *, lossless: bool = False) -> Store:
    return Store(
        bucket_seconds=seconds, bucket_rows=rows, max_series=10, max_bytes=max_bytes, seed=0, lossless=lossless
    )


class Desk:
    """Where labels are taken, with all that it needs."""

    def __init__(self, root: Path, outcomes: Store | None = None) -> None:
        self.now = 1_000.0
        self.root = root
        self.metrics = Metrics()
        self.rows, self.outcomes = store(), store(60) if outcomes is None else outcomes
        self.spool = Spool(Directory(root), self.metrics)
        self.archive = Spool(Directory(root), self.metrics, "outcomes/", thin=every)
        self.saver = Saver(self.outcomes, self.archive, self.metrics, seconds=1)
        self.labels = Labels(self.rows, self.spool, self.outcomes, self.saver, self.metrics, clock=lambda: self.now)
        self.evidence = Evidence(root / "reports", self.metrics, kept=5, idle_seconds=1)
        self.evidence.open()
        self.service = self.another()

    def another(self) -> PerformanceService:
        """Who answers questions about performance."""
        return PerformanceService(
            self.outcomes,
            self.archive,
            self.evidence,
            self.metrics,
            max_rows=20_000,
            row_seconds=10,
            clock=lambda: self.now,
        )

    def answered(
        self, key: Key, request: str, *answers: Cell, name: str = "prediction", at: float | None = None
    ) -> None:
        asked = [[float(index)] for index in range(len(answers))]
        moment = self.now if at is None else at
        self.rows.add(key, moment, Table(("x0",), asked), Table((name,), [[a] for a in answers]), request.encode())

    async def store_rows(self) -> None:
        """Rows go to files, and out of memory."""
        saver = Saver(self.rows, self.spool, self.metrics, seconds=1)
        assert await saver.save()
        self.rows.close(before=1e9)
        self.rows.forget(before=1e9)
        assert self.rows.rows == 0

    async def take(self, *labels: Label, namespace: str = "models") -> LabelsAnswer:
        return await self.labels.take(namespace, labels)

    def kept(self, key: Key) -> Outcomes:
        """What is kept of a revision, in memory."""
        return gather(self.outcomes.window(key, 0).chunks)

    def metric(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("sluice_monitor_labels_total", {"outcome": outcome}) or 0.0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def unknown(answer: LabelsAnswer) -> list[tuple[str, int]]:
    return [(label.request, label.row) for label in answer.unknown]


async def test_a_label_is_kept_beside_the_answer_it_is_of(desk: Desk) -> None:
    desk.answered(OURS, "a", 0.25, 0.75)
    answer = await desk.take(Label("a", 1.0, row=1), Label("a", 0.0, row=2), Label("b", 1.0))
    assert (answer.joined, unknown(answer)) == (1, [("a", 2), ("b", 0)])
    kept = desk.kept(OURS)
    assert (kept.rows, set(kept.answers.columns)) == (1, {"prediction"})
    assert (kept.answers.columns["prediction"].numbers[0], kept.label.numbers[0]) == (0.75, 1)
    assert (kept.arrived[0], kept.asked[0]) == (1_000, 1_000)
    assert (kept.origins.requests[0], kept.origins.index[0], kept.origins.size[0]) == (b"a", 1, 2)
    assert (desk.metric("joined"), desk.metric("unknown")) == (1, 2)


async def test_of_a_mirrored_request_both_revisions_get_the_label(desk: Desk) -> None:
    desk.answered(OURS, "a", 0.25)
    desk.answered(STABLE, "a", 0.5)
    desk.answered(Key("elsewhere", "fraud-r1"), "a", 0.75)
    assert (await desk.take(Label("a", 1.0))).joined == 1
    assert (desk.kept(OURS).rows, desk.kept(STABLE).rows) == (1, 1)
    assert desk.outcomes.keys("elsewhere") == []


async def test_rows_that_are_in_files_only_are_found_too(desk: Desk) -> None:
    desk.answered(OURS, "a", "yes", None, name="class")
    desk.answered(OURS, "b", "no", name="class", at=1_020)
    await desk.store_rows()
    desk.now = 5_000
    answer = await desk.take(Label("a", "yes"), Label("a", "no", row=1), Label("b", "yes"), Label("c", "yes"))
    assert (answer.joined, unknown(answer)) == (3, [("c", 0)])
    kept = desk.kept(OURS)
    column = kept.answers.columns["class"]
    assert [column.labels[code] if code >= 0 else None for code in column.codes.tolist()] == ["yes", None, "no"]


async def test_a_time_narrows_the_search(desk: Desk) -> None:
    desk.answered(OURS, "a", 1.0)
    desk.answered(OURS, "b", 1.0, at=50_000)
    await desk.store_rows()
    desk.now = 90_000
    near = datetime.fromtimestamp(1_200, UTC)
    answer = await desk.take(Label("a", 1.0, time=near), Label("b", 1.0, time=near))
    assert unknown(answer) == [("b", 0)]
    assert (await desk.take(Label("b", 1.0))).joined == 1


async def test_what_was_joined_outlives_the_process(desk: Desk, tmp_path: Path) -> None:
    desk.answered(OURS, "a", 1.0)
    await desk.take(Label("a", 1.0))
    again = Spool(Directory(tmp_path), Metrics(), "outcomes/")
    [(chunk, _)] = again.window(OURS, 0, 2_000)
    assert len(chunk.rows) == 1
    assert desk.spool.revisions("models") == [], "the two do not see each other's files"
    assert desk.spool.expire(before=1e12, max_bytes=1) == 0
    assert again.revisions("models") == [OURS]
    assert again.expire(before=1e12, max_bytes=1 << 30) == 1


async def test_what_cannot_be_stored_is_said_and_is_stored_the_next_time(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.answered(OURS, "a", 1.0)
    with monkeypatch.context() as broken:
        broken.setattr(Directory, "put", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(NotStoredError, match="in memory, but cannot be written"):
            await desk.take(Label("a", 1.0))
    assert (await desk.take(Label("a", 1.0))).joined == 1
    assert sum(len(chunk.rows) for chunk, _ in desk.archive.window(OURS, 0, 2_000)) == 2


async def test_rows_that_cannot_be_read_are_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Directory, "list", lambda *_: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(NotStoredError, match="cannot be read: gone"):
        await desk.take(Label("a", 1.0))


async def test_only_so_many_deliveries_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    desk.answered(OURS, "a", 1.0)
    outcomes = await asyncio.gather(*(desk.take(Label("a", 1.0)) for _ in range(3)), return_exceptions=True)
    assert [isinstance(outcome, BusyError) for outcome in outcomes] == [False, False, True]
    assert (await desk.take(Label("a", 1.0))).joined == 1, "and then there is room again"


async def test_long_ids_are_known_by_their_digest(desk: Desk) -> None:
    long = "x" * 300
    desk.rows.add(OURS, desk.now, Table(("x0",), [[1.0]]), Table(("p",), [[1.0]]), shortened(long.encode()))
    assert (await desk.take(Label(long, 1.0))).joined == 1


async def ask(desk: Desk, **changes: object) -> PerformanceAnswer:
    given: dict[str, object] = {
        "namespace": "models",
        "deployment": "fraud",
        "candidate": "fraud-r2",
        "window": 3_600.0,
        "metric": PerformanceMetric.MAE,
        "min_labels": 10,
        "maximum": 0.5,
    }
    return await desk.service.answer(PerformanceRequest(**(given | changes)))  # type: ignore[arg-type]


async def labelled(desk: Desk, key: Key, errors: Sequence[float], first: int = 0) -> None:
    """So many requests, answered with their number and an error."""
    labels = []
    for number, error in enumerate(errors, first):
        desk.answered(key, f"request-{number}", number + error)
        labels.append(Label(f"request-{number}", float(number)))
    await desk.take(*labels)


async def test_a_question_is_answered_by_the_labels_of_its_window(desk: Desk) -> None:
    await labelled(desk, OURS, [0.1, 0.3] * 50)
    answer = await ask(desk)
    assert (answer.verdict, answer.reason) == (Verdict.PASS, "WithinLimits"), answer
    assert answer.candidate is not None
    assert answer.candidate.value == pytest.approx(0.2)
    assert answer.candidate.labels == 100
    assert answer.report is not None
    desk.now += 3_800
    assert (await ask(desk)).reason == "NoLabels"


async def test_labels_in_files_count_as_those_in_memory(desk: Desk) -> None:
    await labelled(desk, OURS, [0.1, 0.3] * 50)
    before = await ask(desk)
    desk.outcomes = store(60)
    desk.service = desk.another()
    after = await ask(desk)
    assert (after.verdict, after.candidate) == (before.verdict, before.candidate)


async def test_a_label_that_is_put_right_counts_once(desk: Desk) -> None:
    await labelled(desk, OURS, [0.1, 0.3] * 50)
    await desk.take(*(Label(f"request-{number}", number - 5.0) for number in range(100)))
    answer = await ask(desk)
    assert answer.candidate is not None
    assert (answer.candidate.labels, answer.verdict) == (100, Verdict.FAIL)


async def test_a_candidate_is_held_against_stable(desk: Desk) -> None:
    await labelled(desk, STABLE, [0.1, 0.3] * 50)
    await labelled(desk, OURS, [1.0, 1.2] * 50, first=1_000)
    answer = await ask(desk, stable="fraud-r1", maximum=None, max_degradation=0.2)
    assert (answer.verdict, answer.reason) == (Verdict.FAIL, "WorseThanStable")
    assert answer.stable is not None
    assert answer.stable.value == pytest.approx(0.2)


async def test_a_label_that_is_put_right_by_another_process_counts(desk: Desk) -> None:
    """Both file it under the same hour, and a file's name says nothing of which was first."""
    for number in range(100):
        desk.answered(OURS, f"request-{number}", float(number))
    await desk.store_rows()
    for wrong in (7.0, 0.0, 9.0, 0.0):
        desk = Desk(desk.root)
        desk.now = 1_001.0 + wrong
        await desk.take(*(Label(f"request-{number}", number + wrong) for number in range(100)))
    desk.now = 1_030.0
    await desk.take(*(Label(f"request-{number}", float(number)) for number in range(100)))
    for _ in range(2):
        answer = await ask(desk)
        assert answer.candidate is not None
        assert (answer.candidate.value, answer.candidate.labels) == (0, 100)
        desk = Desk(desk.root)
        desk.now = 1_040.0


async def test_labels_that_do_not_fit_in_memory_are_stored_all_the_same(tmp_path: Path) -> None:
    desk = Desk(tmp_path, store(3600, max_bytes=100_000, lossless=True))
    await labelled(desk, OURS, [0.1] * 3_000)
    await labelled(desk, STABLE, [0.1] * 3_000)
    assert desk.outcomes.evicted_rows == 0
    again = Desk(tmp_path)
    again.now = desk.now
    answer = await ask(again, stable="fraud-r1", max_degradation=1.0)
    assert answer.candidate is not None
    assert answer.stable is not None
    assert (answer.candidate.labels, answer.stable.labels) == (3_000, 3_000)


async def test_beyond_what_an_hour_holds_labels_are_unknown_and_none_takes_another_s_place(tmp_path: Path) -> None:
    desk = Desk(tmp_path, store(3600, rows=50, lossless=True))
    for number in range(80):
        desk.answered(OURS, f"request-{number}", 1.0)
    answer = await desk.take(*(Label(f"request-{number}", 1.0) for number in range(80)))
    assert (answer.joined, unknown(answer)) == (50, [(f"request-{number}", 0) for number in range(50, 80)])


async def test_an_answer_of_an_earlier_revision_of_that_name_is_not_this_one_s(desk: Desk) -> None:
    await labelled(desk, OURS, [5.0] * 100)
    desk.now += 600
    await labelled(desk, OURS, [0.1] * 60, first=1_000)
    born = datetime.fromtimestamp(desk.now - 100, UTC)
    answer = await ask(desk, since=born)
    assert answer.candidate is not None
    assert (answer.verdict, answer.candidate.labels) == (Verdict.PASS, 60)


async def test_many_labels_of_the_same_rows_are_as_many_as_there_are_rows(desk: Desk) -> None:
    await labelled(desk, OURS, [0.1] * 100)
    for _ in range(30):
        await desk.take(*(Label(f"request-{number}", float(number)) for number in range(100)))
    desk.service = PerformanceService(
        desk.outcomes, desk.archive, desk.evidence, desk.metrics, max_rows=200, row_seconds=10, clock=lambda: desk.now
    )
    answer = await ask(desk)
    assert answer.candidate is not None
    assert answer.candidate.labels == 100


async def test_a_window_of_very_many_files_keeps_whole_requests(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MAX_READ_ROWS", 100)
    for number in range(150):
        desk.answered(OURS, f"request-{number}", 2.0, 1.0, 0.0)
    await desk.take(*(Label(f"request-{n}", 2.0 - row, row=row) for n in range(150) for row in range(3)))
    desk.outcomes = store(60)
    desk.service = desk.another()
    answer = await ask(desk, metric=PerformanceMetric.NDCG, maximum=None, minimum=0.5)
    assert answer.candidate is not None
    assert (answer.verdict, answer.candidate.value) == (Verdict.PASS, 1)
    assert 10 <= answer.candidate.requests <= 34


async def test_one_request_of_more_rows_than_a_verdict_looks_at_is_looked_at_in_part(desk: Desk) -> None:
    desk.answered(OURS, "job", *(float(row) for row in range(500)))
    await desk.take(*(Label("job", float(row), row=row) for row in range(500)))
    assert desk.kept(OURS).bounded(100).rows == 100


async def test_one_id_for_many_requests_is_one_outcome(desk: Desk) -> None:
    for _ in range(50):
        desk.answered(OURS, "test", 1.0)
    assert (await desk.take(Label("test", 1.0))).joined == 1
    assert desk.kept(OURS).rows == 1


async def test_a_report_stands_until_the_verdict_changes_or_a_day_is_over(desk: Desk) -> None:
    await labelled(desk, OURS, [0.1, 0.3] * 50)
    first = await ask(desk, window=200_000.0)
    desk.now += 86_399
    again = await ask(desk, window=200_000.0)
    assert first.report is not None
    assert again.report == first.report
    other = await ask(desk, window=200_000.0, maximum=0.05)
    assert (other.verdict, other.report == first.report) == (Verdict.FAIL, False), "another question"
    desk.now += 2
    second = await ask(desk, window=200_000.0)
    assert second.report not in (None, first.report)
    (desk.root / "reports" / f"{second.report.id if second.report else ''}.json").unlink()
    assert (await ask(desk, window=200_000.0)).report != second.report, "it made room for others"


@pytest.mark.parametrize(
    ("changes", "reason"), [({"min_labels": 30_000}, "InvalidRequest"), ({"prediction": "nothing"}, "Ungraded")]
)
async def test_what_cannot_be_asked_is_an_error(desk: Desk, changes: dict[str, object], reason: str) -> None:
    await labelled(desk, OURS, [0.1, 0.3] * 50)
    answer = await ask(desk, **changes)
    assert (answer.verdict, answer.reason) == (Verdict.ERROR, reason)


async def test_a_window_of_too_many_keeps_whole_requests_and_the_same_on_both_sides(desk: Desk) -> None:
    for key in (OURS, STABLE):
        for number in range(200):
            desk.answered(key, f"request-{number}", 1.0, 2.0)
    await desk.take(*(Label(f"request-{n}", 1.0, row=row) for n in range(200) for row in (0, 1)))
    ours, theirs = (desk.kept(key).bounded(100) for key in (OURS, STABLE))
    assert 80 <= ours.rows <= 100
    assert sorted(ours.origins.requests.tolist()) == sorted(theirs.origins.requests.tolist())
    assert set(Counter(ours.origins.requests.tolist()).values()) == {2}
