"""What is said of one edit of a dossier, by its words; that no edit goes unnoticed is test_verification's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.api.governanceevidence import EvidenceKind
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.record import ArchivedRecords
from sluice.api.verdict import Verdict
from sluice.core import document, evidence, records, seal
from sluice.core.dossier import Dossier
from sluice.core.finding import Finding, Grade, strange, worst
from sluice.core.objects import Object
from sluice.core.plan import NewEvidence
from sluice.core.verification import Anchored, verify
from sluice.edges import signing
from tests.unit.core.dossiers import KEY, Kept, edited
from tests.unit.core.simulation import released, spec
from tests.unit.core.test_verification import story

OTHER = "sha256:" + "0" * 64


def of(items: list[Object], kind: str, name: str = "") -> Object:
    """The first object of a kind; with ``name``, that one."""
    return next(item for item in items if item["kind"] == kind and name in ("", item["metadata"]["name"]))


def without(items: list[Object], name: str) -> None:
    items[:] = [item for item in items if item["metadata"]["name"] != name]


def a_field_of_a_later_version(items: list[Object]) -> None:
    of(items, "GovernanceEvidence")["spec"]["colour"] = "green"


def a_time_in_another_form(items: list[Object]) -> None:
    spec = of(items, "ModelRevision", "scorer-r1")["spec"]
    spec["requestedAt"] = spec["requestedAt"].replace("Z", "+00:00")


def a_strange_object(items: list[Object]) -> None:
    items.append({"kind": "Secret", "metadata": {"name": "keys", "namespace": "bank"}, "spec": {}})


def a_link_removed(items: list[Object]) -> None:
    del of(items, "ModelRevision", "scorer-r2")["spec"]["previous"]


def a_link_to_a_later_revision(items: list[Object]) -> None:
    link = {"revision": "scorer-r2", "sequence": 0, "hash": OTHER}
    of(items, "ModelRevision", "scorer-r1")["spec"]["previous"] = link


def a_phase_before_its_steps(items: list[Object]) -> None:
    of(items, "ModelRevision", "scorer-r2")["status"]["phase"] = "Pending"


def a_revision_removed_and_its_successor_rewritten(items: list[Object]) -> None:
    without(items, "scorer-r1")
    of(items, "ModelRevision", "scorer-r2")["spec"]["previous"]["hash"] = OTHER


def a_name_that_is_anothers(items: list[Object]) -> None:
    of(items, "ModelRevision", "scorer-r2")["spec"]["revision"] = 7


def all_records_removed(items: list[Object]) -> None:
    of(items, "ModelRevision", "scorer-r2")["status"]["records"] = []


def an_object_twice(items: list[Object]) -> None:
    items.append(of(items, "ModelRevision", "scorer-r2"))


def of_another_namespace(items: list[Object]) -> None:
    of(items, "ModelRevision", "scorer-r2")["metadata"]["namespace"] = "elsewhere"


def of_another_deployment(items: list[Object]) -> None:
    of(items, "GovernanceEvidence")["spec"]["deployment"] = "another"


def made_anew(items: list[Object]) -> None:
    of(items, "ModelRevision", "scorer-r2")["metadata"]["uid"] = "uid-of-another"


def another_beginning_than_was_sealed(items: list[Object]) -> None:
    of(items, "ModelRevision", "scorer-r2")["spec"]["previous"]["sequence"] = 1


@pytest.mark.parametrize(
    ("edit", "revision", "grade", "said"),
    [
        (a_field_of_a_later_version, "", Grade.UNREADABLE, "spec.colour is not known to this version of Sluice"),
        (a_time_in_another_form, "scorer-r1", Grade.TAMPERED, "spec.requestedAt is not as Sluice writes it"),
        (a_strange_object, "keys", Grade.UNREADABLE, "a Secret is no part of a record"),
        (a_link_removed, "scorer-r2", Grade.TAMPERED, "it does not go on from the records of scorer-r1"),
        (a_link_to_a_later_revision, "scorer-r1", Grade.TAMPERED, "goes on from scorer-r2, which is not the revision"),
        (a_phase_before_its_steps, "scorer-r2", Grade.TAMPERED, "its phase is Pending, but it has begun to take steps"),
        (
            a_revision_removed_and_its_successor_rewritten,
            "scorer-r2",
            Grade.TAMPERED,
            "it does not go on from scorer-r1 as that was sealed (the store's",
        ),
        (a_name_that_is_anothers, "scorer-r2", Grade.TAMPERED, "its spec is that of scorer-r7"),
        (all_records_removed, "scorer-r2", Grade.MISSING, "it has no records"),
        (an_object_twice, "scorer-r2", Grade.TAMPERED, "there are 2 objects ModelRevision scorer-r2"),
        (of_another_namespace, "scorer-r2", Grade.TAMPERED, "the ModelRevision is not of namespace bank"),
        (of_another_deployment, "", Grade.TAMPERED, "the GovernanceEvidence is not of ModelDeployment scorer"),
        (made_anew, "scorer-r2", Grade.TAMPERED, "was sealed: it was removed and made anew"),
        (
            another_beginning_than_was_sealed,
            "scorer-r2",
            Grade.TAMPERED,
            "is about another object or another beginning",
        ),
    ],
)
def test_an_edit_is_named(edit: Callable[[list[Object]], None], revision: str, grade: Grade, said: str) -> None:
    kept, dossier, _ = story(moving=False)
    found = verify(edited(dossier, edit), kept.trust())
    named = [f for f in found.findings if said in f.message]
    assert named, found.findings
    assert {f.grade for f in named} == {grade}
    assert revision in ("", *[f.revision for f in named])


def records_that_are_none(items: list[Object]) -> None:
    text = '["no record"]'
    made = NewEvidence("scorer-r2", EvidenceKind.RECORDS, document.digest(text), text)
    items.append(evidence.build("bank", "scorer", made, "uid-of-scorer-r2", governed=True))


def the_place_of_moved_records(items: list[Object]) -> None:
    of(items, "ModelRevision", "scorer-r2")["status"]["archived"]["until"] += 1


@pytest.mark.parametrize(
    ("edit", "grade", "said"),
    [
        (records_that_are_none, Grade.UNREADABLE, "a document of its records: "),
        (the_place_of_moved_records, Grade.TAMPERED, "but its hash is that of record"),
    ],
)
def test_an_edit_of_records_that_were_moved_out_is_named(
    edit: Callable[[list[Object]], None], grade: Grade, said: str
) -> None:
    kept, dossier, _ = story(moving=True)
    found = verify(edited(dossier, edit), kept.trust())
    assert {f.grade for f in found.findings if said in f.message} == {grade}, found.findings


def test_a_statement_in_the_store_that_is_none_is_named() -> None:
    kept, dossier, _ = story(moving=False)
    store = (*kept.store, Anchored("bank/scorer/uid/scorer-r1/000001.json", "{}"))
    (finding,) = verify(dossier, replace(kept.trust(), anchored=store)).findings
    assert (finding.revision, finding.grade) == ("scorer-r1", Grade.UNREADABLE)
    assert "the store's bank/scorer/uid/scorer-r1/000001.json: " in finding.message


def test_a_statement_in_the_store_in_the_place_of_another_is_named() -> None:
    kept, dossier, _ = story(moving=False)
    store = (*kept.store, Anchored(kept.store[0].name, kept.store[-1].envelope))
    (finding,) = verify(dossier, replace(kept.trust(), anchored=store)).findings
    assert finding.grade is Grade.TAMPERED
    assert "and does not belong there" in finding.message


def test_what_was_sealed_of_an_earlier_deployment_of_this_name_is_told_and_is_no_fault() -> None:
    kept, dossier, _ = story(moving=False)
    (item, *_) = kept.revisions()
    statement = seal.of(item, kept.cluster.now)
    assert statement is not None
    earlier = replace(statement, uid="uid-of-before", deployment_uid="before", anchor="s3://records/before")
    store = (*kept.store, Anchored(earlier.name, signing.Signer(KEY).seal(seal.payload(earlier))))
    found = verify(dossier, replace(kept.trust(), anchored=store))
    assert found.findings == ()
    (note,) = found.notes
    assert "about 1 revisions of an earlier ModelDeployment of this name (uid before), which is gone" in note


def history(limit: int) -> Dossier:
    """Three releases that were rolled back, of which ``limit`` are kept beside the latest and the stable one."""
    rollout = {"rollback_window": timedelta(seconds=30), "revision_history_limit": limit}
    cluster = released("1", **rollout)
    cluster.oracle = lambda _evaluation, _now: Verdict.FAIL
    for version in ("2", "3", "4"):
        cluster.ask(spec(version, **rollout))
        cluster.run(300)
    return Kept(cluster).dossier()


def test_a_history_that_sluice_cut_itself_is_told_and_is_no_fault() -> None:
    found = verify(history(1), Kept(released()).trust(keys=False, anchor=False))
    assert found.findings == ()
    (note,) = found.notes
    assert note == "scorer-r2: removed, as revisionHistoryLimit: 1 asks; earlier exports have what they held"


def test_of_a_history_whose_limit_nobody_knows_what_is_gone_is_missing() -> None:
    orphaned = edited(history(1), lambda items: without(items, "scorer"))
    found = verify(orphaned, Kept(released()).trust(keys=False, anchor=False))
    (missing,) = [f for f in found.findings if f.revision == "scorer-r2"]
    assert missing.grade is Grade.MISSING
    assert found.notes == ()


def test_a_revision_that_the_limit_would_have_left_was_removed_by_somebody() -> None:
    found = verify(
        edited(history(3), lambda items: without(items, "scorer-r2")), Kept(released()).trust(keys=False, anchor=False)
    )
    (missing,) = [f for f in found.findings if f.revision == "scorer-r2"]
    assert missing.grade is Grade.MISSING
    assert "it is not here: removed by somebody" in missing.message


def test_a_field_that_says_nothing_is_not_strange() -> None:
    assert strange({"colour": None}, {}, "spec") is None
    assert strange({"colour": "green"}, {}, "spec") == ("spec.colour", True)


def test_what_is_strange_deep_inside_is_named_with_its_path() -> None:
    assert strange({"steps": [{"weight": 1}, {"weight": 2}]}, {"steps": [{"weight": 1}, {"weight": 3}]}, "spec") == (
        "spec.steps[1].weight",
        False,
    )


def test_the_worst_of_findings_is_what_a_verdict_rests_on() -> None:
    missing, tampered = (Finding("scorer-r1", grade, "") for grade in (Grade.MISSING, Grade.TAMPERED))
    assert worst([missing, tampered]) is Grade.TAMPERED
    assert worst([missing]) is Grade.MISSING
    assert worst([]) is None


def test_where_all_records_were_moved_out_the_chain_stands_at_the_last_of_them() -> None:
    (item, *_) = story(moving=False)[0].revisions()
    made = ModelRevisionSpec.model_validate(item["spec"])
    moved = ModelRevisionStatus(archived=ArchivedRecords(until=7, hash=OTHER, evidence=[]))
    assert records.head(made, moved) == records.Head(7, OTHER)


def test_of_a_revision_without_records_there_is_nothing_to_state() -> None:
    kept, _, _ = story(moving=False)
    (item, *_) = kept.revisions()
    assert seal.of(item | {"status": {}}, kept.cluster.now) is None
