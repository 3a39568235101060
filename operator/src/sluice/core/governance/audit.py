"""Audit (GOV-AUD): the record is whole, held elsewhere too, and guarded."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from sluice.api.base import format_duration, format_time
from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Severity
from sluice.core.governance.checks import SERVED, listed, reference
from sluice.core.governance.control import Control, Finding, Parameter, Parameters, error, failed, passed, skipped
from sluice.core.governance.facts import Facts
from sluice.core.governance.parameters import duration

_NO_REVISION = "there is no revision yet, and so nothing to record"


def _chain(facts: Facts, _: Parameters) -> Finding:
    if facts.chain_problem:
        return failed(
            f"the record does not hold together: {facts.chain_problem}; somebody wrote to it, find out who "
            "(`kubectl sluice verify`, and the API server's audit log)"
        )
    if not facts.records:
        if facts.revision is None:
            return skipped(_NO_REVISION)
        return failed("nothing of this release is recorded; it was made before Sluice kept records, so release it anew")
    for before, after in pairwise(facts.records):
        if after.sequence != before.sequence + 1 or after.previous_hash != before.hash:
            return failed(
                f"record {after.sequence} does not follow record {before.sequence}; find out who wrote to the record "
                "(`kubectl sluice verify`, and the API server's audit log)"
            )
    head = facts.records[-1]
    return passed(
        f"{len(facts.records)} records up to {head.sequence}", reference(f"record {head.sequence}", head.hash)
    )


def _anchored(facts: Facts, values: Parameters) -> Finding:
    most = duration(values, "maxDelay")
    if not facts.anchoring:
        return failed(
            "no anchor is configured, so a shortened record would not be noticed; the platform team configures one"
        )
    if not facts.records:
        if facts.revision is None:
            return skipped(_NO_REVISION)
        return failed("nothing of this release is recorded, so nothing is anchored")
    seal = facts.seal
    upto = seal.sequence if seal is not None and seal.anchor else -1
    if seal is not None:
        for record in facts.records:
            if record.sequence == seal.sequence and record.hash != seal.hash:
                return failed(
                    f"record {record.sequence} is not the one that was sealed at {format_time(seal.sealed_at)}; "
                    "find out who "
                    "wrote to the record (`kubectl sluice verify`)"
                )
        if seal.sequence > facts.records[-1].sequence:
            return failed(
                f"the record ends at {facts.records[-1].sequence}, and was sealed up to {seal.sequence}: its "
                "end is gone; find "
                "out who wrote to it (`kubectl sluice verify`)"
            )
    waiting = [record for record in facts.records if record.sequence > upto]
    if waiting and facts.now - waiting[0].time > most:
        late = format_duration(max(facts.now - waiting[0].time, timedelta(0)))
        return failed(
            f"record {waiting[0].sequence} is {late} old and not anchored, {format_duration(most)} are allowed; "
            "the platform "
            "team looks after the anchor's store"
        )
    if seal is None or not seal.anchor:
        return passed("nothing is due to be anchored yet")
    signed = Assurance.VERIFIED if seal.key_id else Assurance.DERIVED
    return passed(f"anchored up to record {seal.sequence}", reference(seal.anchor, seal.hash), assurance=signed)


def _guarded(facts: Facts, _: Parameters) -> Finding:
    if not facts.guards:
        return error(
            "the admission policies that guard decisions and records could not be read; the platform team installs the "
            "chart's (`kubectl get validatingadmissionpolicies`)"
        )
    if broken := [guard for guard in facts.guards if not guard.intact]:
        said = [f"{guard.name}: {guard.message or 'it is missing or was changed'}" for guard in broken]
        return failed(
            f"{listed(said, 3)}; the platform team restores them with `helm upgrade`, and finds out who changed them"
        )
    return passed(f"{len(facts.guards)} admission policies are as installed")


def _policies(facts: Facts, _: Parameters) -> Finding:
    if not facts.policies or not facts.policy_digest:
        return failed(
            "the policies are not pinned, so nobody can say later what was asked; `kubectl describe md` says why"
        )
    pinned = [reference(f"GovernancePolicy/{policy.name}", policy.digest) for policy in facts.policies[:8]]
    return passed(f"pinned: {listed([policy.name for policy in facts.policies])}", *pinned)


CONTROLS = (
    Control(
        id="GOV-AUD-01",
        title="What happened is recorded, and each record is bound to the one before",
        stages=SERVED,
        severity=Severity.CRITICAL,
        assurance=Assurance.DERIVED,
        remedy="The platform team finds out who wrote to the record (`kubectl sluice verify`, and the API "
        "server's audit log).",
        check=_chain,
        parameters={},
    ),
    Control(
        id="GOV-AUD-02",
        title="The record is anchored outside the cluster, soon after it is made",
        stages=SERVED,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The platform team configures an anchor and looks after its store.",
        check=_anchored,
        parameters={"maxDelay": Parameter("15m", "How old a record may be that is not anchored.")},
    ),
    Control(
        id="GOV-AUD-03",
        title="The admission policies that guard decisions and records are as installed",
        stages=SERVED,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The platform team restores them with `helm upgrade`.",
        check=_guarded,
        parameters={},
    ),
    Control(
        id="GOV-AUD-04",
        title="The policies that it is judged by are pinned by digest",
        stages=SERVED,
        severity=Severity.MEDIUM,
        assurance=Assurance.DERIVED,
        remedy="Sluice does it; if it cannot, `kubectl describe md` says why.",
        check=_policies,
        parameters={},
    ),
)
