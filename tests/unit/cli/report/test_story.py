"""What the report says of a release: how it ended, who had a part in it, and how the controls stood at that moment."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from securesystemslib.signer import CryptoSigner

from sluice.api.governance import ControlVerdict
from sluice.api.record import RecordKind
from sluice.cli.report import assessment, page, people, soundness, story
from sluice.cli.report.prose import text
from sluice.cli.report.soundness import Answer
from sluice.cli.report.story import Story
from sluice.cli.trouble import Exit, Trouble
from sluice.core.dossier import Dossier
from sluice.core.objects import Object
from sluice.core.verification import Trust
from sluice.edges import signing
from tests.unit.dossiers import UNTRUSTED, trusted
from tests.unit.stories import STORIES, told

pytestmark = pytest.mark.xdist_group("stories")  # which are simulated once for each process

SUBJECT = {"first release": "r1", "ungoverned": "r1"}
NBSP = "\N{NO-BREAK SPACE}"


@cache
def read(name: str) -> Story:
    return story.of(told(name), SUBJECT.get(name, "r2"))


@cache
def lead(name: str) -> str:
    found = page.of(told(name), UNTRUSTED, SUBJECT.get(name, "r2"))
    return " ".join(text(sentence) for sentence in (found.headline, *found.lead)).replace(NBSP, " ")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("promoted", "fraud-r2 was promoted on 24 Nov 2026, 14:11 UTC, after 5 steps over 44 min 30 s."),
        ("promoted", "approved by vera@bank.example as model-validator and olga@bank.example as model-owner."),
        ("promoted", "Of 38 controls that apply, 34 passed, 2 were waived and 2 did not pass but only warned."),
        (
            "promoted",
            "The record of 41 entries holds together, and is signed and anchored up to record 40, as its status",
        ),
        ("rolled back", "fraud-r2 was rolled back on"),
        ("rolled back", "The reason on record: prediction-drift: distance 0.41 is above 0.1"),
        ("superseded", "The reason on record: the spec asked for fraud-r3 before this one was promoted."),
        ("paused", "It was promoted past its gates by otto@bank.example."),
        ("rejected", "before it took any traffic."),
        ("rejected", "approvals were missing as model-validator (0 of 1) and model-owner (0 of 1)."),
        ("moving", "fraud-r2 is being released, as of 24 Nov 2026, 12:43 UTC, at step 3 of 5"),
        ("first release", "after 1 step over 10 min."),
        ("ungoverned", "Who asked for it was not stamped; no policy asked for anybody's approval."),
        ("ungoverned", "The record of 5 entries holds together, and is neither signed nor anchored."),
        ("twenty steps", "after 20 steps over"),
    ],
)
def test_the_lead_says_what_became_of_it(name: str, says: str) -> None:
    assert says in lead(name)


@pytest.mark.parametrize("name", [name for name in STORIES if name != "ungoverned"])
def test_controls_stand_as_they_stood_when_it_was_decided(name: str) -> None:
    """What is worked out again is what was put on record then."""
    decided = read(name)
    found = assessment.of(decided)
    assert found.then is not None
    assert found.problem == ""
    if decided.end is None:
        return
    assert found.then.record == decided.end
    before = [r for r in decided.records if r.kind is RecordKind.POLICY_EVALUATED and r.sequence < decided.end.sequence]
    if not before:
        return  # a rule of the bank's own was never answered
    counts = re.match(r"of (\d+) controls (\d+) pass", before[-1].message)
    assert counts is not None
    assert len(found.then.controls) == int(counts[1])
    assert found.then.count(ControlVerdict.PASS) == int(counts[2])


def test_what_is_otherwise_since_is_told_apart_from_what_was_decided() -> None:
    found = assessment.of(read("promoted"))
    assert [(c.before.id, c.before.verdict, c.after.verdict) for c in found.changes] == [("GOV-MON-02", "Pass", "Fail")]


def test_what_nothing_governed_has_no_controls_and_no_problem() -> None:
    found = assessment.of(read("ungoverned"))
    assert (found.governed, found.then, found.problem) == (False, None, "")


def without(dossier: Dossier, unwanted: Callable[[Object], bool]) -> Dossier:
    return replace(dossier, objects=tuple(item for item in dossier.objects if not unwanted(item)))


def changed(dossier: Dossier, change: Callable[[Object], None]) -> Dossier:
    items = copy.deepcopy(dossier.objects)
    for item in items:
        change(item)
    return replace(dossier, objects=items)


def decisive(dossier: Dossier) -> str:
    end = story.of(dossier, "r2").end
    assert end is not None
    return next(e.digest or "" for e in end.evidence if e.name == "inputs")


def test_without_the_document_of_the_decision_the_one_before_is_shown_and_that_is_said() -> None:
    dossier = told("promoted")
    digest = decisive(dossier)
    found = assessment.of(story.of(without(dossier, lambda i: i["spec"].get("digest") == digest), "r2"))
    assert found.then is not None
    assert found.then.record is not None
    assert found.then.record.sequence < 38
    assert re.fullmatch(
        r"record 38: the document .* is not in this export; shown is how it stood at record \d+", found.problem
    )


def test_without_any_document_the_status_is_shown_and_that_is_said() -> None:
    bare = without(told("promoted"), lambda item: item["kind"] == "GovernanceEvidence")
    found = assessment.of(story.of(bare, "r2"))
    assert found.then is not None
    assert found.then.record is None
    assert "shown is how it stood when this was taken, not when it was decided" in found.problem


def test_without_documents_and_deployment_the_controls_are_not_known() -> None:
    bare = without(told("promoted"), lambda item: item["kind"] in ("GovernanceEvidence", "ModelDeployment"))
    found = page.of(bare, UNTRUSTED, "r2")
    assert found.governance.then is None
    assert "What the controls said is not known" in " ".join(text(sentence) for sentence in found.lead)
    assert [point.figure for point in found.points][2] == "Not known"


def test_a_document_that_was_changed_is_not_believed() -> None:
    dossier = told("promoted")
    digest, other = decisive(dossier), told("rolled back").of("GovernanceEvidence")[0]["spec"]["content"]

    def swap(item: Object) -> None:
        if item["spec"].get("digest") == digest:
            item["spec"]["content"] = other

    found = story.of(changed(dossier, swap), "r2")
    assert "cannot be relied on" in assessment.of(found).problem
    assert any("the document was changed" in check.message for check in soundness.of(found, UNTRUSTED).broken)


def test_people_are_told_with_what_their_acts_were_worth() -> None:
    found = read("paused")
    acts = people.acts(found, assessment.of(found).then)
    assert [(act.what, act.who, act.counts) for act in acts] == [
        ("Approve", "dana@bank.example", False),
        ("Approve", "vera@bank.example", True),
        ("Approve", "olga@bank.example", True),
        ("Pause", "otto@bank.example", True),
        ("Resume", "otto@bank.example", True),
        ("Promote", "otto@bank.example", True),
    ]
    assert acts[0].standing == "SelfApproval"
    assert "somebody else must" in acts[0].message


def test_an_approval_keeps_its_conditions_ticket_and_end() -> None:
    found = read("promoted")
    act = people.acts(found, assessment.of(found).then)[-1]
    assert (act.ticket, act.conditions, act.standing) == ("CAB-1204", "in risk", "Counts")
    assert act.expires_at is not None
    assert act.sequence is not None


def test_an_exception_is_told_with_its_control_and_the_control_with_its_exception() -> None:
    found = read("promoted")
    then = assessment.of(found).then
    assert then is not None
    waived = {control.id: control.waiver for control in then.controls if control.waiver}
    told_of = {act.about: act.name for act in people.acts(found, then) if act.what == "Exception"}
    assert waived == told_of
    assert set(waived) == {"GOV-DOC-01", "GOV-SUP-04"}


def test_of_an_act_whose_object_is_gone_the_record_still_tells() -> None:
    bare = without(told("promoted"), lambda item: item["kind"] == "ModelDecision")
    acts = people.acts(story.of(bare, "r2"), None)
    gone = [act for act in acts if act.standing == "ObjectMissing"]
    assert [act.who for act in gone] == ["vera@bank.example", "olga@bank.example"]
    assert "agreed in the change board" in gone[1].reason


def test_waits_are_exact() -> None:
    found = [(w.paused, w.start.strftime("%H:%M:%S"), w.end.strftime("%H:%M:%S")) for w in read("paused").waits]
    assert found[1] == (True, "12:42:10", "14:11:40")
    assert read("promoted").waits[0].end.strftime("%H:%M:%S") == "13:25:35"
    assert read("ungoverned").waits == ()


def broken(dossier: Dossier) -> list[str]:
    return [check.message for check in soundness.of(story.of(dossier, "r2"), UNTRUSTED).broken]


@pytest.mark.parametrize("name", STORIES)
def test_a_record_that_nobody_touched_holds(name: str) -> None:
    checks = soundness.of(read(name), UNTRUSTED).checks
    assert [check.answer for check in checks] == [Answer.HOLDS, Answer.HOLDS, Answer.UNKNOWN, Answer.UNKNOWN]


def records_of(item: Object) -> list[Object]:
    found: list[Object] = item["status"]["records"] if item["metadata"]["name"] == "fraud-r2" else []
    return found


def edit(item: Object) -> None:
    for record in records_of(item)[7:8]:
        record["actor"] = "somebody@bank.example"


def cut(item: Object) -> None:
    del records_of(item)[30:]


def drop(item: Object) -> None:
    del records_of(item)[10:11]


def relink(item: Object) -> None:
    if item["kind"] == "ModelRevision" and item["spec"].get("previous"):
        item["spec"]["previous"]["hash"] = "sha256:" + "e" * 64


def argue(item: Object) -> None:
    if item["kind"] == "ModelDecision":
        item["spec"]["reason"] = "something else"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(edit, "record 7: it was changed after it was written", id="an-edited-record"),
        pytest.param(cut, "records at the end were removed", id="the-end-is-gone"),
        pytest.param(drop, "record 11: it comes after record 9", id="a-record-is-gone"),
        pytest.param(relink, "record 0: it is not bound to what the spec says was before", id="another-link"),
        pytest.param(argue, "is not what it was when it was seen: it was changed", id="an-edited-decision"),
    ],
)
def test_what_was_tampered_with_is_said(change: Callable[[Object], None], says: str) -> None:
    dossier = changed(told("promoted"), lambda item: change(item) if "metadata" in item else None)
    assert any(says in message for message in broken(dossier)), broken(dossier)
    found = page.of(dossier, UNTRUSTED, "r2")
    assert any("The record does not hold together" in text(sentence) for sentence in found.lead)
    assert (found.points[3].kind, found.points[3].figure) == ("fail", "Broken")


def test_what_was_cut_off_of_the_release_before_is_noticed() -> None:
    def shorten(item: Object) -> None:
        if item.get("kind") == "ModelRevision" and item["metadata"]["name"] == "fraud-r1":
            del item["status"]["records"][-1:], item["status"]["seal"]

    bare = without(told("promoted"), lambda item: item.get("spec", {}).get("kind") == "Seal")
    found = soundness.of(story.of(changed(bare, shorten), "r2"), UNTRUSTED)
    assert [check.message for check in found.broken] == [
        "fraud-r1, record 15: the status is not what this last record says: the status was changed"
    ]


def test_with_key_and_store_the_page_says_how_far_it_is_proven() -> None:
    kept = told("promoted")
    found = page.of(kept, trusted(kept), "r2")
    assert [check.answer for check in found.soundness.checks] == [Answer.HOLDS] * 4
    assert text(found.lead[-1]).endswith("holds together, and is signed and anchored up to record 40, as was verified.")
    assert found.points[3].detail == ("signed and anchored up to record 40, as was verified",)


def test_what_the_status_says_of_seals_is_quoted_and_not_believed() -> None:
    found = page.of(told("promoted"), UNTRUSTED, "r2")
    assert "signed and anchored up to record 40, as its status says" in text(found.lead[-1])
    assert all("was given" in c.message or "was not asked" in c.message for c in found.soundness.checks[2:])


def test_another_key_proves_nothing() -> None:
    kept = told("promoted")
    opener = signing.Trust([CryptoSigner.generate_ed25519().public_key])
    found = soundness.of(story.of(kept, "r2"), Trust(opener.open, opener.key_ids, trusted(kept).anchored))
    assert found.broken == ()
    assert found.checks[-2].answer is Answer.UNKNOWN
    assert "was verified" not in found.sealed


def test_the_latest_revision_is_reported_if_none_is_named() -> None:
    assert page.of(told("superseded"), UNTRUSTED).name == "fraud-r3"
    assert page.of(told("superseded"), UNTRUSTED, "2").name == "fraud-r2"


def test_a_revision_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(Trouble, match="no revision r9; there are: fraud-r1, fraud-r2") as caught:
        page.of(told("promoted"), UNTRUSTED, "r9")
    assert caught.value.code is Exit.NOT_FOUND


def test_a_deployment_that_is_gone_is_reported_from_its_revisions() -> None:
    bare = without(told("promoted"), lambda item: item["kind"] == "ModelDeployment")
    found = page.of(bare, UNTRUSTED, "r2")
    assert text(found.headline).startswith("fraud-r2 was promoted on")
    assert found.governance.then is not None
    assert found.changes == ()
