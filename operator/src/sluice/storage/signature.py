"""Signature: an OpenSSF Model Signing (OMS) signature, checked over exactly the files that were downloaded.

The library (``model-signing``, the extra ``signing``) is imported only when there is something to check; without
it nothing is said to be verified. Only signatures of elliptic-curve keys are read: they need no network, and
whoever runs Sluice says which keys are trusted by putting them, as PEM files, into one directory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from sluice.api.evidence import ModelSignature, SignatureState
from sluice.storage import bounds

NAME = "model.sig"
_LARGEST = 16 << 20
_OTHER_KEY = "Key mismatch"
"""How the library begins to say that a signature is of another key."""


def trusted(directory: Path | None) -> tuple[Path, ...]:
    """The PEM files of a directory, in order of their names. A mounted ConfigMap links to them."""
    if directory is None or not directory.is_dir():
        return ()
    return tuple(path for path in sorted(directory.iterdir()) if path.suffix in (".pem", ".pub") and path.is_file())


def fingerprint(keys: tuple[Path, ...]) -> str:
    """A digest of which keys are trusted, and by which names."""
    parts = [[key.stem, hashlib.sha256(key.read_bytes()).hexdigest()] for key in keys]
    return f"sha256:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"


def check(files: Path, signature: Path | None, keys: tuple[Path, ...]) -> ModelSignature:
    """What came of checking the files.

    Args:
        files: the directory that was signed; the signature itself must not lie in it.
        signature: the signature file, if there is one.
        keys: the public keys to try, from :func:`trusted`.
    """
    if signature is None:
        return ModelSignature(state=SignatureState.UNSIGNED, message=f"there is no {NAME}: sign the model's files")
    if signature.stat().st_size > _LARGEST:
        return _invalid(None, f"{NAME} is larger than {_LARGEST >> 20} MiB")
    digest = f"sha256:{hashlib.sha256(signature.read_bytes()).hexdigest()}"
    if not keys:
        message = "there is a signature, and no trusted key to check it with; configure one"
        return ModelSignature(state=SignatureState.UNCHECKED, digest=digest, message=message)
    try:
        from cryptography.exceptions import InvalidSignature
        from model_signing import verifying
    except ImportError as error:
        message = f"there is a signature, and {error.name or 'model-signing'} is not installed to check it with"
        return ModelSignature(
            state=SignatureState.UNCHECKED, digest=digest, message=f"{message}; install the extra `signing`"
        )
    refusals = []
    for key in keys:
        try:
            with redirect_stdout(sys.stderr):  # the library warns there, where our document goes
                config = verifying.Config()  # type: ignore[no-untyped-call]
                config.use_elliptic_key_verifier(public_key=key).verify(files, signature)
            unsigned = sorted(set(_present(files)) - set(_signed(signature)))
        except InvalidSignature:
            refusals.append(f"{key.stem}: it did not make this signature")
        # A signature is anybody's to write: whatever the library stumbles over, it is not a valid one.
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError, RecursionError) as error:
            said = str(error)
            refusals.append(f"{key.stem}: {'another key' if _OTHER_KEY in said else said or type(error).__name__}")
            if said.startswith("Signature mismatch"):
                return _invalid(digest, f"the files are not those that {key.stem} signed: {said}")
        else:
            if unsigned:
                return _invalid(digest, f"{key.stem} signed only a part of the files, not {', '.join(unsigned)}")
            return ModelSignature(state=SignatureState.VERIFIED, signer=bounds.word(key.stem), digest=digest)
    return _invalid(digest, f"no trusted key made this signature ({'; '.join(refusals)})")


def _invalid(digest: str | None, message: str) -> ModelSignature:
    return ModelSignature(state=SignatureState.INVALID, digest=digest, message=bounds.word(message, 1024))


def _present(files: Path) -> Iterator[str]:
    return (path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file())


def _signed(signature: Path) -> Iterator[str]:
    """The files that a signature speaks of. It may say itself which others it leaves out."""
    bundle = json.loads(signature.read_text())
    predicate: dict[str, Any] = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]
    sharded = predicate["serialization"]["method"] == "shards"
    for resource in predicate["resources"]:
        yield str(resource["name"]).rsplit(":", 2)[0] if sharded else str(resource["name"])
