"""The requester of each change of a ModelDeployment's spec: written by the API server, or stated and held to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.component.examples import deployment
from tests.component.governance.guarded import Guarded, eventually, guards, refused, started
from tests.component.kube import Manifest, Refused

pytestmark = pytest.mark.component

REQUESTER = "sluice.dev/requested-by"
SPEC = {"spec": {"model": {"version": "8"}}}


def requester(item: Manifest) -> str | None:
    """Whom the object names."""
    found: str | None = item["metadata"].get("annotations", {}).get(REQUESTER)
    return found


def naming(person: str | None) -> Manifest:
    """The change that names somebody."""
    return {"metadata": {"annotations": {REQUESTER: person}}}


def test_whoever_creates_or_changes_the_spec_is_named(guarded: Guarded, space: str) -> None:
    made = guarded.person("dan").create(deployment(space))
    assert requester(made) == "dan"
    assert requester(guarded.admin.patch(made, SPEC)) == "admin"


def test_nobody_names_another(guarded: Guarded, space: str) -> None:
    forged = deployment(space)
    forged["metadata"]["annotations"] = {REQUESTER: "vera"}
    made = guarded.person("dan").create(forged)
    assert requester(made) == "dan"
    assert requester(guarded.person("dan").patch(made, SPEC | naming("vera"))) == "dan"
    assert requester(guarded.person("dan").patch(made, naming("vera"))) == "dan"


def test_a_change_of_something_else_keeps_the_name(guarded: Guarded, space: str) -> None:
    made = guarded.person("dan").create(deployment(space))
    assert requester(guarded.admin.patch(made, {"metadata": {"labels": {"team": "risk"}}})) == "dan"
    assert requester(guarded.admin.patch(made, naming(None))) == "dan"
    assert requester(guarded.admin.patch(made, {"spec": made["spec"]})) == "dan"
    assert requester(guarded.operator.patch(made, {"status": {"phase": "Healthy"}}, "status")) == "dan"


def test_an_object_applied_again_without_the_name_keeps_it(guarded: Guarded, space: str) -> None:
    stated = deployment(space)
    guarded.person("dan").apply(stated, "kubectl")
    assert requester(guarded.person("dan").apply(stated, "kubectl")) == "dan"
    assert requester(guarded.admin.apply(stated, "kubectl")) == "dan"
    stated["spec"]["model"]["version"] = "9"
    assert requester(guarded.admin.apply(stated, "kubectl")) == "admin"


def test_where_the_mutating_policy_was_taken_away_nothing_is_changed_under_a_wrong_name(
    guarded: Guarded, space: str
) -> None:
    made = guarded.person("dan").create(deployment(space))
    binding = "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicybindings"
    kept = guarded.admin.request("GET", f"{binding}/sluice-requester")
    guarded.admin.request("DELETE", f"{binding}/sluice-requester")
    try:
        probe = deployment(space, name="probe")
        eventually("it mutates no more", lambda: _refuses(guarded, probe))
        said = "the annotation sluice.dev/requested-by says dan, but admin changes the spec: leave it to the API server"
        refused(lambda: guarded.admin.patch(made, SPEC), 403, said)
        refused(lambda: guarded.admin.patch(made, naming("vera")), 403, "changes only when the spec does")
    finally:
        guarded.admin.request("POST", binding, {"metadata": {"name": "sluice-requester"}, "spec": kept["spec"]})
        eventually("it mutates again", lambda: not _refuses(guarded, probe))


@pytest.fixture(scope="module")
def unmutated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """What the chart installs where the API server knows no mutating policies."""
    with started(tmp_path_factory.mktemp("unmutated"), apis=()) as made:
        made.namespace("risk")
        forged = deployment("risk") | _named("probe", "vera")
        eventually("names are checked", lambda: _refuses(made, forged))  # one policy may come after the last
        yield made


def test_without_a_mutating_policy_the_name_may_be_stated_and_must_be_ones_own(unmutated: Guarded) -> None:
    dan, admin = unmutated.person("dan"), unmutated.admin
    made = dan.create(deployment("risk"))
    assert requester(made) is None
    made = dan.patch(made, SPEC | naming("dan"))

    command = "`kubectl annotate --local -f FILE -o yaml --overwrite sluice.dev/requested-by=admin"
    change = {"spec": {"model": {"version": "9"}}}
    for forged in (change, change | naming("dan"), change | naming("vera")):
        refused(lambda to=forged: admin.patch(made, to), 403, "but admin changes the spec: state your own", command)  # type: ignore[misc]
    refused(lambda: dan.create(deployment("risk", name="two") | _named("two", "vera")), 403, "but dan changes the spec")
    for said in ("vera", None):
        refused(lambda to=said: admin.patch(made, naming(to)), 403, "changes only when the spec does")  # type: ignore[misc]
    assert requester(admin.patch(made, {"metadata": {"labels": {"a": "b"}}})) == "dan"
    assert requester(admin.patch(made, change | naming("admin"))) == "admin"


def test_the_command_in_the_message_works(unmutated: Guarded) -> None:
    manifest = deployment("risk", name="by-command")
    unmutated.person("dan").create(manifest | _named("by-command", "dan"))
    manifest["spec"]["model"]["version"] = "9"
    words = ("annotate", "--local", "-f", "-", "-o", "yaml", "--overwrite", f"{REQUESTER}=admin")
    annotated = unmutated.kubectl(*words, stdin=yaml.safe_dump(manifest)).stdout
    unmutated.kubectl("apply", "-f", "-", stdin=annotated)
    assert requester(unmutated.admin.get(manifest)) == "admin"


def test_the_chart_takes_the_newest_version_there_is() -> None:
    stable = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    beta = "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy"
    for served, version in (((stable, beta), "v1"), ((beta,), "v1beta1"), ((), None)):
        made = [item for item in guards(apis=served) if item["kind"].startswith("Mutating")]
        assert {item["apiVersion"].rpartition("/")[2] for item in made} == ({version} if version else set())


def _named(name: str, person: str) -> Manifest:
    return {"metadata": {"name": name, "namespace": "risk", "annotations": {REQUESTER: person}}}


def _refuses(guarded: Guarded, probe: Manifest) -> bool:
    try:
        guarded.admin.create(probe, dryRun="All")
    except Refused:
        return True
    return False
