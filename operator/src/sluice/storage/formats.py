"""Formats: how the files of a model are serialised, by their content first and their names second.

What is found here says which loader would read a file, and so whether loading it can run code. A name that
promises a harmless format is not believed if the content is another; what is not recognised is called
``unknown:<suffix>``, never harmless.
"""

from __future__ import annotations

import io
import pickletools
import re
from collections.abc import Iterator
from pathlib import Path

from sluice.storage import bounds

_HEAD = 1 << 20
_AROUND = frozenset(
    {
        *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "registered_model_meta"),
        *("input_example.json", "serving_input_example.json", "input_example_metadata.json"),
        *("MODEL_CARD.md", "README.md", "LICENSE", "validation.json", "reason_codes.json", "model.sig"),
    }
)
"""Files at the top that no loader takes a model from."""
_MAGIC = (
    (b"\x93NUMPY", "numpy"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"GGUF", "gguf"),
    (b"CBM1", "catboost"),
    (b"tree\n", "lightgbm"),
    (b"\x7fELF", "native"),
    (b"MZ", "native"),
)
_COMPRESSED = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"]\x00\x00",
    b"\x04\x22\x4d\x18",
    b"\x28\xb5\x2f\xfd",
    b"x\x01",
    b"x\x9c",
    b"x\xda",
)
_PICKLED = {".pkl", ".pickle", ".p", ".pk"}
_TORCH = {".pt", ".pth", ".ckpt", ".bin"}
_TEXT = {".txt", ".md", ".csv", ".tsv", ".yaml", ".yml", ".json", ".html", ".toml"}
_SUFFIX = re.compile(r"[^a-z0-9_]")


def of(root: Path) -> list[str]:
    """The formats of all files below, known ones first, at most as many as evidence holds."""
    found: set[str] = set()
    for path in root.rglob("*"):
        if path.is_file():
            found.update(_of_file(root, path))
    ordered: list[str] = sorted(found, key=lambda kind: (kind.startswith("unknown:"), kind))
    return bounds.words(ordered, 32)


def _of_file(root: Path, path: Path) -> Iterator[str]:
    if path.parent == root and path.name in _AROUND:
        return iter(())
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _HEAD))
        tail = file.read(_HEAD)
    return iter(recognised(path.name.lower(), head, tail, size))


def recognised(name: str, head: bytes, tail: bytes, size: int) -> list[str]:
    """The formats of one file: more than one if it holds another within.

    Args:
        name: its name, in lower case.
        head: how it begins; all of it if it is short.
        tail: how it ends.
        size: its length in bytes.
    """
    suffix = Path(name).suffix
    if head.startswith(b"PK\x03\x04") or b"PK\x05\x06" in tail[-66_000:]:
        return _zip(head, tail)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            # An array of objects is a pickle inside.
            return [kind, "pickle"] if kind == "numpy" and b"|O" in head[:1024] else [kind]
    if re.match(rb"\x80[\x02-\x05]", head) or _is_old_pickle(head, size):
        return [_dialect(head, suffix)]
    if suffix == ".joblib":
        return ["joblib"]
    if suffix in _PICKLED:
        return ["pickle"]
    if head.startswith(_COMPRESSED):
        return [_unknown(suffix)]
    return [_by_structure(name, suffix, head, size) or _unknown(suffix)]


def _dialect(head: bytes, suffix: str) -> str:
    if b"joblib.numpy_pickle" in head or suffix == ".joblib":
        return "joblib"
    if b"cloudpickle" in head:
        return "cloudpickle"
    return "torch-legacy" if suffix in _TORCH else "pickle"


def _is_old_pickle(head: bytes, size: int) -> bool:
    """Whether a file without a mark is a pickle of protocol 0 or 1; those are short, or old, or an attack."""
    if not head or size > _HEAD or b"." not in head or head[:1] in (b"{", b"[", b"<", b"#"):
        return False
    try:
        pickletools.dis(head, out=io.StringIO())
    except (ValueError, IndexError, KeyError, OverflowError, AttributeError, TypeError, AssertionError):
        return False
    return True


def _zip(head: bytes, tail: bytes) -> list[str]:
    # The names of an archive stand in clear at its end. Looking for them there opens nothing, however hostile.
    names = head[:65_536] + tail
    if b"data.pkl" in names:
        return ["torchscript", "pickle"] if b"/constants.pkl" in names and b"/code/" in names else ["torch", "pickle"]
    if b".pkl" in names or b".pickle" in names or b".joblib" in names:
        return ["pickle", "zip"]
    if b"model.weights.h5" in names:
        return ["keras"]
    if b"schema.json" in names:
        return ["skops"]
    return ["npz"] if b".npy" in names else ["zip"]


def _by_structure(name: str, suffix: str, head: bytes, size: int) -> str | None:
    if suffix == ".safetensors":
        length = int.from_bytes(head[:8], "little")
        return "safetensors" if head[8:9] == b"{" and 2 <= length <= size - 8 else None
    if suffix == ".onnx":
        return "onnx" if head[:1] == b"\x08" else None  # the field ir_version comes first
    if head[:1] == b"{" and b"learner" in head[:4096]:
        return "xgboost-json" if head.lstrip(b"{ \r\n\t")[:1] == b'"' else "xgboost-ubj"
    if name == "saved_model.pb":
        return "tensorflow"
    if suffix == ".py":
        return "python"
    if suffix in _TEXT and b"\x00" not in head:
        return "json" if suffix == ".json" else "text"
    return None


def _unknown(suffix: str) -> str:
    return f"unknown:{_SUFFIX.sub('', suffix.lower())[:32] or 'none'}"
