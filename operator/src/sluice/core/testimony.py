"""Testimony: what the Job of an evaluation comes to.

What its pods leave is somebody else's word: it is read strictly, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sluice.api.base import Digest, format_duration
from sluice.api.verdict import Evidence, MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.examination import stated
from sluice.core.objects import Object
from sluice.core.plan import Evaluation

RESULT = "evaluation.json"
"""The artifact of the MLflow run that has the result as a whole."""

_LONGEST = 1024
"""Characters of a message."""
_LONGEST_SAID = 600
"""Characters of what a container left: what to do about it must have room beside it."""
_MOST_SLICES = 3
"""Slices that a message names."""
_REFUSAL = re.compile(r"[A-Z][A-Za-z]{0,63}: .+", re.DOTALL)
_ON_ITS_WAY = {"", "ContainerCreating", "PodInitializing"}


class _Said(BaseModel):
    """What is read strictly. Fields that are not known are of a newer image, and are left out."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="ignore")


class _Figure(_Said):
    value: float
    rows: Annotated[int, Field(ge=0)]


class _Slice(_Said):
    column: Annotated[str, Field(max_length=256)]
    value: Annotated[str, Field(max_length=256)]
    rows: Annotated[int, Field(ge=0)]
    candidate: float | None = None
    stable: float | None = None
    verdict: Verdict


class _Summary(_Said):
    """What ``publish`` leaves."""

    verdict: Literal[Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE]
    reason: Annotated[str, Field(pattern="^[A-Z][A-Za-z0-9]{0,63}$")]
    message: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    candidate: _Figure | None
    stable: _Figure | None = None
    slices: Annotated[list[_Slice], Field(max_length=256)] = []
    data: Digest
    result: Digest
    run: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]


def read(wanted: Evaluation, job: Object, pods: Iterable[Object], uid: str, now: datetime) -> MonitorResult:
    """What a Job has come to: Evaluating while it runs, the verdict that it left, or why there is none.

    Args:
        wanted: the verdict to obtain.
        job: the Job found under the name of the one that was built.
        pods: its pods.
        uid: of the ModelRevision that must own it.
        now: when that was seen.
    """
    own = list(pods)
    if not _owned(job, uid):
        message = f"there is a Job {job['metadata']['name']} that Sluice did not make for this revision"
        return not_made(wanted, _again(f"{message}: what it says counts for nothing", job), now)
    if "deletionTimestamp" in job["metadata"]:
        return waiting(wanted, f"Job {job['metadata']['name']} is being deleted, and is made again then", now)
    conditions = {c["type"]: c for c in job.get("status", {}).get("conditions", []) if c["status"] == "True"}
    if "Complete" in conditions:
        return _succeeded(wanted, job, own, now)
    if (failed := conditions.get("Failed")) is not None:
        return _failed(wanted, job, own, failed, now)
    trouble = next(_troubles(own), "")
    message = f"Job {job['metadata']['name']} asks golden data" + (f"; {trouble}" if trouble else "")
    return waiting(wanted, message, now)


def waiting(wanted: Evaluation, message: str, now: datetime) -> MonitorResult:
    """The golden data is being asked, or will be."""
    return _result(wanted, Verdict.INCONCLUSIVE, reasons.EVALUATING, message, now)


def not_made(wanted: Evaluation, message: str, now: datetime) -> MonitorResult:
    """There is no verdict, and waiting brings none."""
    return _result(wanted, Verdict.ERROR, reasons.EVALUATION_NOT_MADE, message, now)


def _result(
    wanted: Evaluation, verdict: Verdict, reason: str, message: str, now: datetime, **figures: Any
) -> MonitorResult:
    return MonitorResult(
        name=wanted.use.name,
        verdict=verdict,
        reason=reason,
        message=message[:_LONGEST],
        mode=wanted.use.mode,
        observed_at=now,
        **figures,
    )


def _again(what: str, job: Object) -> str:
    metadata = job["metadata"]
    command = f"kubectl -n {metadata['namespace']} delete job {metadata['name']}"
    return f"{what[: _LONGEST - len(command) - len('; to make it anew: ')]}; to make it anew: {command}"


def _owned(job: Object, uid: str) -> bool:
    owners = job["metadata"].get("ownerReferences", [])
    return any(owner.get("uid") == uid and owner.get("controller") is True for owner in owners)


