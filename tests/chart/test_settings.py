"""The settings that the chart hands to the programs are ones that the programs read."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest

from sluice import __main__ as operator_program
from sluice.monitor.depot import S3Depot, open_depot
from sluice.monitor.settings import ENV_PREFIX, Settings, read_settings
from sluice.storage import uri
from tests.chart.helm import NAMESPACE, Manifest, Values, containers, environment, named, render


def test_the_operator_reads_every_variable_it_is_given() -> None:
    read = {f"SLUICE_{name}" for name in re.findall(r'environment\("(\w+)"', inspect.getsource(operator_program))}
    read |= set(re.findall(r'environ(?:\.get)?\W+"(\w+)"', inspect.getsource(operator_program)))
    assert environment(_operator()).keys() <= read


def test_the_operator_understands_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"operator": {"tickSeconds": 2.5, "resyncSeconds": 60, "workers": 4, "watchNamespaces": ["risk", "ml"]}}
    given = environment(_operator(values))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    options = operator_program.parser().parse_args([])
    assert (options.tick, options.resync, options.workers) == (2.5, 60, 4)
    assert options.monitor_url == f"http://sluice-monitor.{NAMESPACE}.svc"
    assert options.logger_url == f"http://sluice-monitor.{NAMESPACE}.svc/events"
    assert options.tracking_uri == "http://mlflow.mlflow.svc:5000"
    assert (options.lease, options.lease_namespace) == ("sluice-operator", NAMESPACE)
    assert given["SLUICE_NAMESPACES"] == "risk,ml"


def test_without_the_monitor_kserve_logs_nowhere() -> None:
    assert environment(_operator({"global": {"monitor": {"enabled": False}}}))["SLUICE_LOGGER_URL"] == ""


def test_the_monitor_reads_every_variable_it_is_given_and_writes_to_its_volume() -> None:
    given = environment(containers(render())["sluice-monitor/monitor"])
    known = {ENV_PREFIX + field.name.upper() for field in dataclasses.fields(Settings)}
    assert {name for name in given if name.startswith(ENV_PREFIX)} <= known
    settings = read_settings([], given)
    assert settings.rows_url == "file:///data/rows"
    assert str(settings.reports_dir) == "/data/reports"
    assert settings.port == 8080


def test_the_monitor_understands_its_settings() -> None:
    url = "s3://rows/sluice?endpoint=http://minio.minio.svc:9000&region=eu-central-1"
    rows = {"url": url, "secretName": "rows-credentials", "maxMiB": 4096}
    chosen = {"rows": rows, "checkpointSeconds": 2.5, "pairTimeoutSeconds": 120, "maxBodyKiB": 4096}
    container = containers(render({"monitor": chosen}))["sluice-monitor/monitor"]
    settings = read_settings([], environment(container))
    assert (settings.rows_url, settings.volume_mib) == (url, 4096)
    assert (settings.checkpoint_seconds, settings.pair_timeout, settings.max_body_bytes) == (2.5, 120, 4 << 20)
    assert container["envFrom"] == [{"secretRef": {"name": "rows-credentials"}}]
    assert isinstance(open_depot(settings.rows_url, {}), S3Depot)


def test_a_store_can_be_known_by_a_private_ca() -> None:
    manifests = render({"monitor": {"rows": {"url": "s3://rows", "caSecretName": "store-ca"}}})
    container = containers(manifests)["sluice-monitor/monitor"]
    [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "store"]
    assert environment(container)["SSL_CERT_FILE"] == f"{mount['mountPath']}/ca.crt"
    pod = named(manifests, "Deployment", "sluice-monitor")["spec"]["template"]["spec"]
    [volume] = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "store"]
    assert volume == {"secretName": "store-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}


def test_senders_are_known_by_one_secret_that_both_parts_read() -> None:
    manifests = render({"global": {"monitor": {"senderKeys": {"secretName": "sluice-senders"}}}})
    found = containers(manifests)
    assert environment(found["sluice-operator/operator"])["SLUICE_SENDER_KEYS"] == "/etc/sluice/sender-keys"
    settings = read_settings([], environment(found["sluice-monitor/monitor"]))
    assert str(settings.sender_keys) == "/etc/sluice/senders/keys"
    monitor, operator = (
        named(manifests, "Deployment", f"sluice-{part}")["spec"]["template"]["spec"]["volumes"]
        for part in ("monitor", "operator")
    )
    [mounted] = [volume["secret"] for volume in monitor if volume["name"] == "senders"]
    assert mounted == {"secretName": "sluice-senders", "items": [{"key": "keys", "path": "keys"}]}
    [projected] = [volume["projected"]["sources"] for volume in operator if volume["name"] == "governance"]
    key = {"secret": {"name": "sluice-senders", "items": [{"key": "keys", "path": "sender-keys"}]}}
    assert key in projected


def test_labelled_answers_are_kept_for_days_and_within_mebibytes() -> None:
    manifests = render({"monitor": {"labels": {"retentionDays": 30, "maxMiB": 512}}})
    settings = read_settings([], environment(containers(manifests)["sluice-monitor/monitor"]))
    assert (settings.outcome_seconds, settings.outcomes_mib) == (30 * 86_400, 512)


def test_references_have_room_of_their_own() -> None:
    manifests = render({"monitor": {"references": {"maxMiB": 2048}}})
    settings = read_settings([], environment(containers(manifests)["sluice-monitor/monitor"]))
    assert settings.references_mib == 2048


def test_without_a_secret_no_token_is_asked_for() -> None:
    found = containers(render())
    assert "SLUICE_SENDER_KEYS" not in environment(found["sluice-operator/operator"])
    assert read_settings([], environment(found["sluice-monitor/monitor"])).sender_keys is None


def test_webhooks_are_asked_where_the_installer_says_and_signed_with_the_key_of_a_secret() -> None:
    values = {"operator": {"webhooks": {"hosts": ["checks.risk.svc", "*.example.com"], "secretName": "webhook-key"}}}
    manifests = render(values)
    said = environment(containers(manifests)["sluice-operator/operator"])
    options = operator_program.parser().parse_args(["--webhook-hosts", said["SLUICE_WEBHOOK_HOSTS"]])
    assert options.webhook_hosts.split(",") == ["checks.risk.svc", "*.example.com"]
    assert said["SLUICE_WEBHOOK_KEY"] == "/etc/sluice/webhook-key"
    volumes = named(manifests, "Deployment", "sluice-operator")["spec"]["template"]["spec"]["volumes"]
    [projected] = [volume["projected"]["sources"] for volume in volumes if volume["name"] == "governance"]
    assert {"secret": {"name": "webhook-key", "items": [{"key": "key", "path": "webhook-key"}]}} in projected


def test_without_values_no_webhook_is_asked() -> None:
    said = environment(containers(render())["sluice-operator/operator"])
    assert not {"SLUICE_WEBHOOK_HOSTS", "SLUICE_WEBHOOK_KEY"} & set(said)


@pytest.mark.parametrize(("part", "module"), [("operator", "sluice.__main__"), ("monitor", "sluice.monitor.__main__")])
def test_commands_name_modules_that_exist(part: str, module: str) -> None:
    command = containers(render())[f"sluice-{part}/{part}"]["command"]
    assert command[:2] == ["python", "-m"]
    assert f"{command[2]}.__main__" == module


def test_kserve_is_told_to_download_what_revisions_name() -> None:
    storage = named(render(), "ClusterStorageContainer", "sluice-mlflow")["spec"]
    assert storage["supportedUriFormats"] == [{"prefix": uri.SCHEME}]
    assert storage["workloadType"] == "initContainer"
    # KServe keeps the name, the command and the environment, and appends source and destination.
    assert storage["container"]["name"] == "storage-initializer"
    assert storage["container"]["command"] == ["python", "-m", "sluice.storage"]
    assert environment(storage["container"]) == {"MLFLOW_TRACKING_URI": "http://mlflow.mlflow.svc:5000"}
    assert "args" not in storage["container"]


def test_credentials_can_be_given_to_everything_that_asks_mlflow() -> None:
    secret = {"name": "MLFLOW_TRACKING_TOKEN", "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "token"}}}
    manifests = render({"operator": {"extraEnv": [secret], "storageContainer": {"extraEnv": [secret]}}})
    found = containers(manifests)
    assert secret in found["sluice-operator/operator"]["env"]
    assert secret in found["sluice-mlflow/storage-initializer"]["env"]


def test_the_read_only_root_has_room_for_what_the_programs_write() -> None:
    for part, paths in (("operator", {"/tmp"}), ("monitor", {"/tmp", "/data"})):
        mounts = containers(render())[f"sluice-{part}/{part}"]["volumeMounts"]
        assert {mount["mountPath"] for mount in mounts if not mount.get("readOnly")} == paths


def _operator(values: Values | None = None) -> Manifest:
    return containers(render(values))["sluice-operator/operator"]
