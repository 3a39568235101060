"""Keys: the demo's own key pairs, made when they are first needed and kept beside its data."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hack.demo import data

MODELS, RECORDS = "demo-models", "demo-records"
"""Whoever signs models, and the operator that signs records. The names are those by which their keys are trusted."""


def private(name: str) -> Path:
    """The file with a private key (EC P-256, PEM)."""
    path = data.cache() / "demo" / "keys" / f"{name}.pem"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        form, coding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(coding, form, serialization.NoEncryption()))
    return path


def public(name: str) -> Path:
    """The file with the public key that belongs to it."""
    key = serialization.load_pem_private_key(private(name).read_bytes(), password=None)
    form, coding = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.Encoding.PEM
    path = private(name).with_suffix(".pub.pem")
    path.write_bytes(key.public_key().public_bytes(coding, form))
    return path