def _succeeded(wanted: Evaluation, job: Object, pods: list[Object], now: datetime) -> MonitorResult:
    said = next(_concluded(pods), None)
    if said is None:
        return not_made(wanted, _again("the Job ended well, but its pod is gone, and what it found with it", job), now)
    try:
        summary = _Summary.model_validate_json(said)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        message = f"the Job left something that is no result of an evaluation ({where}: {first['msg']})"
        return not_made(wanted, _again(_plain(message), job), now)
    digest = stated(wanted).data.digest
    if summary.reason == reasons.EVALUATING or (summary.verdict is Verdict.PASS and summary.candidate is None):
        return not_made(wanted, _again("the Job left a verdict without figures, which is none", job), now)
    if digest not in (None, summary.data):
        message = f"the Job asked the data {summary.data}, and the monitor states {digest}"
        return not_made(wanted, _again(message, job), now)
    return _result(
        wanted,
        summary.verdict,
        summary.reason,
        _told(summary),
        now,
        value=_decimal(summary.candidate),
        stable_value=_decimal(summary.stable),
        samples=summary.candidate.rows if summary.candidate is not None else None,
        evidence=Evidence(url=f"runs:/{summary.run}/{RESULT}", digest=summary.result),
    )


def _concluded(pods: list[Object]) -> Iterator[str]:
    for pod in pods:
        for status in _statuses(pod):
            ended = status.get("state", {}).get("terminated")
            if status["name"] == "publish" and ended and ended.get("exitCode") == 0:
                yield ended.get("message", "")


def _told(summary: _Summary) -> str:
    worst = [one for one in summary.slices if one.verdict is Verdict.FAIL][:_MOST_SLICES]
    slices = "".join(f"; {_slice(one)}" for one in worst)
    return f"{_plain(summary.message)}{slices}"


def _slice(one: _Slice) -> str:
    figures = [f"{one.candidate:.4g}"] if one.candidate is not None else []
    figures += [f"stable {one.stable:.4g}"] if one.stable is not None else []
    return f"{_plain(one.column)}={_plain(one.value)[:64]}: {', '.join([*figures, f'{one.rows:,} rows'])}"


def _decimal(figure: _Figure | None) -> str | None:
    return f"{figure.value + 0.0:.6g}".replace("e+", "e") if figure is not None else None


def _failed(wanted: Evaluation, job: Object, pods: list[Object], why: Object, now: datetime) -> MonitorResult:
    said = next(_refusals(pods), "")
    if why.get("reason") == "DeadlineExceeded":
        late = f"the evaluation took longer than {format_duration(stated(wanted).timeout)} (evaluation.timeout)"
        return not_made(wanted, _again(f"{late}; {said}" if said else late, job), now)
    message = said or _plain(f"its Job failed: {why.get('reason', '')} {why.get('message', '')}")
    return not_made(wanted, _again(message, job), now)


def _refusals(pods: list[Object]) -> Iterator[str]:
    """Why containers ended, the latest first."""
    ended = [
        (str(end.get("finishedAt") or ""), status["name"], end)
        for pod in pods
        for status in _statuses(pod)
        if (end := status.get("state", {}).get("terminated")) and end.get("exitCode") != 0
    ]
    for _, name, end in sorted(ended, key=lambda one: one[0], reverse=True):
        yield _refusal(name, end)


def _refusal(name: str, end: Object) -> str:
    said = _line(end.get("message") or "")
    if end.get("reason") == "OOMKilled":
        return f"{name}: it used more memory than its limit of 1Gi; take fewer rows, or a smaller batch"
    if _REFUSAL.fullmatch(said):
        return f"{name}: {_plain(said)}"
    # The last lines of a log tell more than the first.
    last = f": {said[-_LONGEST_SAID // 2 :]}" if said else ""
    return f"{name}: it ended with exit code {end.get('exitCode')} ({end.get('reason', 'Error')}){last}"


def _troubles(pods: list[Object]) -> Iterator[str]:
    """What keeps a Job that has not ended from going on."""
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                yield _plain(f"its pod finds no place: {condition.get('message', '')}")
        for status in _statuses(pod):
            held = status.get("state", {}).get("waiting") or {}
            if held.get("reason", "") not in _ON_ITS_WAY:
                yield _plain(f"{status['name']}: {held['reason']} {held.get('message', '')}")
    for refusal in _refusals(pods):
        yield f"it is tried again, for {refusal}"


def _statuses(pod: Object) -> Iterator[Object]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def _plain(text: str) -> str:
    """What somebody else wrote, in one line that is not too long."""
    line = _line(text)
    return line if len(line) <= _LONGEST_SAID else f"{line[: _LONGEST_SAID - 1]}…"


def _line(text: str) -> str:
    """Without line breaks, and without what steers a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
