"""People: what they do in the act that needs them, each by ``kubectl sluice`` under their own name.

Every deed has an expected end, and several are meant to be refused: the act is good only if each of them ended so.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hack.demo import data, keys
from hack.demo.acts import NAME, NAMESPACE
from hack.demo.ground import CommandError, Ground
from hack.demo.observation import Observation

REQUESTER, DEVELOPER, VALIDATOR, OWNER, AUDITOR = "rosa", "dan", "vera", "owen", "audra"
REGISTRY_NAMES = {"dan.lee": DEVELOPER, "vera.lund": VALIDATOR}
"""By which names MLflow knows them: the identity map that the chart is given."""
_PATIENCE = 90.0


@dataclass(frozen=True)
class Deed:
    """One thing that somebody tried, and what came of it."""

    title: str
    said: str
    """In the words of who answered."""
    good: bool
    """Whether it ended as it should."""


@dataclass
class People:
    """The people of the act, and what they have done so far."""

    ground: Ground
    say: Callable[[str], None]
    latest: Callable[[], Observation | None]
    deeds: list[Deed] = field(default_factory=list)
    papers: list[Path] = field(default_factory=list)
    """What was written for those who were not there."""

    @property
    def good(self) -> bool:
        """Whether all ended as it should."""
        return bool(self.deeds) and all(deed.good for deed in self.deeds)

    @property
    def outcome(self) -> str:
        """All of it in a few words."""
        refused = [deed for deed in self.deeds if not deed.good]
        if refused:
            return f"not as it should: {refused[0].title}: {refused[0].said}"
        return f"{len(self.deeds)} deeds of people as they should end"

    async def decide(self) -> None:
        """Wait until the release asks for people; then those who may not try, and those who may agree."""
        held = await self._until(lambda seen: "approval:model-validator" in seen.blocked_by)
        self._note("the release waits for people", self._message(), good=bool(held))
        await self._because()
        # A right that somebody lacks is the API server's to refuse, at once; what the right does not cover is ours.
        await self._refused("a developer without the role", DEVELOPER, "model-owner", "may not approve as model-owner")
        await self._refused("a developer as validator", DEVELOPER, "model-validator", "developed the model")
        await self._refused("a self-approval", REQUESTER, "model-owner", "asked for this release")
        await self._approves(VALIDATOR, "model-validator", "validated on the third quarter")
        started = await self._until(lambda seen: seen.started)
        self._note("it starts with the validator's approval", self._message(), good=bool(started))
        await self._approves(OWNER, "model-owner", "the committee of 12 November agreed")

    async def review(self, revision: str) -> None:
        """What the reviewers do afterwards: verify, read, export; and somebody tampers."""
        folder = data.cache() / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        await self._does("the record verifies, and decides the same again", *self._verify(NAME, "--as", AUDITOR))
        report, export = folder / f"{revision}.html", folder / f"{NAME}.jsonl"
        await self._does(
            "the report is written", *self._checked("report", NAME), "--revision", revision, "--out", str(report)
        )
        await self._does("the record is exported", "export", NAME, "--as", AUDITOR, "--out", str(export))
        self.papers += [path for path in (report, export) if path.exists()]
        if export.exists():
            forged = folder / f"{NAME}-tampered.jsonl"
            changed = _tampered(export.read_text(), revision)
            forged.write_text(changed)
            await self._does("so does the export, without the cluster", *self._verify("--file", str(export)))
            title = "one word of a record changed in the export"
            await self._fails(title, "record", *self._verify("--file", str(forged)))
        await self._status_is_written_by_nobody(revision)

    def _verify(self, *arguments: str) -> tuple[str, ...]:
        return (*self._checked("verify", *arguments), "--replay")

    def _checked(self, *command: str) -> tuple[str, ...]:
        """A command that checks the record, with all that it can be checked against."""
        anchor = [f"--anchor={self.ground.store.url}"] if self.ground.store is not None else []
        return (*command, f"--key={keys.public(keys.RECORDS)}", *anchor)

    async def _because(self) -> None:
        _, said = await self._sluice("why", NAME)
        self._note("kubectl sluice why names who must agree", said, good="approval by model-validator" in said)

    async def _approves(self, person: str, role: str, reason: str) -> None:
        # Guards that an upgrade has just installed prove nothing of what was made in the same second.
        await self._does(f"{person} approves as {role}", *_approval(person, role, reason))

    async def _refused(self, title: str, person: str, role: str, said: str) -> None:
        await self._fails(title, said, *_approval(person, role, "please"))

    async def _does(self, title: str, *arguments: str) -> None:
        code, said = await self._sluice(*arguments)
        self._note(title, said, good=code == 0)

    async def _fails(self, title: str, because: str, *arguments: str) -> None:
        code, said = await self._sluice(*arguments)
        self._note(title, said, good=code != 0 and because in " ".join(said.split()))

    async def _status_is_written_by_nobody(self, revision: str) -> None:
        patch = json.dumps({"status": {"message": "all is well"}})
        command = ("patch", "modelrevision", revision, f"--namespace={NAMESPACE}", "--subresource=status")
        code, said = await self._command(self.ground.kubectl, *command, "--type=merge", f"--patch={patch}")
        self._note("an administrator edits the record in the cluster", said, good=code != 0 and "sluice" in said)

    async def _sluice(self, *arguments: str) -> tuple[int, str]:
        return await self._command(
            self.ground.kubectl, "sluice", *arguments[:1], f"--namespace={NAMESPACE}", *arguments[1:]
        )

    async def _command(self, *command: str) -> tuple[int, str]:
        try:
            return 0, await self.ground.run(*command)
        except CommandError as error:
            return 1, error.said

    async def _until(self, reached: Callable[[Observation], bool]) -> bool:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            seen = self.latest()
            if seen is not None and seen.settled and reached(seen):
                return True
            await asyncio.sleep(0.5)
        return False

    def _message(self) -> str:
        seen = self.latest()
        return seen.message if seen is not None else ""

    def _note(self, title: str, said: str, *, good: bool) -> None:
        words = " ".join(said.partition("\n\n")[0].split())  # a table follows what is said, if one does
        self.deeds.append(Deed(title, words, good))
        self.say(f"  {'✓' if good else '✗'} {title}: {words[:240]}")


def _approval(person: str, role: str, reason: str) -> tuple[str, ...]:
    return ("approve", NAME, "--as", person, "--role", role, "--reason", reason, "--yes", "--wait", "--timeout=60")


def _tampered(export: str, revision: str) -> str:
    """The export with one word of the last record of a revision changed."""
    found = []
    for line in export.splitlines():
        item = json.loads(line)
        if item["kind"] == "ModelRevision" and item["metadata"]["name"] == revision:
            item["status"]["records"][-1]["message"] += ", as agreed"
        found.append(json.dumps(item))
    return "\n".join(found) + "\n"
