"""The record of a release: complete, bound together, and decided the same way when decided again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.api.governance import PinnedPolicy
from sluice.api.record import ORIGIN, Record, RecordKind, Seal
from sluice.api.verdict import Verdict
from sluice.core import document, records, replay
from sluice.core.world import World
from tests.unit.core.crashes import crashes
from tests.unit.core.simulation import Cluster, spec
from tests.unit.core.test_invariants import STORIES, scenario, tell

K = RecordKind


def kinds(cluster: Cluster, name: str) -> list[RecordKind]:
    return [record.kind for record in cluster.revisions[name].status.records]


def bound(cluster: Cluster) -> None:
    """Every chain holds, and ends with what the status says."""
    for revision in cluster.revisions.values():
        assert records.chain_problem(revision.spec, revision.status) == ""
        assert [r.sequence for r in revision.status.records] == list(range(len(revision.status.records)))
        told = [e.digest for r in revision.status.records for e in r.evidence if e.name == "state"]
        assert not told or told[-1] == records.state(revision.status)


def sound(cluster: Cluster) -> None:
    """Every chain holds, and every record can be decided again."""
    bound(cluster)
    for revision in cluster.revisions.values():
        assert list(replay.replay(revision.name, revision.status.records, cluster.evidence.get)) == []


@pytest.mark.no_cover
@pytest.mark.parametrize("name", STORIES)
def test_every_record_is_bound_to_the_one_before_and_can_be_decided_again(name: str) -> None:
    cluster = scenario(name)
    tell(cluster, name)
    assert all(revision.status.records for revision in cluster.revisions.values())
    sound(cluster)


@pytest.mark.no_cover
@pytest.mark.parametrize("name", STORIES)
def test_after_every_single_write_the_last_record_says_what_the_status_says(name: str) -> None:
    cluster = scenario(name)
    cluster.on_write = bound
    tell(cluster, name)


@pytest.mark.no_cover
@pytest.mark.parametrize("name", STORIES)
def test_a_crash_after_any_single_write_leaves_the_records_whole(name: str) -> None:
    undisturbed, ends = crashes(lambda: scenario(name), lambda cluster: tell(cluster, name))
    bound(undisturbed)
    for end in ends:
        bound(end.cluster)
        for revision in undisturbed.revisions:
            crashed = f"after a crash behind write {end.after}"
            assert kinds(end.cluster, revision) == kinds(undisturbed, revision), crashed


def test_a_promotion_is_told_from_beginning_to_end() -> None:
    cluster = scenario("promoted")
    tell(cluster, "promoted")
    steps = [K.STEP_STARTED, K.VERDICT_GIVEN, K.STEP_FINISHED]
    assert kinds(cluster, "scorer-r2") == [
        K.CREATED,
        K.STARTED,
        *steps * 3,
        K.STEP_STARTED,
        K.STEP_FINISHED,
        K.PROMOTED,
    ]
    assert kinds(cluster, "scorer-r1")[-1] is K.REPLACED


def test_a_rollback_says_which_gate_failed() -> None:
    cluster = scenario("rolled back")
    tell(cluster, "rolled back")
    told = cluster.revisions["scorer-r2"].status.records
    ended = next(record for record in told if record.kind is K.ROLLED_BACK)
    assert ended.reason == "SLOBreached"
    assert "error-rate" in ended.message


def test_the_records_of_a_deployment_are_one_chain() -> None:
    cluster = scenario("superseded")
    tell(cluster, "superseded")
    first, second, third = (cluster.revisions[f"scorer-r{n}"] for n in (1, 2, 3))
    assert first.spec.previous is None
    assert first.status.records[0].previous_hash == ORIGIN
    for before, after in ((first, second), (second, third)):
        link = after.spec.previous
        assert link is not None
        assert link.revision == before.name
        assert before.status.records[link.sequence].hash == link.hash == after.status.records[0].previous_hash


@pytest.mark.parametrize("field", ["time", "kind", "actor", "reason", "message", "previous_hash", "hash", "sequence"])
def test_an_edited_record_is_noticed(field: str) -> None:
    cluster = scenario("promoted")
    tell(cluster, "promoted")
    revision = cluster.revisions["scorer-r2"]
    other = {"time": revision.status.records[0].time, "kind": K.PAUSED, "sequence": 77}.get(field, "sha256:" + "e" * 64)
    told: list[Record] = list(revision.status.records)
    told[4] = told[4].model_copy(update={field: other})
    assert records.chain_problem(revision.spec, revision.status.model_copy(update={"records": told})) != ""


def test_of_a_revision_without_records_no_chain_is_broken() -> None:
    cluster = scenario("first release")
    tell(cluster, "first release")
    revision = cluster.revisions["scorer-r1"]
    assert records.chain_problem(revision.spec, revision.status.model_copy(update={"records": []})) == ""


POLICY = PinnedPolicy(name="bank", digest="sha256:" + "a" * 64)


@pytest.mark.parametrize(
    ("policies", "exported", "sealed", "anchor", "expected"),
    [
        pytest.param([], None, None, None, True, id="not governed"),
        pytest.param([POLICY], None, None, None, False, id="governed, and kept nowhere else"),
        pytest.param([POLICY], -1, None, None, True, id="exported to the end"),
        pytest.param([POLICY], 0, None, None, False, id="exported, and went on"),
        pytest.param([POLICY], None, -1, "s3://records/1", True, id="anchored to the end"),
        pytest.param([POLICY], None, 0, "s3://records/1", False, id="anchored, and went on"),
        pytest.param([POLICY], None, -1, None, False, id="signed, and anchored nowhere"),
    ],
)
def test_a_governed_revision_is_forgotten_once_its_last_record_is_outside(
    policies: list[PinnedPolicy], exported: int | None, sealed: int | None, anchor: str | None, expected: bool
) -> None:
    cluster = scenario("first release")
    tell(cluster, "first release")
    made = cluster.revisions["scorer-r1"]
    chain = made.status.records
    seal = None
    if sealed is not None:
        at = chain[sealed]
        seal = Seal(sequence=at.sequence, hash=at.hash, sealed_at=at.time, anchor=anchor)
    revision = replace(
        made,
        spec=made.spec.model_copy(update={"policies": policies}),
        status=made.status.model_copy(update={"seal": seal}),
        exported="" if exported is None else chain[exported].hash,
    )
    assert records.may_be_forgotten(revision) is expected


def test_a_decision_that_was_not_made_is_not_found_again() -> None:
    cluster = scenario("rolled back")
    tell(cluster, "rolled back")
    revision = cluster.revisions["scorer-r2"]
    ended = next(r for r in revision.status.records if r.kind is K.ROLLED_BACK)
    basis = next(e.digest for e in ended.evidence if e.name == "inputs")
    world = document.decode(World, cluster.evidence[basis or ""])
    passing = {key: r.model_copy(update={"verdict": Verdict.PASS}) for key, r in world.results.items()}
    forged = document.text(World(**{**vars(world), "results": passing}))
    kept = cluster.evidence | {basis or "": forged}
    assert [d.message for d in replay.replay("scorer-r2", [ended], kept.get)] == ["what it was decided on was changed"]


def test_a_world_survives_being_written_down() -> None:
    cluster = Cluster(spec("1"))
    cluster.settle()
    cluster.run(60)
    world = cluster.world()
    assert document.decode(World, document.text(world)) == world


@pytest.mark.parametrize("text", ["[]", "{}", '{"is": "World"}', "null", '{"namespace": 3}'])
def test_what_is_no_world_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"World|validation|missing|required"):
        document.decode(World, text)
