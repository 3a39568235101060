"""How model files are serialised, whatever they are called."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.storage import formats


def zipped(*names: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return written.getvalue()


def dumped(value: object) -> bytes:
    written = io.BytesIO()
    joblib.dump(value, written)
    return written.getvalue()


def array(value: object) -> bytes:
    written = io.BytesIO()
    np.save(written, np.array(value))
    return written.getvalue()


SAFE = (16).to_bytes(8, "little") + b'{"__metadata__":{}}'


@pytest.mark.parametrize(
    ("name", "content", "kinds"),
    [
        *(pytest.param("model.bin", pickle.dumps([1], p), ["torch-legacy"], id=f"pickle-{p}") for p in range(6)),
        pytest.param("model", pickle.dumps([1]), ["pickle"], id="pickle"),
        pytest.param("weights.safetensors", pickle.dumps({}), ["pickle"], id="a-pickle-that-calls-itself-safetensors"),
        pytest.param("x.txt", b"cos\nsystem\n(S'id'\ntR.", ["pickle"], id="an-attack-in-a-text-file"),
        pytest.param("vocab.txt", b"cat\ndog\n", ["text"], id="words-are-no-pickle"),
        pytest.param("model.pkl", b"\x80\x05\x8c\x17cloudpickle.cloudpickle\x94.", ["cloudpickle"], id="cloudpickle"),
        pytest.param("model.pkl", b"\x1f\x8bjunk", ["pickle"], id="compressed-pickle"),
        pytest.param("data.gz", b"\x1f\x8bjunk", ["unknown:gz"], id="compressed-anything"),
        pytest.param("m", dumped(np.ones(3)), ["joblib"], id="joblib"),
        pytest.param("m.joblib", b"\x78\x9cjunk", ["joblib"], id="compressed-joblib"),
        pytest.param("m.safetensors", SAFE + b" " * 5, ["safetensors"], id="safetensors"),
        pytest.param("m.safetensors", b"\xff" * 8 + b"{}", ["unknown:safetensors"], id="safetensors-in-name-only"),
        pytest.param("m.onnx", b"\x08\x07\x12\x04", ["onnx"], id="onnx"),
        pytest.param("m.onnx", b"\x00\x07", ["unknown:onnx"], id="onnx-in-name-only"),
        pytest.param("m.pt", zipped("m/data.pkl", "m/data/0"), ["pickle", "torch"], id="torch"),
        pytest.param("m.pt", zipped("data.pkl", "m/constants.pkl", "m/code/a"), ["pickle", "torchscript"], id="script"),
        pytest.param("m.keras", zipped("config.json", "model.weights.h5"), ["keras"], id="keras"),
        pytest.param("m.skops", zipped("schema.json"), ["skops"], id="skops"),
        pytest.param("m.npz", zipped("a.npy"), ["npz"], id="npz"),
        pytest.param("m.keras", zipped("a.pkl", "model.weights.h5"), ["pickle", "zip"], id="a-pickle-in-a-zip"),
        pytest.param("m.zip", zipped(), ["zip"], id="empty-zip"),
        pytest.param("m.npy", array([1.0]), ["numpy"], id="numpy"),
        pytest.param("m.npy", array([None]), ["numpy", "pickle"], id="numpy-objects"),
        pytest.param("m.h5", b"\x89HDF\r\n\x1a\n", ["hdf5"], id="hdf5"),
        pytest.param("m.json", b'{"learner":{"a":1}}', ["xgboost-json"], id="xgboost-json"),
        pytest.param("m.ubj", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", ["xgboost-ubj"], id="xgboost-ubj"),
        pytest.param("m.txt", b"tree\nversion=v4\n", ["lightgbm"], id="lightgbm"),
        pytest.param("m.cbm", b"CBM1\x00", ["catboost"], id="catboost"),
        pytest.param("saved_model.pb", b"\x08\x01", ["tensorflow"], id="tensorflow"),
        pytest.param("code/loader.py", b"import os", ["python"], id="code"),
        pytest.param("lib.so", b"\x7fELF\x02", ["native"], id="native"),
        pytest.param("params.json", b"{}", ["json"], id="json"),
        pytest.param("weights.XYZ", b"\x00", ["unknown:xyz"], id="unknown"),
        pytest.param("weights", b"", ["unknown:none"], id="no-suffix"),
        pytest.param("MLmodel", b"flavors: {}", [], id="around-the-model"),
        pytest.param("sub/requirements.txt", b"x", ["text"], id="not-at-the-top"),
    ],
)  # fmt: skip
def test_formats(tmp_path: Path, name: str, content: bytes, kinds: list[str]) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    assert formats.of(tmp_path) == kinds


@given(st.binary(), st.sampled_from(["m", "m.pkl", "m.pt", "m.safetensors", "m.json", "m.\u202e", "m." + "x" * 99]))
def test_any_bytes_are_some_format(content: bytes, name: str) -> None:
    found = formats.recognised(name, content, content, len(content))
    assert found
    assert all(kind and len(kind) <= 128 for kind in found)


def test_many_unknown_files_do_not_hide_a_pickle(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"a.a{number}").write_bytes(b"\x00")
    (tmp_path / "z.pkl").write_bytes(pickle.dumps(1))
    found = formats.of(tmp_path)
    assert len(found) == 32
    assert found[0] == "pickle"
