"""Sealer: signs the heads of records and puts them where nobody can change them, after the fact and in the background.

No decision waits for it. What it has sealed it offers to the next decision, which writes it into the revision's
status; that is no record, so nothing new is to be sealed. After a crash in between, the statement is found in the
store again and taken as it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sluice.api.base import parse_time
from sluice.api.governanceevidence import EvidenceKind
from sluice.api.record import Seal
from sluice.core import document, evidence, reasons, seal
from sluice.core.objects import Object
from sluice.core.plan import Event, EventType, NewEvidence
from sluice.core.seal import Statement
from sluice.edges import metrics
from sluice.edges.anchor import Anchor, AnchorConflict, AnchorError, Entry
from sluice.edges.kinds import GOVERNANCE_EVIDENCE, MODEL_REVISIONS
from sluice.edges.kube import Conflict, KubeError, Writer
from sluice.edges.signing import KeyFileError, Signer, Trust
from sluice.engine.store import Key, Store
from sluice.engine.writes import Writes

log = logging.getLogger(__name__)

MOST = 32
"""Heads that are sealed in one round."""
_AT_A_TIME = 4
_FIRST_RETRY, _LONGEST_RETRY = 5.0, 300.0
"""Seconds before a failure is tried again; each further one doubles it."""

Address = tuple[str, str, str]
"""Namespace, name and uid of a ModelRevision: another object of the same name has another record."""


@dataclass(frozen=True)
class Sealing:
    """What seals are made with. With neither, none are."""

    key: Path | None = None
    """File with the private key, read again when it changes."""
    anchor: Anchor | None = None


@dataclass(frozen=True)
class _Pending:
    """A revision whose head is not sealed yet."""

    item: Object
    since: datetime
    """When the oldest record was made that is not sealed."""

    @property
    def address(self) -> Address:
        return _address(self.item)


class _Patience:
    """When what failed is tried again."""

    def __init__(self) -> None:
        self.failures = 0
        self.until = float("-inf")

    def failed(self, now: float) -> None:
        self.failures += 1
        self.until = now + min(_FIRST_RETRY * 2 ** (self.failures - 1), _LONGEST_RETRY)


class Sealer:
    """Seals what the store shows, a bounded number in each round."""

    def __init__(
        self,
        *,
        store: Store,
        kube: Writer,
        sealing: Sealing,
        clock: Callable[[], datetime],
        wake: Callable[[Key], None],
        tell: Callable[[Key, Event], None],
    ) -> None:
        """``wake`` is called for a deployment of which something was sealed, ``tell`` with what people must see to."""
        self._store = store
        self._writes = Writes(store, kube)
        self._sealing = sealing
        self._clock = clock
        self._wake = wake
        self._tell = tell
        self._offered: dict[Address, Seal] = {}
        self._patience: dict[Address, _Patience] = {}
        self._store_patience = _Patience()
        self._said: dict[Address, str] = {}
        self._signer: tuple[float, Signer] | None = None

    @property
    def enabled(self) -> bool:
        """Whether there is anything to seal with."""
        return self._sealing.key is not None or self._sealing.anchor is not None

    @property
    def anchoring(self) -> bool:
        """Whether there is a store outside the cluster."""
        return self._sealing.anchor is not None

    def seal(self, namespace: str, revision: str) -> Seal | None:
        """The seal of a revision that was made last, in this process."""
        item = self._store.get(MODEL_REVISIONS, namespace, revision)
        return self._offered.get(_address(item)) if item is not None else None

    async def round(self) -> None:
        """Seal what is due, oldest first. Whatever fails is tried again in a later round."""
        pending = sorted(self._pending(), key=lambda one: one.since)
        self._measure(pending)
        self._forget()
        now = self._seconds()
        due = [one for one in pending if self._patience.get(one.address, _Patience()).until <= now]
        if not due or self._store_patience.until > now:
            return
        try:
            signer = self._read_key()
        except KeyFileError as error:
            self._store_failed(reasons.SIGNING_KEY_UNUSABLE, str(error))
            return
        gate = asyncio.Semaphore(_AT_A_TIME)
        stop = asyncio.Event()
        await asyncio.gather(*(self._try(one, signer, gate, stop) for one in due[:MOST]))
        if not stop.is_set() and self._store_patience.failures:
            log.info("sealing records works again")
            self._store_patience = _Patience()

    async def _try(self, one: _Pending, signer: Signer, gate: asyncio.Semaphore, stop: asyncio.Event) -> None:
        async with gate:
            if stop.is_set():
                return  # the store did not answer another: it would not answer us
            try:
                await self._seal(one, signer)
            except AnchorConflict as error:
                self._failed(one, reasons.ANCHOR_CONFLICT, str(error))
            except AnchorError as error:
                stop.set()
                self._store_failed(reasons.ANCHOR_UNAVAILABLE, str(error))
            except (KubeError, ValueError) as error:
                self._failed(one, type(error).__name__, str(error))
            except Exception as error:  # one revision's trouble is not the others'
                log.exception("sealing %s/%s (%s) failed", *one.address)
                self._failed(one, type(error).__name__, repr(error))
            else:
                self._patience.pop(one.address, None)
                self._said.pop(one.address, None)

    async def _seal(self, one: _Pending, signer: Signer) -> None:
        statement = seal.of(one.item, self._clock())
        if statement is None:
            return
        envelope = await self._anchored(one, statement, signer)
        opened = Trust().open(envelope)
        said = seal.parse(opened.payload)
        await self._keep(one, said, envelope)
        self._offered[one.address] = said.seal(opened.keys[0] if opened.keys else None)
        self._wake(Key(statement.namespace, statement.deployment))

    async def _anchored(self, one: _Pending, statement: Statement, signer: Signer) -> str:
        """The envelope: the one that is in the store already, or a new one."""
        anchor = self._sealing.anchor
        if anchor is None:
            return signer.seal(seal.payload(statement))
        statement = replace(statement, anchor=anchor.address(statement.name))
        folder = seal.folder(statement.namespace, statement.deployment, statement.revision)
        entries = await anchor.entries(folder)
        await self._contradicted(one, statement, entries)
        for entry in entries:
            if entry.name == statement.name:
                there = (await anchor.read(entry)).decode()
                if seal.parse(Trust().open(there).payload).says_the_same(statement):
                    return there
                raise AnchorConflict(f"{anchor.address(entry.name)} is there already and says something else")
        envelope = signer.seal(seal.payload(statement))
        await anchor.put(statement.name, envelope.encode())
        return envelope

    async def _contradicted(self, one: _Pending, statement: Statement, entries: list[Entry]) -> None:
        """See whether the store knows records of this very revision that are not there any more.

        Raises:
            AnchorConflict: it does. To seal what is there now would put the operator's word behind it.
        """
        anchor = self._sealing.anchor
        status = one.item.get("status", {})
        hashes = {record["sequence"]: record["hash"] for record in status.get("records", [])}
        moved = (status.get("archived") or {}).get("until", -1)
        for entry in entries:
            sequence, digits = _parts(entry.name)
            known = hashes.get(sequence, "").removeprefix("sha256:")
            if anchor is None or sequence <= moved or (digits and known.startswith(digits)):
                continue
            said = seal.parse(Trust().open((await anchor.read(entry)).decode()).payload)
            if said.uid == statement.uid:
                raise AnchorConflict(
                    f"{anchor.address(entry.name)} says that {said.revision} had a record {sequence} that is not there "
                    "now: its record was shortened or written anew, or the cluster put back to a backup. It is not "
                    f"sealed any further; see `kubectl sluice verify {said.deployment} -n {said.namespace}`"
                )

    async def _keep(self, one: _Pending, statement: Statement, envelope: str) -> None:
        made = NewEvidence(statement.revision, EvidenceKind.SEAL, document.digest(envelope), envelope)
        governed = bool(one.item["spec"].get("policies"))
        item = evidence.build(statement.namespace, statement.deployment, made, statement.uid, governed=governed)
        try:
            await self._writes.create(GOVERNANCE_EVIDENCE, item)
        except Conflict:
            return  # its name is its digest: it is there already

    # What is due

    def _pending(self) -> Iterator[_Pending]:
        for item in self._store.all(MODEL_REVISIONS):
            if "deletionTimestamp" in item["metadata"]:
                continue
            records = item.get("status", {}).get("records", [])
            if not records:
                continue
            upto = self._sealed_upto(item)
            since = next((record for record in records if record["sequence"] > upto), None)
            if since is not None:
                yield _Pending(item, parse_time(since["time"]))

    def _sealed_upto(self, item: Object) -> int:
        """The last record that needs no further seal, by the status and what was offered since."""
        offered = self._offered.get(_address(item))
        stated = item.get("status", {}).get("seal") or {}
        found = [(stated.get("sequence", -1), stated.get("anchor"), stated.get("keyId"))]
        if offered is not None:
            found.append((offered.sequence, offered.anchor, offered.key_id))
        enough = [
            sequence for sequence, anchor, key in found if (anchor is not None if self.anchoring else key is not None)
        ]
        return max(enough, default=-1)

    def _measure(self, pending: list[_Pending]) -> None:
        waiting = [(self._clock() - one.since).total_seconds() for one in pending]
        metrics.UNANCHORED.set(max(waiting, default=0.0) if self.anchoring else 0.0)

    def _forget(self) -> None:
        """Let go of what is about revisions that are gone."""
        there = {_address(item) for item in self._store.all(MODEL_REVISIONS)}
        for known in (self._offered, self._patience, self._said):
            for address in [address for address in known if address not in there]:
                known.pop(address)

    # What went wrong

    def _failed(self, one: _Pending, reason: str, message: str) -> None:
        self._patience.setdefault(one.address, _Patience()).failed(self._seconds())
        metrics.ANCHOR_FAILURES.labels(reason).inc()
        if self._said.get(one.address) == message:
            return
        self._said[one.address] = message
        namespace, name, _ = one.address
        key = Key(namespace, one.item["spec"]["deployment"])
        if reason == reasons.ANCHOR_CONFLICT:
            self._tell(key, Event(EventType.WARNING, reason, f"{name}: {message}"[:1024], name))
        else:
            extra = {"reason": reason, "namespace": namespace, "deployment": key.name, "revision": name}
            log.warning("the record cannot be sealed: %s", message, extra=extra)

    def _store_failed(self, reason: str, message: str) -> None:
        if not self._store_patience.failures:
            log.error("records cannot be sealed: %s; it is tried again", message, extra={"reason": reason})
        self._store_patience.failed(self._seconds())
        metrics.ANCHOR_FAILURES.labels(reason).inc()

    def _seconds(self) -> float:
        return self._clock().timestamp()

    def _read_key(self) -> Signer:
        """The signer, with the key as the file has it now. A key that cannot be read is not gone without.

        Raises:
            KeyFileError: it cannot be read.
        """
        path = self._sealing.key
        if path is None:
            return Signer()
        try:
            changed = path.stat().st_mtime
        except OSError as error:
            raise KeyFileError(f"{path} cannot be read: {error}") from error
        if self._signer is None or self._signer[0] != changed:
            self._signer = (changed, Signer.load(path))
        return self._signer[1]


def _address(item: Object) -> Address:
    metadata = item["metadata"]
    return metadata["namespace"], metadata["name"], metadata["uid"]


def _parts(name: str) -> tuple[int, str]:
    """The record's number and the first digits of its hash, from the name of a statement; -1 if it has none."""
    number, _, digits = name.rpartition("/")[2].removesuffix(".json").partition("-")
    return (int(number), digits) if number.isdigit() else (-1, "")
