"""Verify and export, as commands on files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.app import app
from sluice.cli.trouble import Exit
from sluice.core import dossier
from sluice.core.objects import Object
from sluice.edges.kinds import Kind
from sluice.edges.kube import Kube, KubeError, NotFound
from tests.unit.core.dossiers import Kept, governed_story


@pytest.fixture(scope="module")
def kept() -> Kept:
    return governed_story()


@pytest.fixture
def exported(kept: Kept, tmp_path: Path) -> Path:
    return written(tmp_path / "export.jsonl", list(kept.dossier().objects), kept)


def written(file: Path, items: list[Object], kept: Kept) -> Path:
    changed = replace(kept.dossier(), objects=tuple(items))
    file.write_text("\n".join(dossier.lines(changed)) + "\n")
    return file


def verify(file: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["verify", "--file", str(file), *options])


def anchored(kept: Kept, root: Path) -> str:
    """The store's statements as files."""
    for one in kept.store:
        path = root / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.envelope)
    return f"file://{root}"


def test_what_nobody_touched_holds_together_and_decides_the_same_again(exported: Path) -> None:
    said = verify(exported, "--replay")
    assert said.exit_code == Exit.OK, said.output
    assert "holds together" in said.output
    assert "decides the same again" in said.output
    assert "records missing at the end" in said.output  # what was not asked is said


def test_with_key_and_anchor_all_of_it_is_proven(kept: Kept, exported: Path, tmp_path: Path) -> None:
    said = verify(exported, "--anchor", anchored(kept, tmp_path / "store"), "-o", "json")
    found = json.loads(said.output)
    assert said.exit_code == Exit.OK
    assert found["verified"]
    assert [r["anchoredUpTo"] for r in found["revisions"]] == [r["records"] - 1 for r in found["revisions"]]


def test_one_word_of_a_record_is_told_with_its_number(kept: Kept, tmp_path: Path) -> None:
    items = json.loads(json.dumps(list(kept.dossier().objects)))
    record = next(i for i in items if i["kind"] == "ModelRevision")["status"]["records"][2]
    record["message"] += ", as agreed"
    said = verify(written(tmp_path / "forged.jsonl", items, kept))
    assert said.exit_code == Exit.FAILED
    assert "record 2:  it was changed after it was written" in said.output


def test_a_record_missing_at_the_end_is_told_by_the_anchor_alone(kept: Kept, tmp_path: Path) -> None:
    items = json.loads(json.dumps(list(kept.dossier().objects)))
    names = [i["metadata"]["name"] for i in items if i["kind"] == "ModelRevision"]
    last = max(names)
    rest = [
        i
        for i in items
        if i["metadata"]["name"] != last
        and (i["spec"].get("revision") != last)
        and (i["spec"].get("target") or {}).get("revision") != last
    ]
    file = written(tmp_path / "short.jsonl", rest, kept)
    assert verify(file, "--anchor", anchored(kept, tmp_path / "store")).exit_code == Exit.FAILED


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        pytest.param("", Exit.UNREADABLE, "is no export", id="empty"),
        pytest.param('{"kind": "List"}\n', Exit.UNREADABLE, "is no export", id="something-else"),
    ],
)
def test_what_is_no_export_is_said_to_be_none(tmp_path: Path, text: str, code: Exit, says: str) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text(text)
    said = verify(file)
    assert said.exit_code == code
    assert says in said.output


def test_a_cut_file_is_noticed(exported: Path) -> None:
    exported.write_text("".join(exported.read_text().splitlines(keepends=True)[:-1]))
    said = verify(exported)
    assert said.exit_code == Exit.UNREADABLE
    assert "lines were lost or added" in " ".join(said.output.split())


def test_a_key_that_is_none_is_said(exported: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")
    said = verify(exported, "--key", str(key))
    assert said.exit_code == Exit.USAGE
    assert "holds no public key" in said.output.replace("\n", " ")


def test_what_a_replay_misses_is_missing_and_not_changed(kept: Kept, tmp_path: Path) -> None:
    items = [i for i in kept.dossier().objects if i["spec"].get("kind") != "Inputs"]
    said = verify(written(tmp_path / "lean.jsonl", items, kept), "--replay")
    assert said.exit_code == Exit.INCOMPLETE
    assert "what it was decided on is not there" in said.output.replace("\n", " ")


def test_the_store_remembers_a_deployment_of_which_nothing_is_left(kept: Kept, tmp_path: Path) -> None:
    said = verify(written(tmp_path / "none.jsonl", [], kept), "--anchor", anchored(kept, tmp_path / "store"))
    assert said.exit_code == Exit.FAILED
    assert "it is gone: it was removed" in said.output.replace("\n", " ")


def test_of_a_name_that_neither_knows_there_is_nothing_to_say(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    said = verify(written(tmp_path / "none.jsonl", [], kept), "--anchor", f"file://{tmp_path / 'store'}")
    assert said.exit_code == Exit.NOT_FOUND
    assert "neither the cluster nor the store has anything of a scorer" in said.output.replace("\n", " ")


class Cluster:
    """One API server, as far as a command that only reads asks it."""

    def __init__(self, error: KubeError | None = None, items: Sequence[Object] = ()) -> None:
        self._error = error
        self._items = items

    async def get(self, kind: Kind, _namespace: str | None, name: str) -> Object:
        if self._error is not None:
            raise self._error
        found = [i for i in self._items if (i["kind"], i["metadata"]["name"]) == (kind.kind, name)]
        if not found:
            raise NotFound(404, f"{kind.kind} {name} is not there")
        return found[0]

    async def list(self, kind: Kind, _namespace: str | None = None) -> list[Object]:
        if self._error is not None:
            raise self._error
        return [item for item in self._items if item["kind"] == kind.kind]

    async def close(self) -> None: ...


def asking(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    async def connected(*_: object, **__: object) -> Cluster:
        return cluster

    monkeypatch.setattr(Kube, "connect", connected)
    return CliRunner().invoke(app, list(words))


def test_a_cluster_without_sluice_is_not_one_from_which_everything_was_removed(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Cluster(NotFound(404, "the server could not find the requested resource"))
    said = asking(bare, monkeypatch, "verify", "scorer", "-n", "bank", "--anchor", anchored(kept, tmp_path / "store"))
    assert said.exit_code == Exit.NOT_FOUND
    assert "Sluice is not installed in this cluster" in said.output.replace("\n", " ")


def test_a_deployment_that_was_removed_with_all_that_was_kept_is_missed_by_the_store(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = anchored(kept, tmp_path / "store")
    said = asking(Cluster(), monkeypatch, "verify", "scorer", "-n", "bank", "--anchor", url)
    assert said.exit_code == Exit.FAILED
    assert "it is gone: it was removed" in said.output.replace("\n", " ")


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "forbidden"])
def test_an_export_says_when_the_policies_are_not_in_it(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    policy: Object = {"kind": "GovernancePolicy", "metadata": {"name": "strict"}, "spec": {}}
    items = [*kept.dossier().objects, *([policy] if listed else [])]
    out = tmp_path / "export.jsonl"
    said = asking(Cluster(items=items), monkeypatch, "export", "scorer", "-n", "bank", "--out", str(out))
    assert said.exit_code == Exit.OK, said.output
    assert ("the policies are not in it" in said.output) is not listed


def test_without_a_name_and_a_file_it_asks_for_one() -> None:
    said = CliRunner().invoke(app, ["export"])
    assert said.exit_code == Exit.USAGE
