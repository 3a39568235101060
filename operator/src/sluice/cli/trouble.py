"""Trouble: what went wrong, as a sentence and an exit code. The codes are part of the interface."""

from __future__ import annotations

import re
from enum import IntEnum

from rich.markup import escape as escape

from sluice.edges.kube import Conflict, Forbidden, Invalid, KubeError, NotFound


class Exit(IntEnum):
    """How the command ended."""

    OK = 0
    """Done; for watch: promoted."""
    FAILED = 1
    """Refused, not verified; for watch: rolled back."""
    USAGE = 2
    NOT_FOUND = 3
    UNFINISHED = 4
    """Still in progress when the time was up."""
    UNREACHABLE = 5
    """The API server cannot be reached, or forbids it."""
    UNREADABLE = 6
    """For verify and report: the record, or an export of it, is not as this version writes it."""
    INCOMPLETE = 7
    """For verify and report: something that the check needs is missing."""


EXIT_CODES = """Exit codes: 0 done (watch: promoted), 1 refused or not verified (watch: rolled back), 2 usage,
3 not found, 4 still in progress when the time was up, 5 the API server cannot be reached or forbids it; of a record:
6 it cannot be read, 7 something is missing that the check needs."""


class Trouble(Exception):  # noqa: N818 - it is not always an error of ours
    """It cannot be done; the message says why and what to do."""

    def __init__(self, code: Exit, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


_DENIED = re.compile(r"denied (?:the )?request: (.+)", re.DOTALL)
_VALUE = r"(?:\"(?:[^\"\\]|\\.)*\"|[0-9.]+|true|false|null|\{.*?\}|\[.*?\])"
_COMPLAINT = re.compile(
    rf"(?P<field>[A-Za-z][\w.\[\]-]*): (?P<kind>Invalid value|Required value|Unsupported value|Too long|Too many|"
    rf"Forbidden|Duplicate value)(?:: {_VALUE})?(?:: )?"
)
_USER = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"(?: in API group "(?P<group>[^"]*)")?'
)


def sentences(message: str) -> list[str]:
    """What an admission refusal says, without the machinery around it.

    >>> sentences('ModelDecision.sluice.dev "x" is invalid: spec: Invalid value: "object": say why, in reason')
    ['say why, in reason']
    """
    if denied := _DENIED.search(message):
        return [denied[1].strip()]
    _, found, rest = message.partition(" is invalid: ")
    if not found:
        return [message]
    said = []
    matches = list(_COMPLAINT.finditer(rest))
    for match, end in zip(matches, [*(m.start() for m in matches[1:]), len(rest)], strict=True):
        text = rest[match.end() : end].strip().removesuffix(",").removesuffix("]").strip()
        field = match["field"].removeprefix("spec.").removeprefix("spec")
        text = text or match["kind"].lower()
        said.append(f"{field}: {text}" if field and field not in text else text)
    return list(dict.fromkeys(said)) or [rest]


def of(error: KubeError) -> Trouble:
    """What the API server said, for people."""
    message = str(error)
    if isinstance(error, Invalid) or (isinstance(error, Forbidden) and _DENIED.search(message)):
        return Trouble(Exit.FAILED, "refused: " + "; ".join(sentences(message)))
    if isinstance(error, Forbidden):
        hint = "your platform team can grant it"
        if who := _USER.search(message):
            what = f"{who['resource']}.{who['group']}" if who["group"] else who["resource"]
            message = f"{who['user']} may not {who['verb']} {what}"
            hint = f"ask your platform team for the right, and check with: kubectl auth can-i {who['verb']} {what}"
        return Trouble(Exit.UNREACHABLE, message, hint)
    if isinstance(error, NotFound):
        if "could not find the requested resource" in message or message.startswith("404"):
            return Trouble(
                Exit.NOT_FOUND, "Sluice is not installed in this cluster", "kubectl api-resources | grep sluice.dev"
            )
        return Trouble(Exit.NOT_FOUND, message)
    if isinstance(error, Conflict):
        return Trouble(Exit.FAILED, message, "try again")
    return Trouble(Exit.UNREACHABLE, message, "check the cluster with: kubectl cluster-info")
