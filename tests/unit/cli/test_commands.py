"""Exit codes, sentences instead of tracebacks, times, contexts: what scripts and people rely on."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sluice import __version__
from sluice.api.governanceevidence import GovernanceEvidenceSpec
from sluice.api.sender import labels_path
from sluice.cli import keeping, kubeconfig, options, times, trouble
from sluice.cli.__main__ import complete
from sluice.cli.app import app
from sluice.cli.trouble import Exit, Trouble
from sluice.core.objects import Object
from sluice.edges.kinds import Kind
from sluice.edges.kube import Conflict, Forbidden, Invalid, Kube, KubeError, NotFound, Unavailable
from tests.unit.cli.examples import NOW

DENIED = (
    "modeldecisions.sluice.dev \"x\" is forbidden: ValidatingAdmissionPolicy 'sluice-decisions' with binding "
    "'sluice-decisions' denied request: spec.actor.username must be you, alice"
)
CEL = (
    'ModelDecision.sluice.dev "x" is invalid: [spec: Invalid value: "object": say why, in reason: this act ends a '
    'release or goes around its gates, spec: Invalid value: "object": a promotion past the gates needs a ticket]'
)
RBAC = (
    'modeldecisions.sluice.dev is forbidden: User "bob" cannot create resource "modeldecisions" in API group '
    '"sluice.dev" in the namespace "risk"'
)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        pytest.param(Invalid(422, DENIED), Exit.FAILED, "refused: spec.actor.username must be you, alice", id="denied"),
        pytest.param(
            Forbidden(403, DENIED), Exit.FAILED, "refused: spec.actor.username must be you", id="denied-as-403"
        ),
        pytest.param(
            Invalid(422, CEL), Exit.FAILED, "goes around its gates; a promotion past the gates", id="two-rules"
        ),
        pytest.param(Forbidden(403, RBAC), Exit.UNREACHABLE, "bob may not create modeldecisions.sluice.dev", id="rbac"),
        pytest.param(NotFound(404, 'md "x" not found'), Exit.NOT_FOUND, "not found", id="no-such-object"),
        pytest.param(Unavailable(0, "cannot be reached"), Exit.UNREACHABLE, "cannot be reached", id="no-server"),
        pytest.param(Conflict(409, "there already"), Exit.FAILED, "there already", id="conflict"),
    ],
)
def test_what_the_api_server_says_becomes_a_sentence_and_a_code(error: KubeError, code: Exit, says: str) -> None:
    found = trouble.of(error)
    assert found.code is code
    assert says in str(found)
    assert "Invalid value" not in str(found)


def test_a_missing_right_comes_with_the_command_that_checks_it() -> None:
    assert "kubectl auth can-i create modeldecisions.sluice.dev" in trouble.of(Forbidden(403, RBAC)).hint


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubeconfig of a server that does not answer."""
    file = tmp_path / "config"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "risk"}}
    user = {"name": "u", "user": {"as": "ann", "as-groups": ["auditors"]}}
    content = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "x"}
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config"} | content))
    monkeypatch.setenv("KUBECONFIG", str(file))


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["--version"], 0, id="version"),
        pytest.param(["status", "fraud"], 5, id="unreachable"),
        pytest.param(["pause", "fraud", "--yes"], 5, id="unreachable-for-a-verb"),
        pytest.param(["approve", "fraud", "--expires", "soon"], 2, id="an-expiry-that-is-none"),
        pytest.param(["no-such-command"], 2, id="usage"),
        pytest.param(["status", "fraud", "-o", "xml"], 2, id="a-format-that-is-none"),
        pytest.param(["status", "fraud", "--context", "other"], 5, id="a-context-that-is-none"),
    ],
)
def test_exit_codes(words: list[str], code: int) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__


