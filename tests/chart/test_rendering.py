"""What an installation consists of, with default and with other values."""

from __future__ import annotations

import tarfile
import tomllib
from pathlib import Path
from typing import Any

import yaml

from tests.chart.helm import NAMESPACE, ROOT, Manifest, helm, kinds, named, render


def test_lint_has_nothing_to_say() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(ROOT))


def test_an_installation_has_these_kinds_and_no_others() -> None:
    assert kinds(render()) == {
        "ClusterModelMonitor",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterStorageContainer",
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PodMonitor",
        "PrometheusRule",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }


def test_objects_are_unique_and_say_whose_they_are() -> None:
    manifests = render()
    addresses = [(m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]) for m in manifests]
    assert len(set(addresses)) == len(addresses)
    for item in manifests:
        if item["kind"] != "ClusterModelMonitor":  # printed as they are in monitors/
            assert item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "sluice", item["metadata"]["name"]


def test_the_package_holds_the_chart_with_its_crds_and_no_sources(tmp_path: Path) -> None:
    helm("package", str(ROOT), "--destination", str(tmp_path))
    with tarfile.open(tmp_path / f"sluice-{_version()}.tgz") as package:
        files = {member.name.removeprefix("sluice/"): package.extractfile(member) for member in package.getmembers()}
        crds = {name: file.read() for name, file in files.items() if file and name.startswith("crds/")}
    assert {name.split("/")[0] for name in files} == {
        "Chart.yaml",
        "charts",
        "crds",
        "monitors",
        "policies",
        "templates",
        "values.schema.json",
        "values.yaml",
    }
    assert "charts/operator/templates/deployment.yaml" in files
    assert crds == {f"crds/{path.name}": path.read_bytes() for path in (ROOT / "crds").iterdir()}
    assert len(crds) == 8
    assert "policies/guards/records.yaml" in files


def test_all_versions_are_that_of_the_python_distribution() -> None:
    for chart in (ROOT, ROOT / "charts" / "operator", ROOT / "charts" / "monitor"):
        metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
        assert (metadata["version"], metadata["appVersion"]) == (_version(), _version())


def test_what_the_cluster_has_no_kinds_for_is_left_out() -> None:
    assert kinds(render()) - kinds(render(apis=())) == {"ClusterStorageContainer", "PodMonitor", "PrometheusRule"}


def test_never_leaves_out_what_the_cluster_could_take_and_always_does_not_ask() -> None:
    def choose(word: str) -> dict[str, Any]:
        return {
            "monitoring": {"podMonitors": word, "prometheusRule": word},
            "operator": {"storageContainer": {"install": word}},
        }

    optional = {"ClusterStorageContainer", "PodMonitor", "PrometheusRule"}
    assert not kinds(render(choose("Never"))) & optional
    assert kinds(render(choose("Always"), apis=())) >= optional


def test_images_come_from_one_registry_with_one_tag() -> None:
    image = {
        "registry": "registry.example.com/ml",
        "tag": "1.2.3",
        "pullPolicy": "Always",
        "pullSecrets": [{"name": "k"}],
    }
    manifests = render({"global": {"image": image}})
    for name in ("operator", "monitor"):
        pod = named(manifests, "Deployment", f"sluice-{name}")["spec"]["template"]["spec"]
        assert pod["containers"][0]["image"] == f"registry.example.com/ml/sluice-{name}:1.2.3"
        assert pod["containers"][0]["imagePullPolicy"] == "Always"
        assert pod["imagePullSecrets"] == [{"name": "k"}]
    storage = named(manifests, "ClusterStorageContainer", "sluice-mlflow")["spec"]["container"]
    assert storage["image"] == "registry.example.com/ml/sluice-operator:1.2.3"


def test_without_the_monitor_nothing_of_it_is_left() -> None:
    manifests = render({"global": {"monitor": {"enabled": False}}})
    left = [item["metadata"]["name"] for item in manifests if item["metadata"]["name"] == "sluice-monitor"]
    assert left == []


