"""kubectl sluice report on an export: no cluster, no kubeconfig; a file, its name, and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.app import app
from sluice.core import dossier
from tests.unit.stories import told


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An export, in a folder of its own, where there is no kubeconfig."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    file = tmp_path / "fraud.jsonl"
    file.write_text("\n".join(dossier.lines(told("ungoverned"))) + "\n")
    return file


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["report", *words])


def test_a_report_is_written_and_where_is_said(export: Path) -> None:
    result = run("fraud", "--file", str(export))
    assert result.exit_code == 0, result.output
    assert result.stdout == "✔ the report about fraud-r1 is in fraud-r1.html\n"
    assert export.with_name("fraud-r1.html").read_text().startswith("<!DOCTYPE html>")


def test_it_goes_where_it_is_wanted(export: Path) -> None:
    result = run("fraud", "--file", str(export), "-r", "1", "--out", "elsewhere.html")
    assert result.exit_code == 0, result.output
    assert export.with_name("elsewhere.html").exists()
    assert not export.with_name("fraud-r1.html").exists()


def test_on_stdout_there_is_the_page_and_nothing_else(export: Path) -> None:
    result = run("fraud", "--file", str(export), "--out", "-")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("<!DOCTYPE html>")
    assert result.stdout.rstrip().endswith("</html>")
    assert list(export.parent.glob("*.html")) == []


def test_a_record_that_was_edited_is_reported_with_exit_code_1(export: Path) -> None:
    export.write_text(export.read_text().replace("first release: ready", "first release: great"))
    result = run("fraud", "--file", str(export))
    assert result.exit_code == 1
    assert (
        "the record does not hold together: fraud-r1, record 4: it was changed after it was written"
        in result.stderr.replace("\n", " ")
    )
    assert "The record does not hold together" in export.with_name("fraud-r1.html").read_text()


def test_what_is_missing_is_no_passing_record(export: Path) -> None:
    lines = [line for line in export.read_text().splitlines() if '"kind":"Inputs"' not in line]
    header = json.loads(lines[0])
    header["objects"] = len(lines) - 1
    export.write_text("\n".join([json.dumps(header), *lines[1:]]))
    result = run("fraud", "--file", str(export))
    assert result.exit_code == 7
    assert "the record cannot be checked to the end" in result.stderr
    page = export.with_name("fraud-r1.html").read_text()
    assert "cannot be checked to the end" in page
    assert "Holds together" not in page


def test_an_export_says_no_path(export: Path) -> None:
    lines = []
    for text in export.read_text().splitlines():
        item = json.loads(text)
        if item["kind"] == "ModelRevision":
            item["metadata"]["name"] = "../../etc/fraud"
        lines.append(json.dumps(item))
    export.write_text("\n".join(lines))
    run("fraud", "--file", str(export))
    assert [file.name for file in export.parent.iterdir() if file.suffix == ".html"] == ["_.._etc_fraud.html"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        pytest.param(["other", "--file", "fraud.jsonl"], 3, "is about risk/fraud, not about other", id="another-name"),
        pytest.param(["fraud", "--file", "none.jsonl"], 3, "there is no file none.jsonl", id="no-file"),
        pytest.param(["fraud", "--file", "."], 6, "cannot be read", id="a-folder"),
        pytest.param(["fraud", "--file", "fraud.jsonl", "-r", "r9"], 3, "no revision r9", id="no-revision"),
        pytest.param(["fraud", "--file", "fraud.jsonl", "--out", "no/x.html"], 1, "cannot be written", id="no-folder"),
        pytest.param(
            ["fraud", "--file", "fraud.jsonl", "--out", "-", "--open"], 2, "cannot be opened", id="open-stdout"
        ),
        pytest.param(
            ["fraud", "--file", "fraud.jsonl", "--key", "no.pem"], 2, "no.pem holds no public key", id="no-key"
        ),
        pytest.param(["fraud"], 5, "kubeconfig", id="no-cluster"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_a_code(export: Path, words: list[str], code: int, says: str) -> None:
    result = run(*words)
    assert result.exit_code == code, result.output
    assert says in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("no json", id="no-json"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"kind": "RecordExport"}', id="no-header"),
        pytest.param(
            '{"kind":"RecordExport","metadata":{"namespace":"risk","name":"fraud"},"takenAt":"2026-11-24T12:00:00Z",'
            '"objects":1}\n{"kind":"ModelRevision","metadata":{"name":"fraud-r1"},"spec":{"revision":1}}',
            id="a-revision-that-is-none",
        ),
    ],
)
def test_a_file_that_is_no_export_is_said_to_be_none(export: Path, content: str) -> None:
    export.write_text(content)
    result = run("fraud", "--file", str(export))
    assert result.exit_code == 6
    assert "✖" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_with_open_the_page_is_opened(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    run("fraud", "--file", str(export), "--open")
    assert opened == [export.with_name("fraud-r1.html").as_uri()]
