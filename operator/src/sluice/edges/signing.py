"""Signing: DSSE envelopes around statements, made with a private key from a file and checked with public ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from sluice.core.seal import PAYLOAD_TYPE
from sluice.core.verification import Opened

_KINDS = "an EC key on P-256 or P-384, or an Ed25519 key"


class KeyFileError(ValueError):
    """A key cannot be used; the message says why and what to do."""


class Signer:
    """Makes envelopes; without a private key, ones that nobody signed."""

    def __init__(self, signer: CryptoSigner | None = None) -> None:
        self._signer = signer

    @classmethod
    def load(cls, path: Path) -> Signer:
        """One that signs with the private key in a PEM file, which must have no passphrase.

        Raises:
            KeyFileError: there is no such key in it.
        """
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            message = f"{path} holds no private key that can be read: {error}; make one with `openssl genpkey`"
            raise KeyFileError(message) from error
        _check(key.public_key(), str(path))
        return cls(CryptoSigner(key))

    @property
    def key_id(self) -> str | None:
        """What the key is known by: SHA-256 over the public key, in hex. None without a key."""
        return self._signer.public_key.keyid if self._signer is not None else None

    def seal(self, payload: bytes) -> str:
        """The envelope, as JSON. Without a key its list of signatures is empty."""
        envelope = Envelope(payload, PAYLOAD_TYPE, {})
        if self._signer is not None:
            envelope.sign(self._signer)
        return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))


class Trust:
    """Opens envelopes, and says by which of the trusted keys each was signed."""

    def __init__(self, keys: Iterable[SSlibKey] = ()) -> None:
        self._keys = list(keys)

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Trust:
        """Trust in the public keys of PEM files.

        Raises:
            KeyFileError: one of them holds none.
        """
        return cls([_public(path) for path in paths])

    @property
    def key_ids(self) -> frozenset[str]:
        """The keys that are trusted."""
        return frozenset(key.keyid for key in self._keys)

    def open(self, envelope: str) -> Opened:
        """What is in an envelope.

        Raises:
            ValueError: it is no envelope around an in-toto statement.
        """
        try:
            found = Envelope.from_dict(json.loads(envelope))
        except (ValueError, KeyError, TypeError, AttributeError, FormatError) as error:
            raise ValueError(f"it is no DSSE envelope: {error!r}") from error
        if found.payload_type != PAYLOAD_TYPE:
            raise ValueError(f"the envelope holds {found.payload_type}, not {PAYLOAD_TYPE}")
        verified = [key.keyid for key in self._keys if _signed(found, key)]
        return Opened(found.payload, tuple(found.signatures), frozenset(verified))


def _signed(envelope: Envelope, key: SSlibKey) -> bool:
    try:
        envelope.verify([key], 1)
    except VerificationError:
        return False
    return True


def _public(path: Path) -> SSlibKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        message = f"{path} holds no public key that can be read: {error}; `openssl pkey -pubout` writes one"
        raise KeyFileError(message) from error
    _check(key, str(path))
    return SSlibKey.from_crypto(key)


def _check(key: PublicKeyTypes, where: str) -> None:
    if isinstance(key, Ed25519PublicKey):
        return
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1 | SECP384R1):
        raise KeyFileError(f"the key in {where} is of another kind; use {_KINDS}")
