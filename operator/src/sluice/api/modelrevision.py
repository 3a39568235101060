"""ModelRevision: one immutable model version with its release plan, and the record of its release."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import Conditions, Decimal, Digest, Duration, Name, Resource, Text, Time, Word
from sluice.api.governance import PinnedPolicy
from sluice.api.markers import ATOMIC, Rule, map_by
from sluice.api.modeldeployment import Governance, MonitorUses, Rollout, Serving
from sluice.api.record import MAX_RECORDS, ArchivedRecords, ChainLink, Record, Seal, SeenDecision
from sluice.api.verdict import MonitorResult

MAX_NOTICES = 32
"""Notices that wait; the oldest make room."""


class Column(Resource):
    """One input column of a model signature."""

    name: Annotated[str, Field(max_length=256)]
    """The column's name."""
    type: Word
    """Its MLflow type, for example double, long or string."""


class ResolvedModel(Resource):
    """A registered model version, pinned."""

    name: Annotated[str, Field(min_length=1, max_length=250)]
    """The registered model's name in MLflow."""
    version: Annotated[str, Field(pattern=r"^[1-9][0-9]*$", max_length=10)]
    """The version."""
    alias: Annotated[str, Field(max_length=250)] | None = None
    """The alias it was resolved from, if any. A later move of the alias changes nothing here."""
    digest: Digest
    """SHA-256 over the artifact; a model whose files differ is never started."""
    run_id: Word | None = None
    """The MLflow run that trained it."""
    signature: Annotated[list[Column], Field(max_length=512), ATOMIC] = []
    """The input columns in order, from the MLflow signature; empty if the model has none."""


class PlannedLooks(Resource):
    """How often a drift monitor looks in a release, and what each look may spend of its budget for false alarms."""

    monitor: Name
    """The monitor's name."""
    looks: Annotated[int, Field(ge=1)]
    """Looks that must pass: one for each step at which it can compare, when its hold ends."""
    alpha: Decimal
    """The probability of a false alarm that one of them may spend, over all its columns."""
    guards: Annotated[int, Field(ge=0)] = 0
    """Looks in mid-hold, which fail at a change of guardEffect and let nothing pass."""
    guard_alpha: Decimal | None = None
    """What one of those may spend."""


class ModelRevisionSpec(Resource):
    """Immutable: what is released, how it is served, and by which plan it is judged."""

    rules = (
        Rule(
            "self == oldSelf",
            "a ModelRevision's spec never changes; change the ModelDeployment, and Sluice makes a new revision",
        ),
    )

    deployment: Name
    """The ModelDeployment's name."""
    revision: Annotated[int, Field(ge=1, le=99999)]
    """The number N in the name <deployment>-r<N>."""
    identity: Digest
    """SHA-256 over the resolved model and serving: what makes two revisions the same workload."""
    plan: Digest
    """SHA-256 over rollout and monitors: what makes two releases judged alike."""
    source: Digest
    """SHA-256 over the deployment's model and serving as stated when this revision was made."""
    requested_at: Time
    """When the deployment's spec was first seen to ask for this; finer than metadata.creationTimestamp."""
    model: ResolvedModel
    """The pinned model version."""
    serving: Serving
    """How KServe runs it."""
    rollout: Rollout
    """The plan of this release."""
    monitors: MonitorUses = []
    """The gauges of this release."""
    looks: Annotated[list[PlannedLooks], Field(max_length=32), map_by("monitor")] = []
    """The looks of its drift monitors, fixed when this was made: nobody raises the budget of a release under way."""
    governance: Governance | None = None
    """What the team stated about this release."""
    policies: Annotated[list[PinnedPolicy], Field(max_length=32), map_by("name")] = []
    """The governance policies that applied when this was asked for, by digest; none means it is not governed."""
    requester: Word | None = None
    """Who asked for it, as stamped at admission."""
    previous: ChainLink | None = None
    """Where the records of the revision before stood: from there this one's go on. Absent for the first."""


class RevisionPhase(StrEnum):
    """Where a revision's release stands."""

    PENDING = "Pending"
    """The workload is starting; no traffic yet."""
    PROGRESSING = "Progressing"
    """It takes traffic, or copies of it, step by step."""
    PAUSED = "Paused"
    """It stands still at its weight until a person acts."""
    PROMOTED = "Promoted"
    """It passed; it is, or once was, the stable revision."""
    ROLLED_BACK = "RolledBack"
    """It failed and its traffic was taken back."""
    SUPERSEDED = "Superseded"
    """A newer spec arrived before it had passed."""


