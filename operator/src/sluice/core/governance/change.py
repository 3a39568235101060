"""Change (GOV-CHG): why it changes, that nothing else does, and that what is retired does not serve."""

from __future__ import annotations

from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Severity
from sluice.core.governance.checks import ADMITTED, RUNNING, SERVED, is_any, listed, unread
from sluice.core.governance.control import Control, Finding, Parameter, Parameters, failed, passed
from sluice.core.governance.facts import Facts
from sluice.core.governance.parameters import integer, words


def _stated(facts: Facts, values: Parameters) -> Finding:
    tickets, least = words(values, "tickets"), integer(values, "minReason")
    reason, ticket = (facts.stated.change_reason or "").strip(), (facts.stated.ticket or "").strip()
    if not reason or len(reason) < least:
        return failed(
            f"the reason of the change takes at least {max(least, 1)} characters; the team sets "
            "spec.governance.changeReason"
        )
    if not ticket:
        return failed("no ticket is stated; the team sets spec.governance.ticket")
    if not is_any(ticket, tickets):
        return failed(
            f"{ticket} is no ticket as they look here ({listed(tickets)}); the team corrects spec.governance.ticket"
        )
    if not (facts.requester or "").strip():
        return failed(
            "nobody knows who asked for the change: no user was stamped at admission; the platform team "
            "installs the chart's "
            "admission policies, then the ModelDeployment is applied again"
        )
    return passed(f"{ticket}, asked for by {facts.requester}: {reason}"[:512])


def _undrifted(facts: Facts, _: Parameters) -> Finding:
    if facts.hand_edits:
        return failed(
            f"what runs is not what was decided: {listed(facts.hand_edits)}; Sluice sets it right, and whoever "
            "edits it by "
            "hand changes the ModelDeployment instead"
        )
    return passed("what runs is what was decided")


def _unretired(facts: Facts, values: Parameters) -> Finding:
    if facts.evidence is None:
        return unread(facts)
    stage = facts.evidence.stage.strip()
    if stage.casefold() in {word.casefold() for word in words(values, "retired")}:
        return failed(f"the registry calls this version {stage}; release another one, or delete the ModelDeployment")
    return passed(
        f"the registry calls this version {stage}" if stage else "the registry does not call this version retired"
    )


CONTROLS = (
    Control(
        id="GOV-CHG-01",
        title="The change has a reason and a ticket, and the API server said who asked for it",
        stages=ADMITTED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team sets changeReason and ticket in spec.governance with each release.",
        check=_stated,
        parameters={
            "tickets": Parameter("*", "What a ticket looks like, with * for anything, such as `CHG-*`."),
            "minReason": Parameter("10", "The least number of characters of the reason."),
        },
    ),
    Control(
        id="GOV-CHG-02",
        title="What runs is what was decided",
        stages=RUNNING,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="Sluice sets it right; whoever edits it by hand changes the ModelDeployment instead.",
        check=_undrifted,
        parameters={},
    ),
    Control(
        id="GOV-CHG-03",
        title="The registry does not call the version retired",
        stages=SERVED,
        severity=Severity.MEDIUM,
        assurance=Assurance.DECLARED,
        remedy="The team releases another version, or deletes the ModelDeployment.",
        check=_unretired,
        parameters={
            "retired": Parameter("Archived, Retired, Deprecated, Deleted", "Stages in which a version must not serve.")
        },
    ),
)
