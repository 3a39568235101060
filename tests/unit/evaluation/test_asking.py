"""Servers are asked the same, under the same ids, a few requests at a time, and again where that may help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sluice.evaluation import asking
from sluice.evaluation.asking import Questionnaire, ask
from sluice.evaluation.question import Model as Registered
from sluice.evaluation.question import Server
from sluice.evaluation.requests import Request, plan
from sluice.evaluation.trouble import EvaluationError
from sluice.monitor.payload import Table
from tests.unit.evaluation.examples import DIGEST, PREFIX, golden, question
from tests.unit.evaluation.servers import Model, serving

ROWS = 25


def doubled(instances: list[list[Any]]) -> list[Any]:
    return [2 * row[0] for row in instances]


def requests(batch: int = 10) -> list[Request]:
    return plan(golden(truth=[0] * ROWS), question(batch=batch))


def questionnaire(model: Model, role: str = "candidate") -> Questionnaire:
    served = Server(revision=f"fraud-{role}", url=model.url, model=Registered(name="m", version="1", digest=DIGEST))
    return Questionnaire(role, served, [[float(row)] for row in range(ROWS)], requests())


class Pauses(list[float]):
    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


async def answers(*models: Model, pauses: Pauses | None = None) -> list[list[Table]]:
    roles = ("candidate", "stable")
    async with serving(*models):
        asked = [questionnaire(model, role) for model, role in zip(models, roles, strict=False)]
        return await ask(asked, "fraud", PREFIX, sleep=(pauses if pauses is not None else Pauses()).sleep)


def cells(tables: Sequence[Table]) -> list[Any]:
    return [row[0] for table in tables for row in table.rows]


async def test_answers_are_in_the_order_of_the_rows() -> None:
    model = Model(doubled)
    (found,) = await answers(model)
    assert cells(found) == [2.0 * row for row in range(ROWS)]
    assert [len(table.rows) for table in found] == [10, 10, 5]
    assert model.paths == {"/v1/models/fraud:predict"}


async def test_both_are_asked_the_same_rows_under_the_same_ids() -> None:
    candidate, stable = Model(doubled), Model(doubled, delay=0.01)
    await answers(candidate, stable)
    assert sorted(candidate.asked) == sorted(stable.asked)
    assert sorted(name for name, _ in stable.asked) == [f"{PREFIX}{number}" for number in range(3)]


async def test_no_server_has_more_than_two_requests_at_a_time() -> None:
    model = Model(doubled, delay=0.01)
    async with serving(model):
        asked = Questionnaire("candidate", questionnaire(model).server, [[1.0]] * ROWS, requests(batch=1))
        await ask([asked], "fraud", PREFIX)
    assert model.busiest == asking.AT_A_TIME == 2
    assert len(model.asked) == ROWS


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_cannot_just_now_is_asked_again_under_the_same_id(status: int) -> None:
    model, pauses = Model(doubled, statuses=[status]), Pauses()
    (found,) = await answers(model, pauses=pauses)
    assert cells(found) == [2.0 * row for row in range(ROWS)]
    assert pauses == [1.0]
    assert len(model.asked) == 4
    assert len({name for name, _ in model.asked}) == 3


async def test_a_server_that_stays_broken_is_left_alone_in_the_end() -> None:
    model, pauses = Model(doubled, statuses=[500] * 99), Pauses()
    with pytest.raises(
        EvaluationError, match=r"candidate fraud-candidate at http.* answers 500: it does not go"
    ) as told:
        await answers(model, pauses=pauses)
    assert told.value.reason == "ServerFailed"
    assert sorted(set(pauses)) == [1.0, 2.0, 4.0]
    assert len(model.asked) <= 2 * 4


async def test_a_refusal_is_final() -> None:
    model, pauses = Model(doubled, statuses=[400] * 99), Pauses()
    with pytest.raises(EvaluationError, match="answers 400: it does not go; the golden columns may not") as told:
        await answers(model, pauses=pauses)
    assert told.value.reason == "ServerRefused"
    assert pauses == []


async def test_a_redirect_leads_nowhere() -> None:
    with pytest.raises(EvaluationError, match="answers 307"):
        await answers(Model(doubled, statuses=[307] * 99))


async def test_a_server_that_is_not_there_is_asked_four_times() -> None:
    model, pauses = Model(doubled), Pauses()
    async with serving(model):
        pass
    with pytest.raises(EvaluationError, match="cannot be asked") as told:
        await ask([questionnaire(model)], "fraud", PREFIX, sleep=pauses.sleep)
    assert told.value.reason == "ServerUnreachable"
    assert pauses.count(4.0) in (1, 2)


async def test_a_server_that_takes_too_long_has_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.05)
    with pytest.raises(EvaluationError, match=r"no answer within 0\.05 s"):
        await answers(Model(doubled, delay=0.5))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"predictions": [1]}', "1 answers to 10 rows"),
        ("hello", "what cannot be read"),
        ('{"error": "x"}', "neither the V1 nor the V2 protocol"),
    ],
)
async def test_an_answer_that_is_none_is_told(text: str, part: str) -> None:
    with pytest.raises(EvaluationError, match=part) as told:
        await answers(Model(text=text))
    assert told.value.reason == "AnswerUnreadable"


async def test_an_answer_without_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAX_BYTES", 1 << 20)
    with pytest.raises(EvaluationError, match="more than 1 MiB"):
        await answers(Model(text="x" * (2 << 20)))


async def test_when_one_server_fails_the_other_is_not_asked_all_the_rest() -> None:
    candidate, stable = Model(doubled, statuses=[400] * 99), Model(doubled, delay=0.05)
    with pytest.raises(EvaluationError, match="candidate"):
        await answers(candidate, stable)
    assert len(stable.asked) < 3
