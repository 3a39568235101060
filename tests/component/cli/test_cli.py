"""kubectl sluice as a process, against a real API server: what it shows of a release at work, and what it writes."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.controlplane import ControlPlane
from sluice.core.identity import digest
from sluice.core.objects import Object
from sluice.edges.kinds import MODEL_DEPLOYMENTS, MODEL_REVISIONS
from tests.component.kube import Api, Manifest
from tests.component.rig import Rig
from tests.unit.cli import examples

pytestmark = pytest.mark.component

STEPS = [{"weight": 50, "hold": "1s"}, {"weight": 100}]
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Said:
    """What a process printed, and how it ended."""

    code: int
    out: str
    err: str


async def started(kubeconfig: Path, *words: str) -> asyncio.subprocess.Process:
    """kubectl-sluice, running."""
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "COLUMNS": "160", "PYTHONUNBUFFERED": "1"}
    command = (sys.executable, "-m", "sluice.cli", *words)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)


async def ended(process: asyncio.subprocess.Process) -> Said:
    """What it said in the end."""
    out, err = await asyncio.wait_for(process.communicate(), 120)
    code = process.returncode
    assert code is not None
    return Said(code, out.decode(), err.decode())


async def sluice(kubeconfig: Path, *words: str) -> Said:
    """Run kubectl-sluice to its end."""
    return await ended(await started(kubeconfig, *words))


def deployment(namespace: str, version: str, **rollout: Any) -> Object:
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "scorer", "namespace": namespace},
        "spec": {
            "model": {"name": "scorer", "version": version},
            "serving": {"modelFormat": "sklearn"},
            "traffic": {
                "gateway": {"name": "models", "namespace": "gateways"},
                "hostnames": [f"scorer.{namespace}.example"],
            },
            "rollout": {"steps": STEPS} | rollout,
        },
    }


async def test_a_promotion_is_followed_and_everything_about_it_can_be_read(
    rig: Rig, control_plane: ControlPlane
) -> None:
    admin, where = control_plane.kubeconfig, ("-n", rig.namespace)
    async with rig.operating(), rig.gateway_controller():
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig.namespace, "1"))
        await rig.ready("scorer-r1")
        await rig.phase("scorer", "Healthy")
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig.namespace, "2"))
        following = await started(admin, "watch", "scorer", *where, "--timeout", "2m")
        assert following.stdout is not None
        first = (await following.stdout.readline()).decode()  # nothing is ready before it is watched
        await rig.ready("scorer-r2")
        watched = await ended(following)
        status, listed, history, diff, why = await asyncio.gather(
            sluice(admin, "status", "scorer", *where),
            sluice(admin, "list", "-A", "-o", "json"),
            sluice(admin, "history", "scorer", *where),
            sluice(admin, "diff", "scorer", "r1", "r2", *where),
            sluice(admin, "why", "scorer", *where),
        )
    assert watched.code == 0, watched
    assert "✔ Healthy" in watched.out.splitlines()[-1]
    assert "◑ Progressing" in first + watched.out
    assert f"{rig.namespace}/scorer   ✔ Healthy" in status.out
    assert "✔ scorer-r2  scorer v2  stable  ━━━━━━━━━━ 100 %" in status.out
    assert "✔ InferenceService scorer-r2  Ready  1 available" in status.out
    mine = [row for row in json.loads(listed.out) if row["namespace"] == rig.namespace]
    assert [(row["name"], row["phase"], row["stable"]) for row in mine] == [("scorer", "Healthy", "scorer-r2")]
    assert history.out.index("scorer-r2 (stable)") < history.out.index("scorer-r1")
    assert "-version: '1'" in diff.out
    assert "+version: '2'" in diff.out
    assert "nothing is in the way" in why.out


async def test_a_release_that_is_taken_back_ends_the_watch_with_1_and_why_says_so(
    rig: Rig, control_plane: ControlPlane
) -> None:
    admin, where = control_plane.kubeconfig, ("-n", rig.namespace)
    async with rig.operating(), rig.gateway_controller():
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig.namespace, "1"))
        await rig.ready("scorer-r1")
        await rig.phase("scorer", "Healthy")
        # Nobody plays KServe for the second one: it never becomes ready.
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig.namespace, "2", progressDeadline="4s"))
        watched = await sluice(admin, "watch", "scorer", *where, "--timeout", "2m")
        status = await sluice(admin, "status", "scorer", *where, "-o", "json")
        why = await sluice(admin, "why", "scorer", *where)
    assert watched.code == 1, watched
    assert "✖ Degraded" in watched.out.splitlines()[-1]
    said = json.loads(status.out)
    assert (said["phase"], said["stable"]) == ("Degraded", "scorer-r1")
    assert [revision["phase"] for revision in said["revisions"]] == ["Promoted", "RolledBack"]
    assert "ProgressDeadlineExceeded" in why.out


async def test_a_watch_whose_time_is_up_ends_with_4(rig: Rig, control_plane: ControlPlane) -> None:
    await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig.namespace, "1"))  # no operator runs
    watched = await sluice(control_plane.kubeconfig, "watch", "scorer", "-n", rig.namespace, "--timeout", "0m")
    assert watched.code == 4, watched
    assert "kubectl sluice why scorer" in watched.err


@pytest.fixture
async def governed(rig: Rig) -> str:
    """risk/fraud of the unit tests, in a namespace of its own: r1 stable, r2 on its way and held back."""
    seen = examples.governed()
    kube, namespace = rig.kube, rig.namespace
    spec = seen.item["spec"] | {"traffic": deployment(namespace, "1")["spec"]["traffic"]}
    item = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelDeployment", "spec": spec}
    made = await kube.create(MODEL_DEPLOYMENTS, item | {"metadata": {"name": "fraud", "namespace": namespace}})
    status = seen.status.dump() | {"observedGeneration": made["metadata"]["generation"]}
    await kube.apply_status(MODEL_DEPLOYMENTS, made, status)
    for number, said in ((1, examples.PROMOTED), (2, examples.ON_ITS_WAY)):
        await revision(rig, number, said)
    return str(made["metadata"]["uid"])


async def revision(rig: Rig, number: int, status: Object) -> None:
    metadata: Object = {"name": f"fraud-r{number}", "namespace": rig.namespace}
    metadata["labels"] = {"sluice.dev/deployment": "fraud"}
    item: Object = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelRevision", "metadata": metadata}
    made = await rig.kube.create(MODEL_REVISIONS, item | {"spec": examples.revision(number).spec.dump()})
    await rig.kube.apply_status(MODEL_REVISIONS, made, status)


@pytest.fixture
def vera(api: Api, control_plane: ControlPlane, namespace: str) -> Path:
    """A person who may read everything of Sluice's and make decisions here; known by a client certificate."""
    rules = [
        {"apiGroups": ["sluice.dev"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["sluice.dev"], "resources": ["modeldecisions", "governanceexceptions"], "verbs": ["create"]},
        {"apiGroups": ["sluice.dev"], "resources": ["modeldeployments"], "verbs": ["approve-model-validator"]},
    ]
    where = f"{RBAC}/namespaces/{namespace}"
    role: Manifest = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "decides"}}
    api.request("POST", f"{where}/roles", role | {"kind": "Role", "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "decides"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "vera"}]
    api.request(
        "POST", f"{where}/rolebindings", role | {"kind": "RoleBinding", "roleRef": reference, "subjects": subjects}
    )
    return control_plane.user_kubeconfig("vera")


VERBS = [
    pytest.param(["approve"], {"action": "Approve", "role": "model-validator"}, id="approve"),
    pytest.param(["approve", "--max-weight", "25", "--expires", "7d"], {"action": "Approve"}, id="approve-in-part"),
    pytest.param(["reject", "-m", "stale data"], {"action": "Reject", "role": "model-validator"}, id="reject"),
    pytest.param(["pause"], {"action": "Pause"}, id="pause"),
    pytest.param(["resume"], {"action": "Resume"}, id="resume"),
    pytest.param(
        ["promote", "-m", "incident", "--ticket", "T-1"], {"action": "Promote", "ticket": "T-1"}, id="promote"
    ),
    pytest.param(["abort", "-m", "wrong model"], {"action": "Abort", "reason": "wrong model"}, id="abort"),
    pytest.param(["retry", "-r", "r2"], {"action": "Retry"}, id="retry"),
    pytest.param(["rollback", "-r", "r1", "-m", "complaints"], {"action": "Rollback"}, id="rollback"),
]


@pytest.mark.parametrize(("words", "expected"), VERBS)
async def test_each_verb_writes_one_decision_in_ones_own_name(
    governed: str, vera: Path, api: Api, namespace: str, words: list[str], expected: Manifest
) -> None:
    said = await sluice(vera, words[0], "fraud", *words[1:], "-n", namespace)
    assert said.code == 0, said
    (made,) = api.list("ModelDecision", namespace)
    spec = made["spec"]
    assert expected.items() <= spec.items()
    assert spec["actor"] == {"username": "vera"}
    wanted = "fraud-r1" if words[0] == "rollback" else "fraud-r2"
    assert spec["target"] == {"deployment": "fraud", "uid": governed, "revision": wanted}
    assert spec["subject"]["digest"] == examples.digest(7 if wanted == "fraud-r1" else 8)
    assert spec.get("policyDigest") == (examples.POLICY if words[0] == "approve" else None)
    assert f"✔ ModelDecision {made['metadata']['name']} created" in said.out
    assert "fraud-scorer version" in said.err  # what was agreed to was shown before


async def test_an_approval_can_be_revoked_and_a_control_waived(
    governed: str, vera: Path, api: Api, namespace: str
) -> None:
    where = ("-n", namespace)
    assert (await sluice(vera, "approve", "fraud", *where)).code == 0
    (approval,) = api.list("ModelDecision", namespace)
    revoked = await sluice(vera, "revoke", "fraud", "-m", "wrong report", *where)
    assert revoked.code == 0, revoked
    made = [d for d in api.list("ModelDecision", namespace) if d["spec"]["action"] == "Revoke"]
    assert made[0]["spec"]["revokes"] == approval["metadata"]["name"]
    words = ("--control", "GOV-DOC-01", "-m", "being written", "--ticket", "T-2", "--expires", "30d")
    waived = await sluice(vera, "exception", "fraud", *words, *where)
    assert waived.code == 0, waived
    (exception,) = api.list("GovernanceException", namespace)
    assert exception["spec"]["control"] == "GOV-DOC-01"


REFUSED = [
    pytest.param(["abort"], "say why, in reason: this act ends a release or goes around its gates", id="no-reason"),
    pytest.param(["promote", "-m", "now"], "a promotion past the gates needs a ticket", id="no-ticket"),
    pytest.param(
        ["exception", "--control", "GOV-APP-01", "-m", "x", "--ticket", "T", "--expires", "9d"],
        "must not be an approval or the record itself",
        id="a-control-that-cannot-be-waived",
    ),
]


@pytest.mark.parametrize(("words", "says"), REFUSED)
@pytest.mark.usefixtures("governed")
async def test_a_refusal_is_the_sentence_in_it(vera: Path, namespace: str, words: list[str], says: str) -> None:
    said = await sluice(vera, words[0], "fraud", *words[1:], "-n", namespace)
    assert said.code == 1
    assert f"refused: {says}" in said.err.replace("control: ", "")
    assert "Invalid value" not in said.err
    assert "Traceback" not in said.err


@pytest.mark.usefixtures("governed")
async def test_who_may_not_is_told_so_with_5(control_plane: ControlPlane, vera: Path, api: Api, namespace: str) -> None:
    bob = control_plane.user_kubeconfig("bob")
    said = await sluice(bob, "status", "fraud", "-n", namespace)
    assert said.code == 5
    assert "bob may not get modeldeployments.sluice.dev" in said.err
    impersonated = await sluice(control_plane.kubeconfig, "pause", "fraud", "-n", namespace, "--as", "bob")
    assert impersonated.code == 5
    assert "bob may not get" in impersonated.err
    assert api.list("ModelDecision", namespace) == []
    shown = await sluice(vera, "status", "fraud", "-n", namespace)  # who may not look at pods sees the rest
    assert shown.code == 0
    assert "you may not list" in shown.out
    assert "◔ approval by model-validator  0 of 2" in shown.out


async def test_what_is_not_there_ends_with_3(control_plane: ControlPlane, platform: Api, namespace: str) -> None:
    said = await sluice(control_plane.kubeconfig, "status", "nothing", "-n", namespace)
    assert said.code == 3
    assert "not found" in said.err


@pytest.mark.usefixtures("governed")
async def test_a_dry_run_prints_what_plain_kubectl_would_create(vera: Path, api: Api, namespace: str) -> None:
    said = await sluice(vera, "pause", "fraud", "-n", namespace, "--dry-run")
    assert said.code == 0
    assert api.list("ModelDecision", namespace) == []
    made = api.create(yaml.safe_load(said.out))
    assert made["metadata"]["name"].startswith("fraud-r2-pause-")


@pytest.mark.usefixtures("governed")
@pytest.mark.parametrize(("status", "code"), [("True", 0), ("False", 1)], ids=["accepted", "refused"])
async def test_waiting_shows_what_sluice_made_of_it(
    control_plane: ControlPlane, api: Api, namespace: str, status: str, code: int
) -> None:
    running = await started(control_plane.kubeconfig, "pause", "fraud", "-n", namespace, "--wait")
    while not (made := api.list("ModelDecision", namespace)):  # noqa: ASYNC110 - the event is in another process
        await asyncio.sleep(0.2)
    condition = {"type": "Accepted", "status": status, "reason": "Seen", "message": "as decided"}
    condition["lastTransitionTime"] = "2026-11-24T00:00:00Z"
    api.patch(made[0] | {"kind": "ModelDecision"}, {"status": {"conditions": [condition]}}, "status")
    said = await ended(running)
    assert said.code == code, said
    assert "Seen  as decided" in said.out


async def test_evidence_is_shown_decoded(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    content = {"now": "2026-11-24T12:00:00Z"}
    raw = json.dumps(content, separators=(",", ":")).encode()
    spec = {"deployment": "fraud", "revision": "fraud-r2", "kind": "Inputs", "digest": digest(content)}
    assert spec["digest"] == "sha256:" + hashlib.sha256(raw).hexdigest()
    spec["content"] = base64.b64encode(gzip.compress(raw)).decode()
    metadata = {"name": "fraud-r2-inputs-0", "namespace": namespace}
    item = {"apiVersion": "sluice.dev/v1alpha1", "kind": "GovernanceEvidence", "metadata": metadata, "spec": spec}
    api.create(item)
    said = await sluice(control_plane.kubeconfig, "evidence", "fraud-r2-inputs-0", "-n", namespace, "-o", "json")
    assert said.code == 0, said
    assert json.loads(said.out)["content"] == content
    assert json.loads(said.out)["intact"] is True


@pytest.mark.usefixtures("governed")
async def test_names_are_completed_from_the_cluster(control_plane: ControlPlane, namespace: str) -> None:
    environment = os.environ | {"KUBECONFIG": str(control_plane.kubeconfig)}
    command = (sys.executable, "-c", "from sluice.cli.__main__ import complete; complete()")
    words = ("status", "-n", namespace, "fr")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, *words, stdout=pipe, stderr=pipe, env=environment)
    said = await ended(process)
    assert said.out.split() == ["fraud", ":4"], said
