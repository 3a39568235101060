"""What a ModelDeployment must state, at `kubectl apply`: refused or warned of by the real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.component.examples import deployment, merged
from tests.component.governance.controls import CASES, COMPLIANT, IDS
from tests.component.governance.guarded import Guarded, eventually, refused
from tests.component.kube import Manifest, Refused

pytestmark = pytest.mark.component


def policy(name: str, mode: str, applies_to: Manifest, controls: list[str], **parameters: str) -> Manifest:
    """A policy that names controls."""
    named = [{"id": control, "mode": mode, "parameters": parameters} for control in controls]
    spec = {"appliesTo": applies_to, "controls": named}
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": "GovernancePolicy", "metadata": {"name": name}, "spec": spec}


def says(guarded: Guarded, manifest: Manifest) -> str:
    """What the API server says to a developer who would apply this: a refusal, warnings, or nothing."""
    dan = guarded.person("dan")
    try:
        dan.create(manifest, dryRun="All")
    except Refused as answer:
        return "\n".join([answer.message, *dan.warnings])
    return "\n".join(dan.warnings)


def known(guarded: Guarded, made: Manifest, namespace: str) -> None:
    """Wait until the API server judges by a policy: it reads them a moment later."""
    bare = {"rollout": {"steps": [{"weight": 100}], "onDeadline": "Pause"}}
    eventually("the policy is known", lambda: made["metadata"]["name"] in says(guarded, deployment(namespace, bare)))


@pytest.fixture
def governed(guarded: Guarded, space: str) -> Iterator[tuple[str, list[Manifest]]]:
    """A namespace, and policies that are taken away after the test: they are of the whole cluster."""
    made: list[Manifest] = []
    yield space, made
    for item in made:
        guarded.admin.delete(item)


@pytest.fixture(scope="module")
def enforced(guarded: Guarded) -> str:
    """A namespace for the table; its cases bring policies of their own."""
    return guarded.namespace("table")


@pytest.mark.parametrize(("control", "change", "parameters", "said"), CASES)
def test_a_control_says_so_when_it_is_applied(
    guarded: Guarded, enforced: str, control: str, change: Manifest, parameters: dict[str, str], said: str
) -> None:
    name = f"case-{CASES.index(next(c for c in CASES if c.values == (control, change, parameters, said)))}"
    made = guarded.admin.create(policy(name, "Enforce", {"namespaces": [enforced]}, [control], **parameters))
    try:
        wrong = deployment(enforced, merged(COMPLIANT, change))
        broken = {"rollout": {"steps": [{"weight": 100}], "onDeadline": "Pause"}}
        eventually("the policy is known", lambda: f"(policy {name})" in says(guarded, deployment(enforced, broken)))
        answer = says(guarded, wrong)
        assert answer == "" if not said else f"{control} (policy {name}): " in answer and said in answer, answer
        assert parameters or says(guarded, deployment(enforced, COMPLIANT)) == ""
    finally:
        guarded.admin.delete(made)
        eventually("it is forgotten", lambda: says(guarded, deployment(enforced, broken)) == "")


def test_every_control_of_the_guard_is_in_the_table() -> None:
    assert {case.values[0] for case in CASES} == set(IDS)


def test_enforce_refuses_and_warn_shows(guarded: Guarded, governed: tuple[str, list[Manifest]]) -> None:
    namespace, made = governed
    made.append(guarded.admin.create(policy("warns", "Warn", {"namespaces": [namespace]}, IDS)))
    known(guarded, made[-1], namespace)
    dan = guarded.person("dan")
    dan.create(deployment(namespace, {"monitors": []}))
    ids = {warning.partition("': ")[2].partition(" (policy warns)")[0] for warning in dan.warnings}
    assert ids == {*IDS} - {"GOV-ROL-01", "GOV-ROL-02"}  # whose defaults comply

    done = guarded.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment(namespace, name="shown")))
    assert "Warning: Validation failed for ValidatingAdmissionPolicy 'sluice-governance-warn'" in done.stderr
    assert "GOV-INV-02 (policy warns): spec.governance.riskTier is not stated; allowed are Low" in done.stderr

    made.append(guarded.admin.create(policy("enforces", "Enforce", {"namespaces": [namespace]}, ["GOV-ROL-03"])))
    refusal = "GOV-ROL-03 (policy enforces): spec.governance does not name runbook and escalation"
    eventually("it enforces", lambda: refusal in says(guarded, deployment(namespace, name="denied")))
    done = guarded.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment(namespace, name="refused")), check=False)
    assert done.returncode != 0
    assert refusal in done.stderr


def test_audit_says_nothing(guarded: Guarded, governed: tuple[str, list[Manifest]]) -> None:
    namespace, made = governed
    audited = policy("audits", "Audit", {"namespaces": [namespace]}, IDS)
    audited["spec"]["controls"][0]["mode"] = "Warn"  # to know when the policy is known
    made.append(guarded.admin.create(audited))
    known(guarded, audited, namespace)
    assert says(guarded, deployment(namespace)).count("GOV-") == 1


@pytest.mark.parametrize(
    ("applies_to", "stated", "judged"),
    [
        pytest.param({"riskTiers": ["High"]}, {"riskTier": "High"}, True, id="its tier"),
        pytest.param({"riskTiers": ["High"]}, {"riskTier": "Low"}, False, id="another tier"),
        pytest.param({"riskTiers": ["High"]}, {}, True, id="no tier is every tier"),
        pytest.param({"useCases": ["Card  fraud"]}, {"useCase": " card fraud"}, True, id="its use, spelt otherwise"),
        pytest.param({"useCases": ["card fraud"]}, {"useCase": "credit"}, False, id="another use"),
        pytest.param({"useCases": ["card fraud"]}, {}, True, id="no use is every use"),
        pytest.param({"namespaces": ["elsewhere"]}, {}, False, id="another namespace"),
    ],
)
def test_a_policy_is_about_what_it_applies_to(
    guarded: Guarded,
    governed: tuple[str, list[Manifest]],
    applies_to: Manifest,
    stated: Manifest,
    judged: bool,
) -> None:
    namespace, made = governed
    # The same policy twice: one that applies by namespace alone, to know when both are known.
    limited = {"namespaces": [namespace]} | applies_to
    made.append(guarded.admin.create(policy("about", "Enforce", limited, ["GOV-MON-04"])))
    made.append(guarded.admin.create(policy("all", "Warn", {"namespaces": [namespace]}, ["GOV-MON-04"])))
    known(guarded, made[-1], namespace)
    answer = says(guarded, deployment(namespace, {"governance": stated}))
    assert ("(policy about)" in answer) is judged


def test_a_later_policy_is_not_in_the_way_of_labels_status_and_deletion(
    guarded: Guarded, governed: tuple[str, list[Manifest]]
) -> None:
    namespace, made = governed
    there = guarded.person("dan").create(deployment(namespace))
    made.append(guarded.admin.create(policy("later", "Enforce", {"namespaces": [namespace]}, IDS)))
    known(guarded, made[-1], namespace)
    guarded.person("dan").patch(there, {"metadata": {"labels": {"team": "risk"}, "finalizers": ["test.dev/hold"]}})
    guarded.operator.patch(there, {"status": {"phase": "Healthy"}}, "status")
    refused(lambda: guarded.person("dan").patch(there, {"spec": {"model": {"version": "8"}}}), 422, "GOV-INV-01")
    guarded.person("dan").delete(there)
    guarded.person("dan").patch(there, {"metadata": {"finalizers": None}})


def test_an_unreadable_parameter_refuses(guarded: Guarded, governed: tuple[str, list[Manifest]]) -> None:
    namespace, made = governed
    made.append(
        guarded.admin.create(
            policy("odd", "Enforce", {"namespaces": [namespace]}, ["GOV-ROL-01"], maxFirstWeight="few")
        )
    )
    eventually("it refuses", lambda: "sluice-governance-enforce" in says(guarded, deployment(namespace, COMPLIANT)))
