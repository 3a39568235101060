"""What the parts are allowed to do: their pods, their rights, their connections."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.helm import Manifest, Values, containers, kinds, named, render

IN_TWO: Values = {"operator": {"watchNamespaces": ["risk", "gateways"]}}

READ = {"get", "list", "watch"}
RIGHTS = {
    # (API group, resource): verbs. Everything that the operator may do, and why it must be able to.
    ("sluice.dev", "modeldeployments"): READ,
    ("sluice.dev", "modeldeployments/status"): {"patch"},
    ("sluice.dev", "modeldeployments/finalizers"): {"update"},  # to own objects in its name
    ("sluice.dev", "modelrevisions"): READ | {"create", "delete"},  # never their spec, which is immutable
    ("sluice.dev", "modelrevisions/status"): {"patch"},
    ("sluice.dev", "modelrevisions/finalizers"): {"update"},
    ("sluice.dev", "modelmonitors"): READ,
    ("sluice.dev", "modelmonitors/status"): {"patch"},
    ("sluice.dev", "clustermodelmonitors"): READ,
    ("sluice.dev", "clustermodelmonitors/status"): {"patch"},
    ("sluice.dev", "governancepolicies"): READ,
    ("sluice.dev", "governancepolicies/status"): {"patch"},  # whether it can be evaluated
    ("sluice.dev", "modeldecisions"): READ,  # never made by it: people decide
    ("sluice.dev", "modeldecisions/status"): {"patch"},  # whether it counted, and why not
    ("sluice.dev", "governanceexceptions"): READ,
    ("sluice.dev", "governanceexceptions/status"): {"patch"},
    # Made with a record, removed with its revision (revisionHistoryLimit); never changed.
    ("sluice.dev", "governanceevidences"): READ | {"create", "delete"},
    ("sluice.dev", "governanceevidences/status"): {"patch"},
    # To say which guards are missing or weakened; never to change one.
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): READ,
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): READ,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): READ,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): READ,
    ("serving.kserve.io", "inferenceservices"): READ | {"create", "patch", "delete"},
    ("gateway.networking.k8s.io", "httproutes"): READ | {"create", "patch", "delete"},
    ("gateway.networking.k8s.io", "gateways"): READ,
    ("openreports.io", "reports"): {"get", "create", "patch", "delete"},  # of its own making, for policy dashboards
    ("batch", "jobs"): {"get", "create"},  # evaluations; they end with their revision
    ("apps", "deployments"): READ,
    ("", "pods"): READ,
    ("", "events"): {"create"},
    ("coordination.k8s.io", "leases"): {"get", "create", "patch"},
    ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},  # to notice KServe installed later
}


def test_every_container_meets_the_restricted_standard() -> None:
    found = containers(render())
    assert sorted(found) == ["sluice-mlflow/storage-initializer", "sluice-monitor/monitor", "sluice-operator/operator"]
    for name, container in found.items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
        assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("part", ["operator", "monitor"])
def test_pods_run_as_a_user_without_a_name_and_are_probed(part: str) -> None:
    pod = named(render(), "Deployment", f"sluice-{part}")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all("hostPath" not in volume for volume in pod["volumes"])
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= pod["containers"][0].keys()


def test_openshift_may_choose_the_user() -> None:
    pod = named(render({"operator": {"runAsUser": None}}), "Deployment", "sluice-operator")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("values", "more"),
    [
        pytest.param({}, {}, id="everywhere"),
        # To notice when one of them is made later.
        pytest.param(IN_TWO, {("", "namespaces"): {"list", "watch"}}, id="in two namespaces"),
    ],
)
def test_the_operator_has_the_rights_on_the_list_and_no_others(
    values: Values, more: dict[tuple[str, str], set[str]]
) -> None:
    granted: dict[tuple[str, str], set[str]] = {}
    for rule in _rules(render(values), "sluice-operator"):
        assert rule.keys() <= {"apiGroups", "resources", "verbs", "resourceNames"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault((group, resource), set()).update(rule["verbs"])
    assert granted == RIGHTS | more


def test_limited_to_namespaces_it_has_no_right_to_models_elsewhere() -> None:
    manifests = render(IN_TWO)
    everywhere = [item["roleRef"]["name"] for item in manifests if item["kind"] == "ClusterRoleBinding"]
    assert everywhere == ["sluice-operator"]
    rules = named(manifests, "ClusterRole", "sluice-operator")["rules"]
    assert {resource for rule in rules for resource in rule["resources"]} == {
        "clustermodelmonitors",
        "clustermodelmonitors/status",
        "customresourcedefinitions",
        "governancepolicies",
        "governancepolicies/status",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "namespaces",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    }
    models = [item for item in manifests if item["kind"] == "RoleBinding" and item["roleRef"]["kind"] == "ClusterRole"]
    assert [item["metadata"]["namespace"] for item in models] == ["risk", "gateways"]


def test_the_lease_is_the_only_one_it_may_touch() -> None:
    rules = named(render(), "Role", "sluice-operator")["rules"]
    assert [rule.get("resourceNames") for rule in rules if rule["verbs"] != ["create"]] == [["sluice-operator"]]


def test_the_monitor_has_no_rights_and_no_token() -> None:
    manifests = render()
    assert _rules(manifests, "sluice-monitor") == []
    assert named(manifests, "ServiceAccount", "sluice-monitor")["automountServiceAccountToken"] is False
    pod = named(manifests, "Deployment", "sluice-monitor")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False


def test_users_get_our_kinds_with_their_own_roles_but_nobody_edits_revisions() -> None:
    manifests = render()
    view, edit = named(manifests, "ClusterRole", "sluice-view"), named(manifests, "ClusterRole", "sluice-edit")
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert edit["rules"][0]["resources"] == ["modeldeployments", "modelmonitors"]
    # Harmless: to create a decision is refused to those who lack the verb.
    assert edit["rules"][1] == {
        "apiGroups": ["sluice.dev"],
        "resources": ["modeldecisions", "governanceexceptions"],
        "verbs": ["create"],
    }
    assert len(edit["rules"]) == 2
    without = render({"operator": {"userRoles": {"aggregate": False}}})
    assert not [item for item in without if item["metadata"]["name"] in ("sluice-view", "sluice-edit")]


def test_the_roles_for_people_give_their_verbs_and_no_wildcard() -> None:
    acts = {
        "model-validator": {"approve-model-validator"},
        "model-owner": {"approve-model-owner"},
        "operations": {"pause", "resume", "abort", "retry", "rollback"},
        "release-manager": {"promote"},
        "exception-approver": {"waive"},
        "auditor": {"export", "patch"},
    }
    manifests = render()
    for role, verbs in acts.items():
        rules = named(manifests, "ClusterRole", f"sluice-{role}")["rules"]
        assert {verb for rule in rules for verb in rule["verbs"]} - READ - {"create"} == verbs, role
    roles = [item for item in manifests if item["kind"] == "ClusterRole"]
    assert not [item for item in roles for rule in item["rules"] if "*" in (*rule["verbs"], *rule["resources"])]
    without = render({"global": {"governance": {"roles": {"create": False}}}})
    assert not [item for item in without if item["metadata"]["name"] == "sluice-auditor"]


def test_the_operator_may_call_what_it_asks_and_nothing_else() -> None:
    policy = named(render(), "NetworkPolicy", "sluice-operator")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [_summary(rule) for rule in policy["egress"]] == [
        ("anywhere", {53}),
        ("anywhere", {443, 6443}),
        ("pods sluice-monitor", {8080}),
        ("namespace monitoring", set()),
        ("namespace mlflow", set()),
    ]
    (ingress,) = policy["ingress"]
    assert _summary({"to": ingress["from"], "ports": ingress["ports"]}) == ("namespace monitoring", {8080})


def test_addresses_outside_the_cluster_open_their_port() -> None:
    addresses = {"prometheus": {"url": "https://prom.example.com"}, "mlflow": {"trackingUri": "http://ml.example:5000"}}
    policy = named(render({"global": addresses}), "NetworkPolicy", "sluice-operator")["spec"]
    assert [_summary(rule) for rule in policy["egress"][3:]] == [("anywhere", {443}), ("anywhere", {5000})]
    assert "ingress" not in policy  # nobody is named who could read metrics


def test_the_port_of_the_records_store_is_open() -> None:
    anchor = {"url": "s3://records/sluice?endpoint=https://minio.example.com:9000&retention=2190d"}
    policy = named(render({"global": {"governance": {"anchor": anchor}}}), "NetworkPolicy", "sluice-operator")["spec"]
    assert _summary(policy["egress"][-1]) == ("anywhere", {9000})


def test_more_can_be_opened() -> None:
    scrapers = [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]
    store = {"ports": [{"protocol": "TCP", "port": 9000}]}
    values = {
        "global": {"networkPolicy": {"metricsFrom": scrapers}},
        "operator": {"networkPolicy": {"extraEgress": [store]}},
    }
    policy = named(render(values), "NetworkPolicy", "sluice-operator")["spec"]
    assert policy["ingress"][0]["from"] == scrapers
    assert policy["egress"][-1] == store


def test_the_monitor_is_called_by_model_pods_operator_and_prometheus_and_calls_nobody() -> None:
    policy = named(render(), "NetworkPolicy", "sluice-monitor")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy
    (rule,) = policy["ingress"]
    models, labellers, operator, prometheus = rule["from"]
    assert labellers == {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"sluice.dev/sends-labels": "true"}},
    }
    assert models["podSelector"]["matchExpressions"][0]["key"] == "serving.kserve.io/inferenceservice"
    assert operator["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "sluice-operator"
    assert prometheus["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}


def test_who_else_sends_labels_is_the_installers_to_say() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"team": "collections"}}}
    policy = named(render({"monitor": {"labels": {"from": [peer]}}}), "NetworkPolicy", "sluice-monitor")["spec"]
    assert peer in policy["ingress"][0]["from"]


@pytest.mark.parametrize(
    ("url", "target"),
    [
        pytest.param(
            "s3://rows/a?endpoint=http://minio.storage.svc:9000&region=eu",
            {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}}]},
            id="inside the cluster",
        ),
        pytest.param(
            "s3://rows/a?region=eu&endpoint=https://s3.example.com:9443",
            {"ports": [{"protocol": "TCP", "port": 9443}]},
            id="outside it",
        ),
        pytest.param("s3://rows/a", {"ports": [{"protocol": "TCP", "port": 443}]}, id="Amazon's"),
    ],
)
def test_the_monitor_calls_the_store_of_its_rows_and_nobody_else(url: str, target: Manifest) -> None:
    policy = named(render({"monitor": {"rows": {"url": url}}}), "NetworkPolicy", "sluice-monitor")["spec"]
    names, store = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert store == target


def test_the_monitor_s_account_can_be_given_an_identity_at_a_cloud() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/rows"}
    account = named(render({"monitor": {"serviceAccountAnnotations": role}}), "ServiceAccount", "sluice-monitor")
    assert account["metadata"]["annotations"] == role


def test_policies_can_be_left_to_others() -> None:
    assert "NetworkPolicy" not in kinds(render({"global": {"networkPolicy": {"enabled": False}}}))


def _rules(manifests: list[Manifest], account: str) -> list[dict[str, Any]]:
    """Every rule of every role that is bound to a service account."""
    roles = {
        (item["roleRef"]["kind"], item["roleRef"]["name"])
        for item in manifests
        if item["kind"] in ("RoleBinding", "ClusterRoleBinding")
        for subject in item["subjects"]
        if subject["name"] == account
    }
    return [rule for kind, name in sorted(roles) for rule in named(manifests, kind, name)["rules"]]


def _summary(rule: dict[str, Any]) -> tuple[str, set[int]]:
    ports = {port["port"] for port in rule.get("ports", [])}
    if "to" not in rule:
        return "anywhere", ports
    (peer,) = rule["to"]
    if "namespaceSelector" in peer:
        return f"namespace {peer['namespaceSelector']['matchLabels']['kubernetes.io/metadata.name']}", ports
    return f"pods {peer['podSelector']['matchLabels']['app.kubernetes.io/name']}", ports
