"""Who may speak of a revision."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.api.sender import LEAST_KEY, WeakKeyError, labels_path, labels_token, read_keys, sender_token
from sluice.monitor import senders as module
from sluice.monitor.senders import Senders

KEY, OTHER = "k" * LEAST_KEY, "o" * LEAST_KEY


def token(key: str = KEY, namespace: str = "risk", revision: str = "fraud-r7") -> bytes:
    return sender_token(key.encode(), namespace, revision).encode()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"{KEY}\n")
    return path


def test_a_token_is_its_revision_s_and_no_other_s(keys: Path) -> None:
    senders = Senders(keys)
    assert senders.are_checked
    assert senders.know(token(), b"risk", b"fraud-r7")
    assert senders.know(token(), b"risk", b"fraud-r7")
    for namespace, revision in ((b"risk", b"fraud-r8"), (b"other", b"fraud-r7"), (b"risk\nfraud", b"r7")):
        assert not senders.know(token(), namespace, revision)
    for wrong in (b"", b"x", token(OTHER), token()[:-1], token() + b"x", "Æ".encode()):
        assert not senders.know(wrong, b"risk", b"fraud-r7")


def test_who_sends_labels_has_a_token_for_the_namespace_and_nothing_else(keys: Path) -> None:
    senders = Senders(keys)
    given = labels_token(KEY.encode(), "risk")
    assert labels_path(KEY.encode(), "risk") == f"/v1/labels/risk/{given}"
    assert senders.know_labels(given, "risk")
    assert not senders.know_labels(given, "other")
    assert not senders.know(given.encode(), b"risk", b"fraud-r7")
    for wrong in ("", "Æ", given[:-1], token().decode(), labels_token(OTHER.encode(), "risk")):
        assert not senders.know_labels(wrong, "risk")
    keys.write_text(f"{OTHER}\n{KEY}\n")
    senders.reload()
    assert senders.know_labels(given, "risk")


def test_without_keys_everyone_is_known() -> None:
    senders = Senders(None)
    assert senders.know_labels("", "risk")
    assert labels_path(None, "risk") == "/v1/labels/risk"
    assert not senders.are_checked
    assert senders.know(b"", b"risk", b"fraud-r7")


def test_a_token_stands_in_a_url_as_it_is_and_says_nothing_of_the_key() -> None:
    tokens = {token(revision=f"r{index}").decode() for index in range(200)}
    assert len(tokens) == 200
    assert all(len(one) == 24 and one.replace("-", "").replace("_", "").isalnum() for one in tokens)


def test_while_a_key_is_replaced_tokens_of_both_are_known(keys: Path) -> None:
    senders = Senders(keys)
    keys.write_text(f"{OTHER}\n{KEY}\n")
    senders.reload()
    assert senders.know(token(), b"risk", b"fraud-r7")
    assert senders.know(token(OTHER), b"risk", b"fraud-r7")
    keys.write_text(f"{OTHER}\n")
    senders.reload()
    assert not senders.know(token(), b"risk", b"fraud-r7")
    assert senders.know(token(OTHER), b"risk", b"fraud-r7")


@pytest.mark.parametrize("text", ["", "short", "\n \n"])
def test_keys_that_are_no_good_end_the_start_and_later_change_nothing(keys: Path, text: str) -> None:
    senders = Senders(keys)
    keys.write_text(text)
    senders.reload()
    assert senders.know(token(), b"risk", b"fraud-r7")
    keys.unlink()
    senders.reload()
    assert senders.know(token(), b"risk", b"fraud-r7")
    with pytest.raises(WeakKeyError, match="openssl rand -hex 32"):
        read_keys(text)


def test_no_more_tokens_are_remembered_than_allowed(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    senders = Senders(keys)
    for index in range(10):
        senders.know(b"x", b"risk", b"r%d" % index)
        assert len(senders._tokens) <= 3
    assert senders.know(token(), b"risk", b"fraud-r7")
