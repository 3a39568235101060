"""Golden rows are read as they are, from each kind of file, and what cannot be read is told."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.evaluation.golden import Golden, numbers, read
from sluice.evaluation.inputs import instances
from sluice.evaluation.question import MAX_ROWS
from sluice.evaluation.trouble import EvaluationError
from tests.unit.evaluation.examples import question, server

CSV = "amount,country,truth\n1.5,BR,0\n,CL,1\n"


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "data"  # as in the Job: no name says what it is
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(folder: Path, query: str) -> Path:
    duckdb.execute(f"COPY ({query}) TO '{folder / 'data'}' (FORMAT parquet)")
    return folder / "data"


def test_csv_is_text_until_somebody_says_what_it_is(tmp_path: Path) -> None:
    found = read(written(tmp_path, CSV))
    assert found.columns == {"amount": ["1.5", None], "country": ["BR", "CL"], "truth": ["0", "1"]}
    assert (found.rows, found.texts) == (2, True)
    assert found.truths("truth") == [0, 1]
    assert found.digest == f"sha256:{hashlib.sha256(CSV.encode()).hexdigest()}"


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_csv_may_have_other_separators(tmp_path: Path, separator: str) -> None:
    assert list(read(written(tmp_path, CSV.replace(",", separator))).columns) == ["amount", "country", "truth"]


def test_csv_of_texts_alone_has_its_header_in_the_first_line(tmp_path: Path) -> None:
    found = read(written(tmp_path, 'review,mood\n"good, really",happy\nbad,sad\n'))
    assert found.columns == {"review": ["good, really", "bad"], "mood": ["happy", "sad"]}


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        "SELECT 1::BIGINT AS n, 0.5::DECIMAL(4,2) AS d, true AS b, DATE '2026-01-02' AS day, 'NaN'::DOUBLE AS f, "
        "[1.0::DOUBLE, 2.0::DOUBLE] AS v, '007' AS s",
    )
    found = read(path)
    assert {name: cells[0] for name, cells in found.columns.items()} == {
        "n": 1, "d": 0.5, "b": True, "day": "2026-01-02", "f": None, "v": [1.0, 2.0], "s": "007",
    }  # fmt: skip
    assert not found.texts


def test_json_lines_may_lack_cells(tmp_path: Path) -> None:
    lines = '\ufeff{"a": 1, "truth": "x"}\n\n{"truth": null, "b": {"c": [true]}}\n'
    assert read(written(tmp_path, lines)).columns == {"a": [1, None], "truth": ["x", None], "b": [None, {"c": [True]}]}


@pytest.mark.parametrize(
    ("content", "reason", "part"),
    [
        pytest.param("", "InvalidData", "", id="empty"),
        pytest.param("a,b\n", "InvalidData", "no rows", id="a-header-alone"),
        pytest.param(gzip.compress(CSV.encode()), "InvalidData", "uncompressed", id="gzip"),
        pytest.param(b"PAR1 and no more", "InvalidData", "cannot be read", id="half-a-parquet"),
        pytest.param(b"\x00\x01", "InvalidData", "neither Parquet nor text", id="binary"),
        pytest.param('{"a": 1}\n[2]\n', "InvalidData", "line 2", id="no-object"),
        pytest.param("a\n" + "1\n" * (MAX_ROWS + 1), "TooManyRows", "20,000", id="too-many"),
        pytest.param('{"a":1}\n' * (MAX_ROWS + 1), "TooManyRows", "20,000", id="too-many-lines"),
    ],
)
def test_what_cannot_be_asked_is_told(tmp_path: Path, content: str | bytes, reason: str, part: str) -> None:
    with pytest.raises(EvaluationError) as refused:
        read(written(tmp_path, content))
    assert refused.value.reason == reason
    assert part in str(refused.value)


def test_bytes_are_no_question(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="column image of the golden data holds bytes"):
        read(parquet(tmp_path, "SELECT 'x'::BLOB AS image"))


def test_a_column_that_is_missing_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(
        EvaluationError, match="no column label, which is wanted as the label; there are: amount, country"
    ):
        read(written(tmp_path, CSV)).truths("label")


def test_a_label_is_no_list() -> None:
    with pytest.raises(EvaluationError, match=r"row 2 .* list or an object in column truth"):
        Golden({"truth": [1, [2]]}, 2, "").truths("truth")


@given(st.lists(st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_written_as_text_are_read_back(values: list[float]) -> None:
    assert numbers([repr(value) for value in values]) == values


@pytest.mark.parametrize("text", ["007", "1_000", "NaN", "inf", "0x10", "", "1.", "+1", "١"])
def test_a_text_that_only_looks_like_a_number_stays_one(text: str) -> None:
    assert numbers(["1", text]) == ["1", text]


cells = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.floats(-1e9, 1e9), cells, st.integers(0, 3)), min_size=1, max_size=5))
def test_json_lines_and_parquet_say_the_same(tmp_path: Path, rows: list[tuple[float, str | None, int]]) -> None:
    named = [dict(zip(("amount", "country", "truth"), row, strict=True)) for row in rows]
    from_lines = read(written(tmp_path, "".join(json.dumps(row) + "\n" for row in named)))
    database = duckdb.connect()
    database.execute("CREATE TABLE golden (amount DOUBLE, country VARCHAR, truth BIGINT)")
    database.executemany("INSERT INTO golden VALUES (?, ?, ?)", rows)
    database.execute(f"COPY golden TO '{tmp_path / 'data'}' (FORMAT parquet)")
    assert read(tmp_path / "data").columns == from_lines.columns


# --- inputs


def asked(content: str, folder: Path, columns: list[dict[str, str]], **changes: Any) -> list[list[Any]]:
    changed = question(candidate=server(columns=columns), **changes)
    return instances(read(written(folder, content)), changed.candidate, changed)


def typed(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in pairs]


def test_cells_are_of_the_types_and_in_the_order_of_the_signature(tmp_path: Path) -> None:
    content = "id,n,x,ok,truth\n007,3,4,true,1\n8,,0.5,0,0\n"
    columns = typed(("x", "double"), ("ok", "boolean"), ("id", "string"), ("n", "long"))
    assert asked(content, tmp_path, columns) == [[4.0, True, "007", 3], [0.5, False, "8", None]]


def test_without_a_signature_every_column_is_asked_but_what_is_about_the_row(tmp_path: Path) -> None:
    content = "query,b,truth,country,a,ok\nq1,x,1,BR,2,True\nq1,y,0,CL,3.5,False\n"
    found = asked(content, tmp_path, [], group="query", slices=["country"])
    assert found == [["x", 2, True], ["y", 3.5, False]]


def test_a_signature_of_a_tensor_names_no_column(tmp_path: Path) -> None:
    assert asked("a,b,truth\n1,2,0\n", tmp_path, typed(("input0", "tensor"))) == [[1, 2]]


def test_a_slice_may_be_an_input_too(tmp_path: Path) -> None:
    assert asked("country,truth\nBR,1\n", tmp_path, typed(("country", "string")), slices=["country"]) == [["BR"]]


@pytest.mark.parametrize(
    ("cell", "kind"), [("x", "double"), ("1.5", "long"), ("x", "integer"), ("maybe", "boolean"), ("2", "boolean")]
)
def test_a_cell_of_another_type_is_told_with_its_row(tmp_path: Path, cell: str, kind: str) -> None:
    good = {"double": "1", "long": "1", "integer": "1", "boolean": "1"}[kind]
    with pytest.raises(EvaluationError, match=f"row 2 of the golden data has '{cell}' in column a, which is no {kind}"):
        asked(f"a,truth\n{good},1\n{cell},0\n", tmp_path, typed(("a", kind)))


def test_an_input_that_the_data_lack_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no column income, which is wanted as an input of fraud-r2"):
        asked("a,truth\n1,1\n", tmp_path, typed(("a", "long"), ("income", "double")))
