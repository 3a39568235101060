"""Trouble: why an evaluation could not be made."""

from __future__ import annotations


class EvaluationError(Exception):
    """There is no verdict. ``reason`` is one CamelCase word; the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
