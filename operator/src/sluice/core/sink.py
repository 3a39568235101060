"""Sink: where KServe's loggers send what models are asked and answer, and how they are known there."""

from __future__ import annotations

from dataclasses import dataclass, field

from sluice.api.sender import sender_token


@dataclass(frozen=True)
class Sink:
    """The event address of sluice-monitor."""

    url: str
    key: bytes | None = field(default=None, repr=False)
    """What tokens are made with; None where no token is asked for."""

    def url_for(self, namespace: str, revision: str) -> str:
        """The URL for the logger of one revision: all that a logger can be given is a URL."""
        if self.key is None:
            return self.url
        return f"{self.url.rstrip('/')}/{sender_token(self.key, namespace, revision)}"
