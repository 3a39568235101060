"""Envelopes: signed with keys as openssl writes them, and opened by those who trust the public one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from sluice.edges.signing import KeyFileError, Signer, Trust

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


def keys(directory: Path, key: Any, name: str = "key", form: PrivateFormat = PrivateFormat.PKCS8) -> tuple[Path, Path]:
    """Files with the private and the public key."""
    private, public = directory / f"{name}.pem", directory / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.mark.parametrize(
    ("key", "form"),
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8, id="p-256"),
        pytest.param(
            ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL, id="p-256-as-openssl-ecparam"
        ),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8, id="p-384"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8, id="ed25519"),
    ],
)
def test_what_was_signed_is_verified_with_the_public_key(
    tmp_path: Path, key: PrivateKeyTypes, form: PrivateFormat
) -> None:
    private, public = keys(tmp_path, key, form=form)
    signer = Signer.load(private)
    opened = Trust.load([public]).open(signer.seal(PAYLOAD))
    assert opened.payload == PAYLOAD
    assert opened.keys == (signer.key_id,)
    assert opened.verified == {signer.key_id}


def test_a_key_has_one_id_wherever_it_is_read(tmp_path: Path) -> None:
    private, public = keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    assert Trust.load([public]).key_ids == {Signer.load(private).key_id}


def test_an_envelope_that_nobody_trusted_signed_is_opened_and_counts_for_nothing(tmp_path: Path) -> None:
    signer = Signer.load(keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))[0])
    _, other = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "other")
    for trust in (Trust(), Trust.load([other])):
        opened = trust.open(signer.seal(PAYLOAD))
        assert opened.keys == (signer.key_id,)
        assert opened.verified == frozenset()


def test_without_a_key_the_envelope_says_that_nobody_signed(tmp_path: Path) -> None:
    _, public = keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    signer = Signer()
    assert signer.key_id is None
    opened = Trust.load([public]).open(signer.seal(PAYLOAD))
    assert (opened.payload, opened.keys, opened.verified) == (PAYLOAD, (), frozenset())


@pytest.mark.parametrize(
    ("field", "value"), [("payload", "e30="), ("signatures", [{"keyid": "KEY", "sig": "MEUCIQ=="}])]
)
def test_an_edited_envelope_is_not_verified(tmp_path: Path, field: str, value: Any) -> None:
    private, public = keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    signer = Signer.load(private)
    data = json.loads(signer.seal(PAYLOAD)) | {field: value}
    edited = json.dumps(data).replace("KEY", signer.key_id or "")
    assert Trust.load([public]).open(edited).verified == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("[]", id="a-list"),
        pytest.param("{}", id="no-fields"),
        pytest.param('{"payload":"e30=","payloadType":"text/plain","signatures":[]}', id="no-statement"),
        pytest.param('{"payload":3,"payloadType":"x","signatures":[]}', id="payload-is-no-text"),
        pytest.param('{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":3}', id="signatures"),
    ],
)
def test_what_is_no_envelope_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="envelope"):
        Trust().open(text)


def test_keys_that_cannot_be_used_are_refused_with_what_to_do(tmp_path: Path) -> None:
    wrong, wrong_public = keys(tmp_path, rsa.generate_private_key(65537, 2048), "rsa")
    curve, _ = keys(tmp_path, ec.generate_private_key(ec.SECP521R1()), "p521")
    locked = tmp_path / "locked.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    text = tmp_path / "text.pem"
    text.write_text("no key")
    for file in (wrong, curve):
        with pytest.raises(KeyFileError, match="P-256 or P-384"):
            Signer.load(file)
    with pytest.raises(KeyFileError, match="P-256 or P-384"):
        Trust.load([wrong_public])
    for file in (locked, text, tmp_path / "absent.pem"):
        with pytest.raises(KeyFileError, match="openssl genpkey"):
            Signer.load(file)
    with pytest.raises(KeyFileError, match="openssl pkey -pubout"):
        Trust.load([text])
