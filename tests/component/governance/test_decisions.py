"""Who may decide: each refusal is the real API server's, of the chart's guards, to people with client certificates."""

from __future__ import annotations

import pytest

from tests.component.governance.acts import decision, waiver
from tests.component.governance.guarded import PEOPLE, Guarded, refused
from tests.component.kube import Api

pytestmark = pytest.mark.component

MAY = {
    "Approve": {"vera", "owen"},
    "Reject": {"vera", "owen"},
    "Revoke": {"vera", "owen"},
    "Pause": {"olga"},
    "Resume": {"olga"},
    "Promote": {"rita"},
    "Abort": {"olga"},
    "Retry": {"olga"},
    "Rollback": {"olga"},
}


@pytest.mark.parametrize("action", MAY)
def test_an_act_is_for_those_with_its_verb_and_nobody_else(guarded: Guarded, space: str, action: str) -> None:
    role = {"owen": "model-owner"}
    for person in PEOPLE:
        wanted = decision(space, action, person, role.get(person, "model-validator"), name=person)
        if person in MAY[action]:
            guarded.person(person).create(wanted)
        else:
            with_verb = f"approve-{wanted['spec']['role']}" if "role" in wanted["spec"] else action.lower()
            said = f"that needs the verb {with_verb} on modeldeployments.sluice.dev in namespace {space}"
            if person in ("wendy", "audra"):  # may not even try
                said = "cannot create resource"
            refused(lambda made=wanted, who=person: guarded.person(who).create(made), 403, said)  # type: ignore[misc]


def test_nobody_decides_in_anothers_name(guarded: Guarded, space: str) -> None:
    forged = decision(space, "Approve", "vera")
    for forger in (guarded.person("owen"), guarded.admin):
        name = "owen" if forger is not guarded.admin else "admin"
        refused(lambda by=forger: by.create(forged), 403, f"forged: spec.actor.username is vera, but you are {name}")  # type: ignore[misc]


def test_a_right_to_one_role_is_none_to_another(guarded: Guarded, space: str) -> None:
    wanted = decision(space, "Approve", "vera", role="model-owner")
    said = f"`kubectl auth can-i approve-model-owner modeldeployments.sluice.dev/fraud -n {space}`"
    refused(lambda: guarded.person("vera").create(wanted), 403, "vera may not approve as model-owner", said)


def test_a_right_is_one_in_its_namespace(guarded: Guarded, space: str) -> None:
    elsewhere = f"{space}-elsewhere"
    guarded.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})
    guarded.person("vera").create(decision(space, "Approve", "vera"))
    refused(lambda: guarded.person("vera").create(decision(elsewhere, "Approve", "vera")), 403, "cannot create")


@pytest.mark.parametrize("action", ["Approve", "Reject", "Promote"])
def test_software_does_not_approve_reject_or_promote_whatever_its_rights(
    guarded: Guarded, space: str, action: str
) -> None:
    robot = "system:serviceaccount:ci:deployer"
    said = f"only a person may {action.lower()}: {robot} is an account of software"
    refused(lambda: guarded.robot().create(decision(space, action, robot)), 403, said)


def test_software_with_the_right_may_stop_a_release(guarded: Guarded, space: str) -> None:
    guarded.robot().create(decision(space, "Pause", "system:serviceaccount:ci:deployer"))


def test_the_name_that_counts_is_the_impersonated_one(guarded: Guarded, space: str) -> None:
    """Why nobody may have the right to impersonate: admission cannot see who really asks."""
    Api(guarded.plane.kubeconfig, "vera", ["people"]).create(decision(space, "Approve", "vera"))


def test_a_decision_never_changes(guarded: Guarded, space: str) -> None:
    made = guarded.person("vera").create(decision(space, "Approve", "vera"))
    for change in ({"role": "model-owner"}, {"expiresAt": "2030-01-01T00:00:00Z"}, {"action": "Reject"}):
        said = "a decision never changes; make another one, such as a Revoke"
        refused(lambda to=change: guarded.admin.patch(made, {"spec": to}), 422, said)  # type: ignore[misc]


def test_whoever_may_waive_waives_in_their_own_name_and_not_for_long(guarded: Guarded, space: str) -> None:
    wendy = guarded.person("wendy")
    wendy.create(waiver(space, "wendy", days=89.9))
    refused(lambda: wendy.create(waiver(space, "wendy", days=90.1, name="long")), 422, "more than 90 days ahead")
    refused(lambda: wendy.create(waiver(space, "admin", name="forged")), 403, "forged: spec.approver.username is admin")


def test_others_waive_nothing(guarded: Guarded, space: str) -> None:
    refused(lambda: guarded.person("dan").create(waiver(space, "dan")), 403, "that needs the verb waive on")
    robot = "system:serviceaccount:ci:deployer"
    refused(lambda: guarded.robot().create(waiver(space, robot)), 403, "only a person may waive a control")