class StepRecord(Resource):
    """What happened at one step."""

    index: Annotated[int, Field(ge=0, le=20)]
    """The step, counted from 0."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """The share of live traffic at this step, in percent."""
    started_at: Time | None = None
    """When the gateway was seen to apply it; absent until then."""
    finished_at: Time | None = None
    """When it was left, forwards or back."""
    results: Annotated[list[MonitorResult], Field(max_length=32), ATOMIC] = []
    """What the monitors said when it was left, and drift verdicts as they came."""


class Failing(Resource):
    """A gauge that fails on what serves."""

    monitor: Name
    """Its name."""
    since: Time
    """Since when, without a pass in between."""
    seen_at: Time
    """A time at which it was seen to fail; not the last one, which would be a write each time it is seen."""


class NoticeKind(StrEnum):
    """What spec.watch.hook is told."""

    BREACHED = "Breached"
    """A gate has failed on what serves for longer than spec.watch.sustained."""
    RECOVERED = "Recovered"
    """It passes again, or is not watched any more."""


class Notice(Resource):
    """Something that spec.watch.hook has not been told yet."""

    kind: NoticeKind
    """What happened."""
    monitor: Name
    """To which gauge."""
    time: Time
    """When."""
    message: Text
    """That in words."""


class ModelRevisionStatus(Resource):
    """The state of a release. This, and nothing else, is what the operator remembers."""

    conditions: Conditions = []
    """Ready: whether the workload serves."""
    phase: RevisionPhase | None = None
    """Where the release stands."""
    reason: Word | None = None
    """Why the phase was entered, in one CamelCase word."""
    message: Text | None = None
    """Why, in a sentence."""
    source: Digest | None = None
    """SHA-256 over the stated spec that this revision now answers, where it differs from spec.source."""
    lane: Annotated[int, Field(ge=0, le=1)] | None = None
    """Which of the route's two backends is this revision's; absent while it is not in the route."""
    step: Annotated[int, Field(ge=0, le=20)] | None = None
    """The current step, counted from 0."""
    steps: Annotated[list[StepRecord], Field(max_length=64), ATOMIC] = []
    """What happened at each step, oldest first."""
    targeted_at: Time | None = None
    """When the deployment's spec last began to ask for this revision."""
    promoted_at: Time | None = None
    """When it last became stable."""
    finished_at: Time | None = None
    """When it left the traffic: rolled back, superseded, or replaced by the next stable revision."""
    retired_at: Time | None = None
    """When its workload was removed."""
    started_at: Time | None = None
    """When nothing stood against it any more and its workload was asked for."""
    ready_at: Time | None = None
    """When its workload was first seen to be ready: from then on, how long it may take to start is no question."""
    waiting_since: Time | None = None
    """Since when it waits for people, if it does; the progressDeadline stands still."""
    waited: Duration = timedelta(0)
    """How long it has waited for people, before that."""
    policy_digest: Digest | None = None
    """The policies that it was last judged under while it was being released."""
    evaluated: Digest | None = None
    """SHA-256 over what the controls said when that was last recorded."""
    decisions: Annotated[list[SeenDecision], Field(max_length=192), map_by("uid")] = []
    """People's acts that were taken into account."""
    hand_edits: Annotated[list[Text], Field(max_length=8), ATOMIC] = []
    """What was changed by hand of its workload, or of the route while it is stable, and is not set right yet."""
    failing: Annotated[list[Failing], Field(max_length=33), map_by("monitor")] = []
    """Gauges (with the workload, one more than a spec may have) that fail while it serves, but not for long yet."""
    breached: Annotated[list[Failing], Field(max_length=33), map_by("monitor")] = []
    """Gauges that have failed for longer while it served, and have not passed since."""
    notices: Annotated[list[Notice], Field(max_length=MAX_NOTICES), ATOMIC] = []
    """What spec.watch.hook has not been told yet, oldest first."""
    records: Annotated[list[Record], Field(max_length=MAX_RECORDS), ATOMIC] = []
    """What happened, oldest first, each bound to the one before by its hash."""
    archived: ArchivedRecords | None = None
    """Older records, where there were too many to hold here."""
    seal: Seal | None = None
    """How far the records are signed and anchored."""

    def current_step(self) -> StepRecord | None:
        """The record of the step being held, if one is."""
        if not self.steps or self.step is None or self.steps[-1].index != self.step:
            return None
        return self.steps[-1]

    def step_started_at(self) -> datetime | None:
        """When the current step was seen to apply."""
        record = self.current_step()
        return record.started_at if record else None