def test_what_the_operator_must_know_of_governance_is_mounted_in_one_volume() -> None:
    key = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----"
    governance = {
        "identities": {"jdoe": "jane@bank.example"},
        "trustedKeys": {"training": key},
        "signing": {"secretName": "signer"},
        "anchor": {"url": "s3://records/sluice", "secretName": "store"},
    }
    manifests = render({"global": {"governance": governance}})
    pod = named(manifests, "Deployment", "sluice-operator")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {"name": "governance", "mountPath": "/etc/sluice", "readOnly": True} in container["volumeMounts"]
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "governance")
    known, guards, signing = volume["projected"]["sources"]
    assert known["configMap"]["items"] == [
        {"key": "identities.yaml", "path": "identities.yaml"},
        {"key": "training.pem", "path": "trusted-keys/training.pem"},
    ]
    assert guards["configMap"]["name"] == "sluice-guards"
    assert signing["secret"] == {"name": "signer", "items": [{"key": "key.pem", "path": "signing/key.pem"}]}
    assert {"name": "SLUICE_ANCHOR_URL", "value": "s3://records/sluice"} in container["env"]
    assert container["envFrom"] == [{"secretRef": {"name": "store"}}]
    data = named(manifests, "ConfigMap", "sluice-governance")["data"]
    assert yaml.safe_load(data["identities.yaml"]) == governance["identities"]
    assert data["training.pem"].strip() == key


def test_a_store_of_files_is_a_volume() -> None:
    claim = {"persistentVolumeClaim": {"claimName": "records"}}
    anchor = {"url": "file:///records", "volume": claim}
    manifests = render({"global": {"governance": {"anchor": anchor}}})
    pod = named(manifests, "Deployment", "sluice-operator")["spec"]["template"]["spec"]
    assert {"name": "records", "mountPath": "/records"} in pod["containers"][0]["volumeMounts"]
    assert {"name": "records"} | claim in pod["volumes"]


def test_the_operator_is_told_the_guards_that_were_installed() -> None:
    manifests = render()
    told = yaml.safe_load_all(named(manifests, "ConfigMap", "sluice-guards")["data"]["guards.yaml"])
    installed = [item for item in manifests if "AdmissionPolicy" in item["kind"]]
    assert sorted(told, key=_address) == sorted(installed, key=_address)


def _address(item: Manifest) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def test_without_guards_nothing_of_them_is_left() -> None:
    manifests = render({"global": {"governance": {"guards": {"enabled": False}}}})
    assert not [item for item in manifests if "AdmissionPolicy" in item["kind"]]
    assert "sluice-guards" not in {item["metadata"]["name"] for item in manifests}


def test_a_volume_claim_is_made_only_when_asked_for() -> None:
    def volume(persistence: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        manifests = render({"monitor": {"persistence": persistence}})
        pod = named(manifests, "Deployment", "sluice-monitor")["spec"]["template"]["spec"]
        (data,) = (volume for volume in pod["volumes"] if volume["name"] == "data")
        return "PersistentVolumeClaim" in kinds(manifests), data

    assert volume({}) == (False, {"name": "data", "emptyDir": {"sizeLimit": "2Gi"}})
    made = {"name": "data", "persistentVolumeClaim": {"claimName": "sluice-monitor"}}
    assert volume({"enabled": True}) == (True, made)
    given = {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}
    assert volume({"enabled": True, "existingClaim": "mine"}) == (False, given)


def test_another_release_name_gives_consistent_names() -> None:
    manifests = render(release="models")
    operator = named(manifests, "Deployment", "models-operator")["spec"]["template"]["spec"]
    assert operator["serviceAccountName"] == "models-operator"
    urls = {entry["name"]: entry.get("value") for entry in operator["containers"][0]["env"]}
    assert urls["SLUICE_MONITOR_URL"] == f"http://models-monitor.{NAMESPACE}.svc"
    assert named(manifests, "Service", "models-monitor")


def _version() -> str:
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version
