"""The Jobs of evaluations are made where there is none, found where there is one, and read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from sluice.api.sender import evaluation_prefix
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import examination, reasons
from sluice.core.objects import Object
from sluice.core.plan import Evaluation
from sluice.edges.evaluation import Evaluations
from sluice.edges.kinds import JOBS, PODS, Kind
from sluice.edges.kube import Conflict, Forbidden, Invalid, KubeError, NotFound, Unavailable
from sluice.evaluation import question
from tests.unit.core.test_examination import EQUIPMENT, NOW, UID, ended, pod, summary, wanted

KEY = b"k" * 32


@dataclass
class Jobs:
    """An API server that has Jobs and their pods."""

    jobs: dict[str, Object] = field(default_factory=dict)
    pods: list[Object] = field(default_factory=list)
    trouble: KubeError | None = None
    """What making a Job comes to."""
    made: list[Object] = field(default_factory=list)
    listed: list[tuple[Kind, str | None]] = field(default_factory=list)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        assert (kind, namespace) == (JOBS, "risk")
        if name not in self.jobs:
            raise NotFound(404, f"no {name}")
        return self.jobs[name]

    async def create(self, kind: Kind, item: Object) -> Object:
        assert kind == JOBS
        if self.trouble is not None:
            raise self.trouble
        self.made.append(item)
        made: Object = {**item, "metadata": {**item["metadata"], "uid": "u-job"}, "status": {}}
        self.jobs[item["metadata"]["name"]] = made
        return made

    async def list(self, kind: Kind, namespace: str | None = None) -> list[Object]:
        self.listed.append((kind, namespace))
        return self.pods

    def end(self, kind: str = "Complete") -> None:
        for job in self.jobs.values():
            job["status"] = {"conditions": [{"type": kind, "status": "True"}]}


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


async def judge(jobs: Jobs, asked: Evaluation | None = None, **given: Any) -> MonitorResult:
    settings: dict[str, Any] = {"equipment": EQUIPMENT, "key": KEY, "owner": lambda _namespace, _name: UID}
    return await Evaluations(jobs, **(settings | given)).judge(asked or wanted(), NOW)


def asked_of(job: Object) -> Object:
    _, ask = job["spec"]["template"]["spec"]["initContainers"]
    found: Object = json.loads(ask["env"][0]["value"].replace("$$", "$"))
    return found


async def test_a_job_is_made_once_and_read_until_it_has_ended(jobs: Jobs) -> None:
    for _ in range(2):
        result = await judge(jobs)
        assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, reasons.EVALUATING)
    (made,) = jobs.made
    assert made["metadata"]["ownerReferences"][0]["uid"] == UID
    jobs.end()
    jobs.pods = [pod(ended("publish", summary(), 0))]
    result = await judge(jobs)
    assert (result.verdict, result.value, result.observed_at) == (Verdict.PASS, "0.83", NOW)
    assert len(jobs.made) == 1


async def test_only_the_pods_of_this_very_job_are_read(jobs: Jobs) -> None:
    await judge(jobs)
    ((kind, namespace),) = jobs.listed
    assert (kind.plural, namespace) == (PODS.plural, "risk")
    assert kind.label == "batch.kubernetes.io/controller-uid=u-job"


async def test_the_question_is_one_that_the_program_reads(jobs: Jobs) -> None:
    await judge(jobs, wanted(group="case", label="$(SECRET)", data={"uri": "models:/golden@champion/a.parquet"}))
    asked = question.read(json.dumps(asked_of(jobs.made[0])))
    assert (asked.candidate.revision, asked.stable and asked.stable.revision) == ("fraud-r2", "fraud-r1")
    assert (asked.metric, asked.minimum, asked.max_degradation) == ("Recall", 0.8, 0.02)
    assert (asked.group, asked.label, asked.data.uri) == ("case", "$(SECRET)", "models:/golden@champion/a.parquet")
    assert [column.name for column in asked.candidate.columns] == ["amount", "country"]
    assert asked.candidate.model.run_id == "run7"


async def test_a_first_release_s_question_is_one_too(jobs: Jobs) -> None:
    await judge(jobs, wanted(first=True, threshold=None))
    assert question.read(json.dumps(asked_of(jobs.made[0]))).stable is None


@pytest.mark.parametrize("key", [KEY, None])
async def test_request_ids_begin_so_that_they_are_known(jobs: Jobs, key: bytes | None) -> None:
    await judge(jobs, key=key)
    assert asked_of(jobs.made[0])["idPrefix"] == evaluation_prefix(key, "risk")


async def test_without_images_it_is_said_where_they_are_set(jobs: Jobs) -> None:
    result = await judge(jobs, equipment=None)
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.EVALUATION_NOT_MADE)
    assert "operator.evaluation" in result.message
    assert jobs.made == []


async def test_for_a_revision_that_is_gone_nothing_is_made(jobs: Jobs) -> None:
    assert (await judge(jobs, owner=lambda _namespace, _name: None)).reason == reasons.EVALUATING
    assert jobs.made == []


async def test_a_limit_that_cannot_be_filled_in_is_said(jobs: Jobs) -> None:
    result = await judge(jobs, wanted(limits={"min": "${most}"}))
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.QUERY_FAILED)


@pytest.mark.parametrize(
    "trouble", [Unavailable(0, "refused"), Conflict(409, "made just now")], ids=lambda error: type(error).__name__
)
async def test_what_passes_by_itself_is_waited_for(jobs: Jobs, trouble: KubeError) -> None:
    jobs.trouble = trouble
    result = await judge(jobs)
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, reasons.EVALUATING)


@pytest.mark.parametrize(
    "trouble", [Forbidden(403, "jobs.batch is forbidden"), Invalid(422, "no")], ids=lambda error: type(error).__name__
)
async def test_what_does_not_pass_by_itself_is_an_error_that_says_what(jobs: Jobs, trouble: KubeError) -> None:
    jobs.trouble = trouble
    result = await judge(jobs)
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.EVALUATION_NOT_MADE)
    assert str(trouble) in result.message


async def test_a_job_that_somebody_made_under_its_name_is_neither_changed_nor_believed(jobs: Jobs) -> None:
    asked = wanted()
    prefix = evaluation_prefix(KEY, "risk")
    forged = examination.build(asked, examination.question(asked, prefix), EQUIPMENT, "u-other")
    forged["metadata"]["uid"] = "u-forged"
    jobs.jobs[forged["metadata"]["name"]] = forged
    jobs.end()
    jobs.pods = [pod(ended("publish", summary(), 0))]
    result = await judge(jobs, asked)
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.EVALUATION_NOT_MADE)
    assert jobs.made == []
