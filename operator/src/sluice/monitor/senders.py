"""Senders: who may speak of a revision, by the token in the URL that its logger was given."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

from sluice.api.sender import WeakKeyError, evaluation_prefix, labels_token, read_keys, sender_token

MAX_REMEMBERED = 10_000
"""Revisions whose tokens are remembered; to make one takes longer than the rest of taking an event."""

log = logging.getLogger(__name__)


class Senders:
    """Knows tokens by the keys in a file, which may change while it runs; without a file everyone is known."""

    def __init__(self, path: Path | None) -> None:
        """Reads the keys.

        Raises:
            OSError: the file cannot be read.
            WeakKeyError: it holds no key, or one that is too short.
        """
        self._path = path
        self._text = path.read_text() if path else ""
        self._keys = read_keys(self._text) if path else ()
        self._tokens: dict[tuple[bytes, bytes], tuple[bytes, ...]] = {}

    @property
    def are_checked(self) -> bool:
        """Whether a token is asked for."""
        return bool(self._keys)

    def know(self, token: bytes, namespace: bytes, revision: bytes) -> bool:
        """Whether a token is this revision's."""
        if not self._keys:
            return True
        valid = self._tokens.get((namespace, revision)) or self._make(namespace, revision)
        return any(hmac.compare_digest(token, one) for one in valid)

    def know_labels(self, token: str, namespace: str) -> bool:
        """Whether a token is of somebody who sends labels for this namespace."""
        if not self._keys:
            return True
        given = token.encode("utf-8", "replace")
        return any(hmac.compare_digest(given, labels_token(key, namespace).encode()) for key in self._keys)

    def know_evaluation(self, request_id: bytes, namespace: bytes) -> bool:
        """Whether a request is one of an evaluation's, by its id."""
        name = namespace.decode("ascii")
        return any(request_id.startswith(evaluation_prefix(key, name).encode()) for key in self._keys or (None,))

    def reload(self) -> None:
        """Takes over the keys of a file that has changed; those it had stay when it cannot be read."""
        if self._path is None:
            return
        try:
            text = self._path.read_text()
            if text == self._text:
                return
            self._keys = read_keys(text)
        except (OSError, WeakKeyError) as error:
            log.warning("sender keys not reloaded", extra={"error": str(error)})
            return
        self._text = text
        self._tokens.clear()
        log.info("sender keys reloaded", extra={"keys": len(self._keys)})

    def _make(self, namespace: bytes, revision: bytes) -> tuple[bytes, ...]:
        if len(self._tokens) >= MAX_REMEMBERED:
            self._tokens.clear()
        names = namespace.decode("ascii"), revision.decode("ascii")
        valid = tuple(sender_token(key, *names).encode() for key in self._keys)
        self._tokens[namespace, revision] = valid
        return valid
