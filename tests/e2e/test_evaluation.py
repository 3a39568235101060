"""Golden data: a Job asks the real model servers before there is any traffic, and MLflow has what it found."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from hack.demo import data
from hack.demo.ground import RELEASE, RELEASE_NAMESPACE
from tests.e2e.conftest import Cluster

NAME, ROWS = "california", 1_000
GOLDEN, DRIFT = {"name": "golden", "kind": "ModelMonitor"}, {"name": "prediction-drift", "mode": "Observe"}
"""The second is for KServe's logger: it copies golden requests, too."""


def rows() -> bytes:
    """Districts that no model was trained on, with their truth, and in which half of the state they are."""
    housing = data.load()
    table = pd.DataFrame(housing.live[:ROWS], columns=data.FEATURES)
    table["half"] = (table["Latitude"] > 36).map({True: "north", False: "south"})
    return table.assign(expensive=housing.truth[:ROWS]).to_csv(index=False).encode()


def filed(mlflow: MlflowClient, content: bytes) -> str:
    """The rows as an artifact of a run; its address."""
    found = mlflow.get_experiment_by_name("golden rows")
    experiment = found.experiment_id if found is not None else mlflow.create_experiment("golden rows")
    run = mlflow.create_run(experiment).info.run_id
    mlflow.log_text(run, content.decode(), "golden.csv")
    return f"runs:/{run}/golden.csv"


def left_out(cluster: Cluster) -> int:
    """How many requests sluice-monitor knew to be no traffic."""
    service = f"/api/v1/namespaces/{RELEASE_NAMESPACE}/services/{RELEASE}-monitor:80/proxy/metrics"
    said = cluster.kubectl("get", f"--raw={service}")
    found = re.search(r"^sluice_monitor_evaluation_requests_total (\S+)", said, re.MULTILINE)
    return int(float(found[1])) if found else 0


def verdict(cluster: Cluster, namespace: str, revision: str) -> dict[str, Any]:
    """The record of what its golden data came to."""
    records = cluster.get("mrev", revision, namespace)["status"]["records"]
    return next(record for record in records if record["message"].startswith("golden "))


def logged(mlflow: MlflowClient, record: dict[str, Any], version: str, folder: Path) -> tuple[Run, dict[str, Any]]:
    """The run that a record names by its result's digest, and that result."""
    digest = next(one["digest"] for one in record["evidence"] if one["name"] == "evaluation/golden")
    trained = mlflow.get_run(str(mlflow.get_model_version(NAME, version).run_id)).info
    (run,) = mlflow.search_runs([trained.experiment_id], f"tags.`sluice.result` = '{digest}'")
    assert run.data.tags["mlflow.parentRunId"] == trained.run_id
    content = Path(mlflow.download_artifacts(run.info.run_id, "evaluation.json", str(folder))).read_bytes()
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
    return run, json.loads(content)


def test_golden_data_keeps_a_model_that_is_worse_from_all_users(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    mlflow, content = MlflowClient(cluster.ground.mlflow), rows()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    evaluation = {
        "data": {"uri": filed(mlflow, content), "digest": digest},
        "metric": "ROCAUC",
        "positive": "1",
        "label": "expensive",
        "slices": ["half"],
        "limits": {"min": "0.85"},
        "compare": {"maxDegradation": "0.02"},
    }
    metadata, kind = {"name": "golden", "namespace": namespace}, {"apiVersion": "sluice.dev/v1alpha1"}
    cluster.apply({**kind, "kind": "ModelMonitor", "metadata": metadata, "spec": {"evaluation": evaluation}})
    before = left_out(cluster)

    cluster.apply(cluster.deployment(NAME, namespace, "1", monitors=[GOLDEN, DRIFT]))
    cluster.phase(NAME, namespace, "Healthy", 240)
    good = verdict(cluster, namespace, f"{NAME}-r1")
    assert re.match("golden Pass: ROCAUC 0.9.* over 1,000 labelled answers. 2 of 2 slices pass.", good["message"])
    run, result = logged(mlflow, good, "1", tmp_path)
    assert run.data.metrics["ROCAUC"] == result["candidate"]["value"] > 0.9
    assert {one["value"]: one["verdict"] for one in result["slices"]} == {"north": "Pass", "south": "Pass"}
    # Nobody else has asked it anything yet.
    cluster.until("its logged copies are known to be no traffic", lambda: left_out(cluster) >= before + ROWS // 100, 60)

    cluster.apply(cluster.deployment(NAME, namespace, "4", monitors=[GOLDEN, DRIFT]))
    cluster.phase(NAME, namespace, "Degraded", 240)
    bad = verdict(cluster, namespace, f"{NAME}-r2")
    assert (bad["message"].split()[1], bad["reason"]) == ("Fail:", "OutsideLimits"), bad
    run, result = logged(mlflow, bad, "4", tmp_path)
    assert run.data.metrics["ROCAUC"] < 0.85 < run.data.metrics["stable/ROCAUC"] == result["stable"]["value"]
    assert cluster.condition(NAME, namespace, "Promoted")["reason"] == "EvaluationFailed"
    records = cluster.get("mrev", f"{NAME}-r2", namespace)["status"]["records"]
    assert "StepStarted" not in [record["kind"] for record in records], "it never had a place in the route"
    assert f"{NAME}-r2" not in json.dumps(cluster.get("httproute", NAME, namespace)["spec"])
    assert cluster.answers(NAME, namespace) == (200, f"{NAME}-r1")
