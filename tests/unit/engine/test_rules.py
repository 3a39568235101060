"""Custom rules are answered in the background, held against releases, and told of when their policy is written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sluice.core.governance.custom import Question
from sluice.core.world import RuleOutcome
from sluice.edges.kinds import GOVERNANCE_POLICIES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS, MODEL_REVISIONS
from sluice.edges.rules import Answer
from sluice.engine import rules as rules_module
from sluice.engine.policies import Policies
from sluice.engine.rules import Rules
from sluice.engine.store import Key
from tests.unit.engine.answers import PlayedJudge
from tests.unit.engine.fakes import Engine, FakeKube, Time, deployment
from tests.unit.engine.test_engine import condition, status

SCORER, OTHER = Key("risk", "scorer"), Key("risk", "other")
STOPPED = Answer(passed=False, error="it took longer than 1 s", stopped=True)


def policy(kube: FakeKube, expression: str, **rule: Any) -> None:
    given = {"name": "ours", "title": "It is ours", "expression": expression, "message": "it is not ours"}
    made = {"kind": "GovernancePolicy", "metadata": {"name": "ours"}, "spec": {"customRules": [given | rule]}}
    kube.put(GOVERNANCE_POLICIES, made)


async def settled(engine: Engine) -> None:
    """Until neither the engine nor the rules have anything to do."""
    for _ in range(5):
        await engine.settle()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await engine.settle()


async def run(engine: Engine, time: Time, seconds: int) -> None:
    for _ in range(seconds):
        await settled(engine)
        time.pass_(1)
    await settled(engine)


async def test_a_release_waits_for_its_rules_and_goes_on_by_itself(engine: Engine, kube: FakeKube, time: Time) -> None:
    policy(kube, "facts.weight <= 100")
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 30)
    assert status(kube)["phase"] == "Healthy"
    assert status(kube)["governance"]["controls"][0]["verdict"] == "Pass"
    assert set(engine.judge.asked) == {"facts.weight <= 100"}


async def test_a_rule_that_does_not_pass_holds_the_release_and_says_so(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    engine.judge.answers["false"] = Answer(passed=False)
    policy(kube, "false")
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 10)
    assert kube.names(INFERENCE_SERVICES) == []
    assert condition(kube, "GovernanceSatisfied")["message"] == "CUSTOM-ours: it is not ours"


@pytest.mark.parametrize("answer", [Answer(passed=False, error="divide by zero"), STOPPED])
async def test_a_rule_that_cannot_be_told_holds_the_release(
    engine: Engine, kube: FakeKube, time: Time, answer: Answer
) -> None:
    engine.judge.answers["1/0 == 1"] = answer
    policy(kube, "1/0 == 1")
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 10)
    assert kube.names(INFERENCE_SERVICES) == []
    assert answer.error in condition(kube, "GovernanceSatisfied")["message"]


async def test_nothing_is_written_or_asked_at_rest_and_a_change_of_facts_is_no_flicker(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    policy(kube, "true")
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 60)
    kube.writes.clear()
    engine.judge.asked.clear()
    for _ in range(20):
        engine.queue.add(SCORER)
        await run(engine, time, 5)
    assert (kube.writes, engine.judge.asked) == ([], [])
    time.pass_(86400)  # facts.now is another day: the question is a new one, the answer is not
    engine.queue.add(SCORER)
    await settled(engine)
    assert engine.judge.asked == ["true"]
    assert kube.writes == []


async def test_what_a_rule_came_to_is_part_of_what_was_decided_on(engine: Engine, kube: FakeKube, time: Time) -> None:
    policy(kube, "true")
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 5)
    told = kube.objects[MODEL_REVISIONS, "risk", "scorer-r1"]["status"]["records"]
    assert [record["kind"] for record in told[:3]] == ["Created", "PolicyEvaluated", "Started"]


def question(expression: str, facts: str = "{}") -> Question:
    return Question(f"{expression} of {facts}", expression, facts)


class Rig:
    """Rules without an engine."""

    def __init__(self) -> None:
        self.judge = PlayedJudge()
        self.woken: list[Key] = []
        self.now = 0.0
        self.rules = Rules(self.judge, self.woken.append, lambda: self.now)

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_deployment_is_woken_once_for_all_its_rules(rig: Rig) -> None:
    rig.rules.want(SCORER, [question("a"), question("b")])
    await rig.settle()
    assert rig.woken == [SCORER]
    assert set(rig.rules.outcomes(SCORER).values()) == {RuleOutcome(passed=True)}
    rig.rules.want(SCORER, [question("a"), question("b")])
    await rig.settle()
    assert rig.judge.asked == ["a", "b"]


async def test_outcomes_are_kept_only_while_they_are_asked_for(rig: Rig) -> None:
    rig.rules.want(SCORER, [question("a"), question("b")])
    await rig.settle()
    rig.rules.want(SCORER, [question("b")])
    assert rig.rules.outcomes(SCORER).keys() == {question("b").key}
    rig.rules.want(SCORER, ())
    assert rig.rules.outcomes(SCORER) == {}
    assert rig.rules._asked == {}


async def test_a_rule_that_was_stopped_rests_on_whatever_facts_and_is_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_module, "FIRST_REST", 0.05)
    rig.judge.answers["slow"] = STOPPED
    rig.rules.want(SCORER, [question("slow"), question("quick")])
    rig.rules.want(OTHER, [question("slow", "others"), question("quick", "others")])
    await rig.settle()
    assert rig.judge.asked.count("slow") == 1
    assert rig.judge.asked.count("quick") == 2
    for key in (SCORER, OTHER):
        assert RuleOutcome(passed=False, error=STOPPED.error) in rig.rules.outcomes(key).values()
    rig.judge.answers["slow"] = Answer(passed=True)
    rig.now = 1.0
    await asyncio.sleep(0.15)
    for key in (SCORER, OTHER):
        assert set(rig.rules.outcomes(key).values()) == {RuleOutcome(passed=True)}
    assert rig.woken == [SCORER, OTHER, SCORER, OTHER]


async def test_an_unforeseen_error_is_no_pass(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_expression: str, _facts: str) -> Answer:
        raise RuntimeError("broken")

    monkeypatch.setattr(rig.judge, "evaluate", broken)
    rig.rules.want(SCORER, [question("a")])
    await rig.settle()
    (outcome,) = rig.rules.outcomes(SCORER).values()
    assert not outcome.passed
    assert "broken" in outcome.error


async def test_a_policy_is_told_what_is_wrong_with_it_when_it_is_written(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    policies = Policies(engine.store, kube, engine.judge, time)
    engine.judge.answers["1 +"] = Answer(passed=False, error="line 1, column 4: Syntax error")
    policy(kube, "1 +")
    for _ in range(3):
        await policies.all()
    said = kube.objects[GOVERNANCE_POLICIES, "", "ours"]["status"]
    (ready,) = said["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "PolicyInvalid")
    assert "custom rule ours: line 1, column 4: Syntax error" in ready["message"]
    assert len(kube.writes) == 1
    policy(kube, "true")
    await policies.all()
    said = kube.objects[GOVERNANCE_POLICIES, "", "ours"]["status"]
    assert said["conditions"][0]["status"] == "True"
    assert said["digest"].startswith("sha256:")
    assert len(kube.writes) == 2


async def test_a_policy_that_nobody_could_look_at_is_looked_at_again(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    policies = Policies(engine.store, kube, engine.judge, time)
    engine.judge.answers["true"] = STOPPED
    policy(kube, "true")
    await policies.all()
    assert kube.objects[GOVERNANCE_POLICIES, "", "ours"]["status"]["conditions"][0]["reason"] == "RulesUnchecked"
    engine.judge.answers.clear()
    await policies.all()
    assert kube.objects[GOVERNANCE_POLICIES, "", "ours"]["status"]["conditions"][0]["status"] == "True"
