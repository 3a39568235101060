"""Sender: how sluice-monitor knows that an event comes from the logger of the revision it speaks of.

KServe's logger can send no header of our choosing; all it carries is the URL it was given. So the operator
puts a token into each revision's URL that only someone with the key can make. It is worth nothing for
another revision: whoever may read one InferenceService, or its pods' logs, learns that one's token only.

Whoever sends labels has a token likewise, for all revisions of a namespace: labels are known by the request, not by who
answered it. And so have the questions of an evaluation, in their request ids: what a model answers to golden rows is no
traffic, and nobody else may have his requests left out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

LEAST_KEY = 32
"""Least characters of a key."""
TOKEN_BYTES = 18
"""144 bits, 24 characters."""


class WeakKeyError(ValueError):
    """No key, or one that could be guessed; the message says what to do."""


def sender_token(key: bytes, namespace: str, revision: str) -> str:
    """The token of one revision's logger: 24 characters that stand in a URL as they are."""
    return _token(key, f"sluice sender\n{namespace}\n{revision}")


def labels_token(key: bytes, namespace: str) -> str:
    """The token of whoever sends labels for a namespace, of the same kind."""
    return _token(key, f"sluice labels\n{namespace}")


def labels_path(key: bytes | None, namespace: str) -> str:
    """Where labels for a namespace are posted; without a key no token is asked for."""
    path = f"/v1/labels/{namespace}"
    return path if key is None else f"{path}/{labels_token(key, namespace)}"


EVALUATION = "sluice-evaluation-"
"""How the request ids of evaluations begin."""


def evaluation_prefix(key: bytes | None, namespace: str) -> str:
    """What stands before the number in the request ids of evaluations in a namespace: at most 43 characters."""
    if key is None:
        return EVALUATION
    token = _token(key, f"sluice evaluation\n{namespace}")
    return f"{EVALUATION}{token}-"


def _token(key: bytes, text: str) -> str:
    mac = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac[:TOKEN_BYTES]).decode("ascii")


def read_keys(text: str) -> tuple[bytes, ...]:
    """The keys in a file, one a line. The first makes tokens; those of all of them are accepted.

    Raises:
        WeakKeyError: there is none, or one is too short.
    """
    keys = tuple(line.strip().encode() for line in text.splitlines() if line.strip())
    if not keys:
        raise WeakKeyError("the file of sender keys is empty; write a line such as `openssl rand -hex 32` prints")
    if min(map(len, keys)) < LEAST_KEY:
        raise WeakKeyError(
            f"a sender key is shorter than {LEAST_KEY} characters; use a line such as `openssl rand -hex 32` prints"
        )
    return keys
