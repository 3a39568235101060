"""A guarded API server: the chart's guards and roles, people with client certificates, and real controllers."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from hack.cluster import binaries
from hack.cluster.controlplane import ControlPlane, free_port
from tests.chart.helm import EVERYTHING, NAMESPACE, Values, render
from tests.component.conftest import install
from tests.component.kube import Api, Manifest, Refused

MUTATING = "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:sluice-operator"
PEOPLE = {
    "dan": "edit",  # a developer
    "vera": "sluice-model-validator",
    "owen": "sluice-model-owner",
    "olga": "sluice-operations",
    "rita": "sluice-release-manager",
    "wendy": "sluice-exception-approver",
    "audra": "sluice-auditor",
}
"""Who is who, and the ClusterRole that each is bound to in every namespace of the tests."""


@dataclass
class Guarded:
    """A guarded API server."""

    plane: ControlPlane
    admin: Api
    """A cluster administrator, by client certificate: a member of system:masters."""
    clients: dict[str, Api] = field(default_factory=dict)

    def person(self, name: str) -> Api:
        """A person with a client certificate."""
        return self.clients.setdefault(name, Api(self.plane.user_kubeconfig(name, ["people"])))

    @property
    def operator(self) -> Api:
        """The operator's service account, with every right: what the guards say is all that counts."""
        return self.clients.setdefault(OPERATOR, Api(self.plane.kubeconfig, OPERATOR, ["system:masters"]))

    def robot(self) -> Api:
        """Another service account, with every right."""
        return Api(self.plane.kubeconfig, "system:serviceaccount:ci:deployer", ["system:masters"])

    def namespace(self, name: str) -> str:
        """A namespace in which everybody has their role."""
        self.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/rolebindings"
        group = "rbac.authorization.k8s.io"
        for person, role in PEOPLE.items():
            subject = {"apiGroup": group, "kind": "User", "name": person}
            reference = {"apiGroup": group, "kind": "ClusterRole", "name": role}
            self.admin.request(
                "POST", bindings, {"metadata": {"name": person}, "roleRef": reference, "subjects": [subject]}
            )
        # The first is aggregated by a controller, the last is the last that the authorizer hears of.
        eventually("a developer may create decisions", lambda: self.may("dan", "create", "modeldecisions", name))
        eventually("the auditor may export", lambda: self.may("audra", "export", "modelrevisions", name))
        return name

    def may(self, person: str, verb: str, resource: str, namespace: str) -> bool:
        """Whether the authorizer lets a person do this."""
        attributes = {"group": "sluice.dev", "resource": resource, "verb": verb, "namespace": namespace}
        review = {"spec": {"user": person, "groups": ["people"], "resourceAttributes": attributes}}
        answer = self.admin.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """kubectl, as the administrator."""
        environment = os.environ | {"KUBECONFIG": str(self.plane.kubeconfig)}
        command = [str(binaries.path("kubectl")), *arguments]
        return subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=check)


def guards(values: Values | None = None, *, apis: tuple[str, ...] = (MUTATING,)) -> list[Manifest]:
    """The guards as the chart renders them."""
    rendered = render(values, apis=(*EVERYTHING, *apis))
    return [item for item in rendered if "AdmissionPolicy" in item["kind"]]


def people_roles() -> list[Manifest]:
    """The ClusterRoles of the chart."""
    return [item for item in render() if item["kind"] == "ClusterRole"]


@contextmanager
def started(directory: Path, *, apis: tuple[str, ...] = (MUTATING,)) -> Iterator[Guarded]:
    """A guarded API server with a kube-controller-manager."""
    with ControlPlane(directory) as plane:
        admin = Api(plane.kubeconfig)
        install(admin)
        made = Guarded(plane, admin)
        plane.processes.start("kube-controller-manager", _controllers(plane))
        try:
            made.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([*guards(apis=apis), *people_roles()]))
            admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            eventually("the guards work", lambda: _guards_work(admin))
            yield made
        finally:
            plane.processes.stop("kube-controller-manager")


def eventually(what: str, ask: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a question is answered with yes."""
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def refused(act: Callable[[], object], status: int, *said: str) -> None:
    """The API server refuses, with these words."""
    with pytest.raises(Refused) as caught:
        act()
    assert caught.value.status == status, caught.value.message
    for words in said:
        assert words in caught.value.message


def _guards_work(admin: Api) -> bool:
    """Whether the last of them, and with it all, is in force: they reach the API server's cache together."""
    probe = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "GovernanceEvidence",
        "metadata": {"name": "probe", "namespace": NAMESPACE},
        "spec": {
            "deployment": "probe",
            "revision": "probe-r1",
            "kind": "Inputs",
            "digest": "sha256:" + "0" * 64,
            "content": "e30=",
        },
    }
    try:
        admin.create(probe, dryRun="All")
    except Refused as answer:
        return "sluice-records" in answer.message
    return False


def _controllers(plane: ControlPlane) -> list[str | Path]:
    """As in hack/cluster, but only garbage collection, namespaces, and the aggregation of ClusterRoles."""
    kubeconfig = plane.user_kubeconfig("system:kube-controller-manager")
    pki = plane.authority.directory
    return [
        binaries.path("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'accounts.key'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        # Nothing is run here: a test plays what would become of Deployments.
        "--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={plane.directory / 'kube-controller-manager'}",
        "--v=1",
    ]
