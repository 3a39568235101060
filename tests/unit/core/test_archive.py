"""A release of any length has a record of bounded size, of which nothing is lost."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from itertools import pairwise

import pytest

from sluice.api.governanceevidence import EvidenceKind
from sluice.api.modelrevision import ModelRevisionStatus
from sluice.api.record import MAX_RECORDS, Record, RecordKind
from sluice.core import archive, document, evidence, records, replay
from sluice.core.decide import decide
from sluice.core.governance.facts import Guard
from sluice.core.plan import NewEvidence
from sluice.core.records import Entry, Head
from tests.unit.core.examples import revision
from tests.unit.core.people import INTACT, govern
from tests.unit.core.simulation import START, Cluster, Crash, released

BROKEN = (Guard("ValidatingAdmissionPolicy/sluice-decisions", intact=False, since=START, message="it is missing"),)
NAME = "scorer-r1"


def governed() -> Cluster:
    """A model in production under a control that somebody can make pass and fail."""
    cluster = released("1")
    govern(cluster, controls=[{"id": "GOV-AUD-03", "mode": "Enforce"}])
    cluster.settle()
    return cluster


def flip(cluster: Cluster) -> None:
    """The control says something else: one more record."""
    guards = BROKEN if cluster.oversight.guards == INTACT else INTACT
    cluster.oversight = replace(cluster.oversight, guards=guards)
    cluster.now += (cluster.now - START) / 1000
    cluster.reconcile()


@functools.cache
def _full() -> Cluster:
    cluster = governed()
    while len(cluster.revisions[NAME].status.records) < archive.MOVE_ABOVE - 1:
        flip(cluster)
    return cluster


def full() -> Cluster:
    """One whose next record is the last before older ones are moved; filled once, for it takes seconds."""
    return copy.deepcopy(_full())


def everything(cluster: Cluster, name: str = NAME) -> list[Record]:
    """All records of a revision, from the documents that its status leads to and the status itself."""
    status = cluster.revisions[name].status
    found = list(status.records)
    moved = {archive.parse(text)[-1].hash: text for text in cluster.evidence.values() if text.startswith("[")}
    while found[0].sequence > 0:
        found = [*archive.parse(moved[found[0].previous_hash]), *found]
    return found


@pytest.mark.no_cover
def test_a_record_of_a_thousand_stays_small_and_whole() -> None:
    cluster = governed()
    sizes = []
    for _ in range(1000):
        flip(cluster)
        sizes.append(len(cluster.revisions[NAME].status.records))
    assert max(sizes) <= archive.MOVE_ABOVE <= MAX_RECORDS
    status = cluster.revisions[NAME].status
    assert status.archived is not None
    assert records.chain_problem(cluster.revisions[NAME].spec, status) == ""
    told = everything(cluster)
    assert len(told) > 1000
    whole = status.model_copy(update={"records": told, "archived": None})
    assert records.chain_problem(cluster.revisions[NAME].spec, whole) == ""
    moves = [record for record in told if record.kind is RecordKind.ARCHIVED]
    assert len(moves) == len(status.archived.evidence) == len([s for s, t in pairwise(sizes) if t < s])
    assert moves[0].evidence[0].digest == status.archived.evidence[0].digest


def test_the_decision_that_moves_records_can_be_decided_again() -> None:
    cluster = full()
    while cluster.revisions[NAME].status.archived is None:
        flip(cluster)
    assert records.chain_problem(cluster.revisions[NAME].spec, cluster.revisions[NAME].status) == ""
    told = everything(cluster)
    assert told[-1].kind is RecordKind.ARCHIVED
    assert list(replay.replay(NAME, told, cluster.evidence.get)) == []


@pytest.mark.parametrize("document_first", [True, False], ids=["after-the-document", "after-the-status"])
def test_a_crash_while_records_are_moved_loses_nothing(document_first: bool) -> None:
    cluster = full()
    before = everything(cluster)
    # The inputs are written first, then the document, then the status.
    cluster.crash_after = cluster.writes + (2 if document_first else 3)
    with pytest.raises(Crash):
        flip(cluster)
    assert everything(cluster)[: len(before)] == before
    assert (cluster.revisions[NAME].status.archived is None) is document_first
    cluster.settle()
    told = everything(cluster)
    assert told[: len(before)] == before
    assert [r.kind for r in told[len(before) :]] == [RecordKind.POLICY_EVALUATED, RecordKind.ARCHIVED]
    assert len([text for text in cluster.evidence.values() if text.startswith("[")]) == 1


def test_if_the_document_cannot_be_kept_the_status_can_be_written_with_all_records() -> None:
    cluster = full()
    cluster.oversight = replace(cluster.oversight, guards=BROKEN if cluster.oversight.guards == INTACT else INTACT)
    plan = decide(cluster.world(), cluster.now)
    (write,) = plan.statuses
    (basis, moved) = plan.evidence
    assert write.unmoved is not None
    assert write.unmoved.archived is None
    assert len(write.unmoved.records) == archive.MOVE_ABOVE <= MAX_RECORDS
    assert records.chain_problem(cluster.revisions[NAME].spec, write.unmoved) == ""
    assert moved.kind is EvidenceKind.RECORDS
    fresh = write.unmoved.records[-1:]
    assert list(replay.replay(NAME, fresh, {basis.digest: basis.content}.get)) == []


def chain(count: int, message: str = "said") -> ModelRevisionStatus:
    entries = [Entry(RecordKind.POLICY_EVALUATED, "Evaluated", message)] * count
    return ModelRevisionStatus(records=records.chained(Head(-1, "sha256:" + "0" * 64), entries, START))


@pytest.mark.parametrize(
    ("count", "more", "left"),
    [
        pytest.param(100, 1, 100, id="few-stay"),
        pytest.param(archive.MOVE_ABOVE - 1, 1, archive.MOVE_ABOVE - 1, id="just-enough-room"),
        pytest.param(archive.MOVE_ABOVE, 1, archive.KEEP, id="one-too-many"),
        pytest.param(20, MAX_RECORDS - archive.KEEP, 20, id="many-at-once-with-few-before"),
        pytest.param(100, MAX_RECORDS - archive.KEEP, archive.KEEP, id="many-at-once"),
    ],
)
def test_there_is_always_room_for_what_is_new(count: int, more: int, left: int) -> None:
    status = chain(count)
    move = archive.due("fraud-r1", status, more)
    kept = move.kept if move is not None else tuple(status.records)
    assert len(kept) == left
    assert len(kept) + more <= MAX_RECORDS


def test_long_messages_move_sooner_and_fit_a_document() -> None:
    status = chain(128, "ø" * 1024)
    move = archive.due("fraud-r1", status, 1)
    assert move is not None
    assert len(move.kept) < archive.KEEP
    assert archive.parse(move.document) == list(move.moved)
    wanted = NewEvidence("fraud-r1", EvidenceKind.RECORDS, move.digest, move.document)
    assert evidence.decode(evidence.build("risk", "fraud", wanted, "uid", governed=True)) == move.document


@pytest.mark.no_cover
def test_a_status_names_the_latest_documents_only_and_the_records_name_all() -> None:
    status = chain(archive.MOVE_ABOVE)
    digests = []
    for _ in range(70):
        move = archive.due("fraud-r1", status, 1)
        assert move is not None
        digests.append(move.digest)
        status = move.applied(status)
        entries = [move.entry, *[Entry(RecordKind.PAUSED, "Paused", "said")] * (archive.MOVE_ABOVE - archive.KEEP)]
        at = records.head(revision(1).spec, status)
        status = status.model_copy(update={"records": [*status.records, *records.chained(at, entries, START)]})
    assert status.archived is not None
    assert [e.digest for e in status.archived.evidence] == digests[-64:]


@pytest.mark.parametrize("text", ["[]", "{}", "null", '[{"sequence": 1}]', "no JSON"])
def test_what_holds_no_records_is_said_to_hold_none(text: str) -> None:
    with pytest.raises(ValueError, match="records"):
        archive.parse(text)


def test_a_document_of_records_is_known_by_its_digest() -> None:
    status = chain(archive.MOVE_ABOVE)
    move = archive.due("fraud-r1", status, 1)
    assert move is not None
    assert move.digest == document.digest(move.document)
    assert move.entry.evidence[0].digest == move.digest
