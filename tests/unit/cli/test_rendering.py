"""What people read: the tree, the tables, the diff, what is in the way."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from sluice.api.modeldecision import Action
from sluice.cli import acts, blockers, differences, documents, following, release, tables, tree, verbs
from sluice.cli.acts import Wish
from sluice.cli.trouble import Exit, Trouble
from tests.unit.cli import examples
from tests.unit.cli.examples import NOW


def text(what: RenderableType, width: int = 140) -> str:
    """As on a terminal, without its colours and the spaces at the ends of lines."""
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        console.print(what)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def test_the_tree_shows_a_release_on_its_way_with_all_that_holds_it() -> None:
    shown = text(tree.render(examples.governed(), NOW))
    for line in (
        "risk/fraud   ◑ Progressing   step 3 of 4 · 25 % live",
        "◑ fraud-r2  fraud-scorer v8  candidate  ━━──────── 25 %  asked for 30m ago",
        "✔ InferenceService fraud-r2  Ready  1 available",
        "fraud-r2-predictor-7d9f-x2x4p  Running 2/2",
        "✔ 1  shadow 100 %  held 10m",
        "◑ 3  weight  25 %  held 6m30s of 20m",
        "✔ error-rate  Pass  0.0011 · stable 0.0012 · 12,040 samples",
        "? prediction-drift  Inconclusive  312 samples",
        "312 rows of the candidate, 1000 are needed",
        "○ 4  weight 100 %",
        "✔ fraud-r1  fraud-scorer v7  stable  ━━━━━━━━── 75 %  promoted 2d ago",
        "governance  31 pass · 1 fail · 1 waived · 4 skipped  high-tier",
        "✔ approval by model-owner  1 of 1",
        "olga  until 2027-02-22",
        "◔ approval by model-validator  0 of 2 before promotion",
        "alice  SelfApproval  alice asked for this release",
        "✖ GOV-VAL-02  Enforce · Critical · Derived",
        "~ GOV-DOC-01  Enforce · Medium · Declared  waived by fraud-r2-gov-doc-01-x7k2p",
        "blocked by GOV-VAL-02, approval model-validator  kubectl sluice why fraud -n risk",
    ):
        assert line in shown


def test_controls_that_pass_are_shown_only_when_all_is_asked_for() -> None:
    assert "GOV-INV-01" not in text(tree.render(examples.governed(), NOW))
    assert "✔ GOV-INV-01" in text(tree.render(examples.governed(), NOW, wide=True))


def test_a_rolled_back_release_shows_the_step_and_the_verdict_that_ended_it() -> None:
    shown = text(tree.render(examples.failed(), NOW))
    assert "✖ 3  weight  25 %  held 4m" in shown
    assert "✖ prediction-drift  Fail  0.41 · 4,096 samples" in shown
    assert "two inputs look swapped" in shown


def test_earlier_revisions_are_counted_not_shown() -> None:
    seen = examples.release(
        examples.HEALTHY | {"stableRevision": "fraud-r3"},
        *(examples.revision(n, examples.PROMOTED) for n in (1, 2, 3)),
    )
    shown = text(tree.render(seen, NOW))
    assert "fraud-r1" not in shown
    assert "2 earlier: kubectl sluice history fraud" in shown


def test_a_deployment_that_nobody_has_looked_at_says_so() -> None:
    shown = text(tree.render(examples.release(), NOW))
    assert "the operator has not looked at it yet" in shown


def test_what_may_not_be_listed_is_said_rather_than_shown_as_absent() -> None:
    seen = examples.release(examples.PROGRESSING, examples.revision(2, examples.ON_ITS_WAY), running=None)
    assert "you may not list" in text(tree.render(seen, NOW))


def test_markup_and_escape_sequences_in_messages_are_text() -> None:
    hostile = examples.PROGRESSING | release.visible({"message": "[red]x[/red] \x1b[2J\x1b]0;owned\x07"})
    shown = text(tree.render(examples.release(hostile), NOW))
    assert "[red]x[/red]" in shown
    assert "\x1b" not in shown


def test_the_tables_have_a_line_for_each() -> None:
    listed = text(tables.deployments([examples.governed(), examples.failed()], everywhere=True)).splitlines()
    assert listed[0].split() == [
        "NAMESPACE",
        "NAME",
        "PHASE",
        "MODEL",
        "STABLE",
        "CANDIDATE",
        "STEP",
        "LIVE",
        "BLOCKED",
        "BY",
    ]
    assert "3 of 4   ━━──── 25 %   GOV-VAL-02, approval model-validator" in listed[2]
    assert "✖ Degraded" in listed[3]
    past = text(tables.history(examples.failed())).splitlines()
    assert past[2].startswith("fraud-r2 ")
    assert "prediction-drift failed at step 3" in past[2]
    assert past[3].startswith("fraud-r1 (stable)")


def test_records_show_who_did_what() -> None:
    shown = text(tables.records(examples.recorded())).splitlines()
    assert len(shown) == 2 + 3
    assert "DecisionSeen   olga" in shown[3]


def test_a_diff_has_only_what_differs() -> None:
    one = examples.revision(1)
    other = examples.revision(2, serving={"modelFormat": "sklearn", "replicas": {"min": 3}})
    assert set(differences.sections(one, other)) == {"model", "serving"}
    shown = text(differences.render(one, other))
    assert "-  min: 1" in shown
    assert "+  min: 3" in shown
    assert "say the same" in text(differences.render(one, one))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param((None, None), ("fraud-r1", "fraud-r2"), id="stable-against-the-latest"),
        pytest.param(("r2", None), ("fraud-r1", "fraud-r2"), id="one-against-stable"),
        pytest.param(("r1", None), ("fraud-r1", "fraud-r2"), id="stable-against-another"),
        pytest.param(("2", "fraud-r1"), ("fraud-r2", "fraud-r1"), id="both-as-said"),
    ],
)
def test_a_diff_is_of_what_was_meant(given: tuple[str | None, str | None], expected: tuple[str, str]) -> None:
    one, other = differences.pair(examples.governed(), *given)
    assert (one.name, other.name) == expected


def test_a_revision_that_does_not_exist_is_not_found_and_those_there_are_are_named() -> None:
    with pytest.raises(Trouble, match="fraud-r1, fraud-r2") as caught:
        examples.governed().revision("r9")
    assert caught.value.code is Exit.NOT_FOUND


def test_why_says_what_blocks_who_can_mend_it_and_how() -> None:
    seen = examples.governed()
    found = blockers.find(seen, {"model-validator": False})
    assert [b.what for b in found] == [
        "GOV-VAL-02 Fail (critical, worked out by Sluice)",
        "approval by model-validator",
        "prediction-drift Inconclusive",
    ]
    shown = text(blockers.render(seen, found), 200)
    assert "alice's does not count: alice asked for this release" in shown
    assert "2 people with the verb approve-model-validator on modeldeployments; you may not" in shown
    assert "$ kubectl auth can-i approve-model-validator modeldeployments.sluice.dev -n risk" in shown
    assert "$ kubectl sluice approve fraud -n risk --role model-validator" in shown


def test_who_may_approve_is_not_told_how_to_get_the_right() -> None:
    found = blockers.find(examples.governed(), {"model-validator": True})
    approval = next(b for b in found if b.what.startswith("approval"))
    assert "can-i" not in approval.command
    assert approval.who.endswith("you may")


def test_why_of_what_was_rolled_back_is_its_verdict() -> None:
    found = blockers.find(examples.failed(), {})
    assert [b.what for b in found] == ["Progressing: DriftDetected"]


@pytest.mark.parametrize(
    ("reason", "verdict", "who"),
    [
        ("Evaluating", "Inconclusive", "wait until its Job has asked all golden data"),
        ("EvaluationNotMade", "Error", "the model's team or the platform team, as it says"),
        ("TooFewSamples", "Inconclusive", "wait for enough requests"),
        ("SourceUnavailable", "Error", "the platform team: its source does not answer"),
    ],
)
def test_why_says_who_helps_a_gate_that_cannot_tell(reason: str, verdict: str, who: str) -> None:
    said = {"name": "golden", "verdict": verdict, "reason": reason, "message": "as it says"}
    seen = examples.release(
        {"phase": "Progressing", "candidateRevision": "fraud-r2", "monitors": [said]}, examples.revision(2)
    )
    (blocker,) = [b for b in blockers.find(seen, {}) if b.what == f"golden {verdict}"]
    assert blocker.who == who


def test_nothing_in_the_way_is_said() -> None:
    seen = examples.release(examples.HEALTHY, examples.revision(1, examples.PROMOTED))
    assert "nothing is in the way" in text(blockers.render(seen, blockers.find(seen, {})))


def test_a_preview_shows_what_is_agreed_to_and_what_stands_against_it() -> None:
    seen = examples.governed()
    item = acts.decision(seen, Wish(Action.APPROVE, role="model-validator", expires_at=NOW), "vera")
    shown = text(verbs.preview(item, seen))
    for part in ("vera", "model-validator", "risk/fraud-r2", "fraud-scorer version 8", examples.digest(8), "high-tier"):
        assert part in shown
    assert "✖ GOV-VAL-02  the validation report speaks of other files" in shown


def test_the_document_of_a_status_keeps_its_keys() -> None:
    found = documents.status(examples.governed())
    assert list(found) == [
        "namespace", "name", "uid", "phase", "message", "upToDate", "url", "stable", "candidate", "step", "traffic",
        "revisions", "governance", "conditions",
    ]  # fmt: skip
    assert [step["state"] for step in found["revisions"][1]["steps"]] == ["Done", "Done", "Current", "Ahead"]
    assert found["revisions"][1]["weight"] == 25


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(examples.HEALTHY, Exit.OK, id="promoted"),
        pytest.param(examples.DEGRADED, Exit.FAILED, id="rolled-back"),
        pytest.param(examples.PROGRESSING, None, id="on-its-way"),
        pytest.param(examples.HEALTHY | {"observedGeneration": 1}, None, id="the-spec-is-newer"),
        pytest.param({}, None, id="never-looked-at"),
    ],
)
def test_a_release_has_ended_only_when_the_present_spec_was_answered(
    status: dict[str, object], expected: Exit | None
) -> None:
    assert following.ending(examples.release(status)) is expected


def test_only_what_is_news_gets_a_line() -> None:
    one = examples.governed()
    assert following.moment(one) == following.moment(examples.governed())
    assert following.moment(one) != following.moment(examples.failed())
    assert "step 3 of 4 · 25 %" in text(following.event(one, NOW))