KEY = "k" * 32


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param([], 0, "http://sluice-monitor.sluice-system.svc/v1/labels/risk", id="without-tokens"),
        pytest.param(["-n", "b", "--service", "https://m/"], 0, "https://m/v1/labels/b", id="elsewhere"),
        pytest.param(["--keys", "system/senders"], 0, labels_path(KEY.encode(), "risk"), id="with-a-token"),
        pytest.param(["--keys", "senders"], 2, "--keys is NAMESPACE/SECRET, not senders", id="no-namespace"),
        pytest.param(["--keys", "system/short"], 2, "openssl rand -hex 32", id="a-weak-key"),
        pytest.param(["--keys", "system/empty"], 2, "has no entry `keys`", id="another-secret"),
    ],
)
def test_where_labels_are_sent(words: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets: dict[str, dict[str, str]] = {
        "senders": {"keys": f"{KEY}\n{'o' * 32}\n"},
        "short": {"keys": "abc"},
        "empty": {},
    }

    async def get(_self: Kube, kind: Kind, namespace: str, name: str) -> Object:
        assert (kind.kind, namespace) == ("Secret", "system")
        return {"data": {entry: base64.b64encode(text.encode()).decode() for entry, text in secrets[name].items()}}

    monkeypatch.setattr(Kube, "get", get)
    result = CliRunner().invoke(app, ["labels", *words])
    printed = " ".join(result.output.split())  # wrapped at the width of whatever terminal this is
    assert (result.exit_code, said in printed) == (code, True), result.output


@pytest.mark.usefixtures("nowhere")
def test_a_context_says_namespace_and_impersonation() -> None:
    found = kubeconfig.read(kubeconfig.default(), None)
    assert found == kubeconfig.Context("risk", "ann", ("auditors",))
    assert kubeconfig.read(kubeconfig.default(), "other") == kubeconfig.Context()


@pytest.mark.usefixtures("nowhere")
def test_the_command_line_goes_before_the_kubeconfig_in_who_is_impersonated() -> None:
    assert options.access(None, None, None, None).user == "ann"
    said = options.access(None, None, "olga", None)
    assert (said.user, said.groups) == ("olga", ())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param([""], {"status", "approve", "why"}, id="commands"),
        pytest.param(["st"], {"status"}, id="the-beginning-of-one"),
        pytest.param(["approve", "fraud", "--ro"], {"--role"}, id="options"),
    ],
)
def test_kubectl_is_told_what_could_stand_there(
    words: list[str], expected: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("_KUBECTL_SLUICE_COMPLETE", "COMP_WORDS", "COMP_CWORD"):
        monkeypatch.setenv(name, "")  # so that they are put back afterwards
    monkeypatch.setattr("sys.argv", ["kubectl_complete-sluice", *words])
    complete()
    *offered, directive = capsys.readouterr().out.split()
    assert expected <= set(offered)
    assert directive == ":4"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("90d", NOW + timedelta(days=90), id="days"),
        pytest.param("12h", NOW + timedelta(hours=12), id="hours"),
        pytest.param("2026-12-31", NOW.replace(month=12, day=31, hour=23, minute=59, second=59), id="a-date"),
        pytest.param("2026-12-31T10:00:00Z", NOW.replace(month=12, day=31, hour=10), id="a-timestamp"),
    ],
)
def test_an_expiry_is_a_span_a_date_or_a_timestamp(text: str, expected: Any) -> None:
    assert times.expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["soon", "2026-01-01", "9", "-3d", "90 d"])
def test_what_is_no_expiry_or_over_is_usage(text: str) -> None:
    with pytest.raises(Trouble) as caught:
        times.expiry(text, NOW)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0s"), (45, "45s"), (90, "1m30s"), (600, "10m"), (3600 * 3 + 600, "3h10m"), (86400 * 12 + 7200, "12d")],
)
def test_lengths_are_short(seconds: int, expected: str) -> None:
    assert times.length(timedelta(seconds=seconds)) == expected


def document(content: bytes, digest: str | None = None) -> GovernanceEvidenceSpec:
    """A GovernanceEvidence around some bytes."""
    return GovernanceEvidenceSpec.model_validate(
        {
            "deployment": "fraud",
            "revision": "fraud-r2",
            "kind": "Inputs",
            "digest": digest or "sha256:" + hashlib.sha256(content).hexdigest(),
            "content": base64.b64encode(gzip.compress(content)).decode(),
        }
    )


def test_evidence_is_decoded_and_held_against_its_digest() -> None:
    raw = json.dumps({"now": "2026-11-24"}).encode()
    assert keeping.decoded(document(raw)) == ({"now": "2026-11-24"}, True)
    assert keeping.decoded(document(raw, "sha256:" + "0" * 64))[1] is False


def test_evidence_that_is_no_gzip_is_said() -> None:
    broken = document(b"{}").model_copy(update={"content": base64.b64encode(b"nothing").decode()})
    with pytest.raises(Trouble, match="cannot be decoded"):
        keeping.decoded(broken)
