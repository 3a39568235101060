"""Heads of records are sealed soon, once, and whatever happens in between."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from prometheus_client import REGISTRY

from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.record import RecordKind, Seal
from sluice.core import archive, evidence, records, seal
from sluice.core.objects import Object
from sluice.core.records import Entry as Told
from sluice.core.seal import Statement
from sluice.edges.anchor import AnchorConflict, AnchorError, Entry
from sluice.edges.kinds import GOVERNANCE_EVIDENCE, MODEL_DEPLOYMENTS, MODEL_REVISIONS
from sluice.edges.kube import Forbidden
from sluice.edges.signing import Trust
from sluice.engine.sealer import MOST, Sealing
from tests.unit.engine.fakes import Crash, Engine, FakeKube, Time, deployment


@dataclass
class Shelf:
    """A store in memory."""

    kept: dict[str, bytes] = field(default_factory=dict)
    away: str = ""
    """Why it does not answer."""
    fails: int = 0
    """Puts that fail before one does not."""
    asked: int = 0
    slow: bool = False

    async def check(self) -> None:
        """It is one."""

    async def put(self, name: str, content: bytes) -> str:
        self._answer()
        if self.fails:
            self.fails -= 1
            raise AnchorError("busy")
        if self.kept.setdefault(name, content) != content:
            raise AnchorConflict(f"{name} is there already")
        return self.address(name)

    async def entries(self, prefix: str) -> list[Entry]:
        self._answer()
        if self.slow:
            await asyncio.sleep(3600)
        return [Entry(name) for name in sorted(self.kept) if name.startswith(prefix)]

    async def read(self, entry: Entry) -> bytes:
        self._answer()
        return self.kept[entry.name]

    def address(self, name: str) -> str:
        return f"s3://records/{name}"

    def _answer(self) -> None:
        self.asked += 1
        if self.away:
            raise AnchorError(self.away)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path / "key.pem")


def broken(path: Path) -> None:
    path.write_text("half of a key")


def new_key(path: Path) -> Path:
    made = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture
def sealed(kube: FakeKube, time: Time, shelf: Shelf, key: Path) -> Engine:
    return Engine(kube, time, Sealing(key, shelf))


async def run(engine: Engine, time: Time, seconds: int = 60, *, seal: bool = True) -> None:
    for _ in range(seconds):
        time.pass_(1)
        await engine.settle()
        if seal:
            await engine.sealer.round()
            await engine.settle()


def revision(kube: FakeKube, name: str = "scorer-r1") -> Object:
    return kube.objects[MODEL_REVISIONS, "risk", name]


def stated(kube: FakeKube, name: str = "scorer-r1") -> Seal | None:
    return ModelRevisionStatus.model_validate(revision(kube, name)["status"]).seal


def head(kube: FakeKube, name: str = "scorer-r1") -> records.Head:
    item = revision(kube, name)
    status = ModelRevisionStatus.model_validate(item["status"])
    return records.head(ModelRevisionSpec.model_validate(item["spec"]), status)


def papers(kube: FakeKube) -> list[Object]:
    found = [item for (kind, _, _), item in kube.objects.items() if kind == GOVERNANCE_EVIDENCE]
    return [item for item in found if item["spec"]["kind"] == "Seal"]


def statements(shelf: Shelf) -> list[Statement]:
    return [seal.parse(Trust().open(content.decode()).payload) for content in shelf.kept.values()]


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_what_is_recorded_is_signed_anchored_kept_and_said_in_the_status(
    sealed: Engine, kube: FakeKube, time: Time, shelf: Shelf
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(sealed, time)
    said, at = stated(kube), head(kube)
    assert said is not None
    assert (said.sequence, said.hash) == (at.sequence, at.hash)
    assert said.key_id
    assert said.anchor is not None
    name = said.anchor.removeprefix("s3://records/")
    statement = next(s for s in statements(shelf) if s.name == name)
    assert statement.seal(said.key_id) == said
    assert (statement.uid, statement.deployment) == (revision(kube)["metadata"]["uid"], "scorer")
    assert statement.deployment_uid == kube.objects[MODEL_DEPLOYMENTS, "risk", "scorer"]["metadata"]["uid"]
    assert shelf.kept[name].decode() in [evidence.decode(item) for item in papers(kube)]
    assert len(papers(kube)) == len(shelf.kept)
    assert metric("sluice_anchor_oldest_pending_seconds") == 0


async def test_a_seal_makes_no_record_and_so_nothing_new_to_seal(
    sealed: Engine, kube: FakeKube, time: Time, shelf: Shelf
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(sealed, time)
    kube.writes.clear()
    asked = shelf.asked
    await run(sealed, time, 30)
    assert kube.writes == []
    assert shelf.asked == asked


@pytest.mark.parametrize(
    ("with_key", "with_anchor"), [(True, False), (False, True)], ids=["a-key-alone", "an-anchor-alone"]
)
async def test_a_key_or_an_anchor_alone_does_what_it_can(
    kube: FakeKube, time: Time, shelf: Shelf, key: Path, with_key: bool, with_anchor: bool
) -> None:
    engine = Engine(kube, time, Sealing(key if with_key else None, shelf if with_anchor else None))
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time)
    said = stated(kube)
    assert said is not None
    assert (said.key_id is not None, said.anchor is not None) == (with_key, with_anchor)
    assert said.hash == head(kube).hash
    envelopes = [Trust().open(evidence.decode(item)) for item in papers(kube)]
    assert all(bool(opened.keys) is with_key for opened in envelopes)


async def test_what_was_only_signed_is_anchored_once_there_is_an_anchor(
    kube: FakeKube, time: Time, shelf: Shelf, key: Path
) -> None:
    engine = Engine(kube, time, Sealing(key))
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time)
    assert stated(kube) is not None
    engine.stop()
    await run(Engine(kube, time, Sealing(key, shelf)), time, 5)
    said = stated(kube)
    assert said is not None
    assert said.anchor is not None
    assert said.hash == head(kube).hash


async def test_without_key_and_anchor_nothing_is_sealed(engine: Engine, kube: FakeKube, time: Time) -> None:
    assert not engine.sealer.enabled
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, seal=False)
    assert stated(kube) is None


@pytest.mark.parametrize("writes", range(1, 25, 2))
async def test_a_crash_while_sealing_seals_nothing_twice(
    kube: FakeKube, time: Time, shelf: Shelf, key: Path, writes: int
) -> None:
    engine = Engine(kube, time, Sealing(key, shelf))
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, seal=False)
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    kube.crash_after = writes
    with pytest.raises(Crash):
        await run(engine, time)
    engine.stop()
    kube.crash_after = None
    again = Engine(kube, time, Sealing(key, shelf))
    await run(again, time, 60)
    for name in ("scorer-r1", "scorer-r2"):
        said = stated(kube, name)
        assert said is not None
        assert (said.sequence, said.hash) == (head(kube, name).sequence, head(kube, name).hash)
    names = [s.name for s in statements(shelf)]
    assert len(names) == len(set(names))
    kept = sorted(evidence.decode(item) for item in papers(kube))
    assert kept == sorted(content.decode() for content in shelf.kept.values())


async def test_the_statement_in_the_store_is_taken_when_the_operator_ended_before_it_was_said(
    kube: FakeKube, time: Time, shelf: Shelf, key: Path
) -> None:
    engine = Engine(kube, time, Sealing(key, shelf))
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, seal=False)
    kube.crash_after = 1  # the document in the cluster is the first write; the store has the statement by then
    with pytest.raises(Crash):
        await engine.sealer.round()
    before = dict(shelf.kept)
    assert len(before) == 1
    assert stated(kube) is None
    engine.stop()
    kube.crash_after = None
    time.pass_(500)
    again = Engine(kube, time, Sealing(new_key(key), shelf))
    await run(again, time, 3)
    assert shelf.kept == before
    said = stated(kube)
    assert said is not None
    assert said == statements(shelf)[0].seal(said.key_id)


async def test_while_the_store_is_away_releases_go_on_and_it_is_said_once(
    sealed: Engine, kube: FakeKube, time: Time, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="sluice.engine.sealer")
    shelf.away = "connection refused"
    failures = metric("sluice_anchor_failures_total", reason="AnchorUnavailable")
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(sealed, time, 120)
    assert kube.objects[MODEL_DEPLOYMENTS, "risk", "scorer"]["status"]["phase"] == "Healthy"
    assert stated(kube) is None
    assert [r.getMessage() for r in caplog.records] == [
        "records cannot be sealed: connection refused; it is tried again"
    ]
    assert metric("sluice_anchor_oldest_pending_seconds") >= 110
    tries = metric("sluice_anchor_failures_total", reason="AnchorUnavailable") - failures
    assert 3 <= tries <= 6  # after 5, 10, 20, 40 … seconds
    shelf.away = ""
    await run(sealed, time, 120)
    said = stated(kube)
    assert said is not None
    assert said.hash == head(kube).hash
    assert caplog.records[-1].getMessage() == "sealing records works again"
    assert metric("sluice_anchor_oldest_pending_seconds") == 0


async def test_one_that_cannot_be_kept_does_not_stop_the_others(
    sealed: Engine, kube: FakeKube, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = kube.create

    async def refuse(kind: Any, item: Object) -> Object:
        if kind == GOVERNANCE_EVIDENCE and item["spec"]["kind"] == "Seal" and item["spec"]["deployment"] == "scorer":
            raise Forbidden(403, "exceeded quota")
        return await create(kind, item)

    monkeypatch.setattr(kube, "create", refuse)
    kube.put(MODEL_DEPLOYMENTS, deployment())
    kube.put(MODEL_DEPLOYMENTS, deployment(name="other"))
    await run(sealed, time)
    assert stated(kube) is None
    assert stated(kube, "other-r1") is not None


async def test_a_round_is_bounded_and_the_rest_follows(sealed: Engine, kube: FakeKube, time: Time) -> None:
    count = MOST + 5
    for number in range(count):
        kube.put(MODEL_DEPLOYMENTS, deployment(name=f"m{number}"))
    await run(sealed, time, 3, seal=False)
    await sealed.sealer.round()
    assert len([n for n in range(count) if sealed.sealer.seal("risk", f"m{n}-r1")]) == MOST
    await sealed.sealer.round()
    assert len([n for n in range(count) if sealed.sealer.seal("risk", f"m{n}-r1")]) == count


def shorten(kube: FakeKube, name: str = "scorer-r1") -> None:
    """Somebody takes the last records away, and the seal that would say so."""
    status = dict(revision(kube, name)["status"])
    status.pop("seal")
    item = revision(kube, name)
    kube._store((MODEL_REVISIONS, "risk", name), {**item, "status": status | {"records": status["records"][:3]}})


async def test_a_record_that_was_shortened_is_not_sealed_and_people_are_told_once(
    sealed: Engine, kube: FakeKube, time: Time, shelf: Shelf
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(sealed, time)
    before = dict(shelf.kept)
    shorten(kube)
    sealed.stop()
    again = Engine(kube, time, Sealing(None, shelf))
    await run(again, time, 60)
    assert shelf.kept == before
    assert stated(kube) is None
    (event,) = [event for event in again.told if event.reason == "AnchorConflict"]
    assert "kubectl sluice verify scorer -n risk" in event.message
    assert "had a record" in event.message


async def test_statements_about_an_earlier_object_of_the_name_are_no_contradiction(
    sealed: Engine, kube: FakeKube, time: Time, shelf: Shelf
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(sealed, time)
    before = len(shelf.kept)
    kube.remove(MODEL_DEPLOYMENTS, "risk", "scorer")
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    await run(sealed, time)
    assert len(shelf.kept) > before
    said = stated(kube)
    assert said is not None
    assert said.hash == head(kube).hash
    assert not [event for event in sealed.told if event.reason == "AnchorConflict"]


async def test_a_key_that_was_exchanged_is_used_and_one_that_cannot_be_read_is_not_gone_without(
    sealed: Engine, kube: FakeKube, time: Time, key: Path, shelf: Shelf
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(sealed, time)
    first = stated(kube)
    broken(key)
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    before = len(shelf.kept)
    await run(sealed, time, 40)
    assert len(shelf.kept) == before
    new_key(key)
    await run(sealed, time, 400)
    second = stated(kube, "scorer-r2")
    assert first is not None
    assert second is not None
    assert second.key_id not in (None, first.key_id)


async def test_records_that_cannot_be_moved_stay_in_the_status(
    sealed: Engine, kube: FakeKube, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(sealed, time)
    item = revision(kube)
    status = ModelRevisionStatus.model_validate(item["status"])
    more = [Told(RecordKind.POLICY_EVALUATED, "Evaluated", "said")] * (archive.MOVE_ABOVE - len(status.records))
    at = records.head(ModelRevisionSpec.model_validate(item["spec"]), status)
    told = [*status.records, *records.chained(at, more, time())]
    full = status.model_copy(update={"records": told})
    kube._store((MODEL_REVISIONS, "risk", "scorer-r1"), {**item, "status": full.dump()})
    create = kube.create
    refused: list[str] = []

    async def refuse(kind: Any, made: Object) -> Object:
        if kind == GOVERNANCE_EVIDENCE:
            refused.append(made["spec"]["kind"])
            raise Forbidden(403, "exceeded quota")
        return await create(kind, made)

    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    monkeypatch.setattr(kube, "create", refuse)
    await run(sealed, time, 60, seal=False)
    after = ModelRevisionStatus.model_validate(revision(kube)["status"])
    assert "Records" in refused
    assert after.archived is None
    assert after.records[: len(told)] == told
    assert after.records[-1].kind is RecordKind.REPLACED
    assert records.chain_problem(ModelRevisionSpec.model_validate(revision(kube)["spec"]), after) == ""
    assert "EvidenceRefused" in sealed.reasons


async def test_a_store_that_never_answers_delays_no_decision(
    sealed: Engine, kube: FakeKube, time: Time, shelf: Shelf
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(sealed, time, 3, seal=False)
    shelf.slow = True
    round_ = asyncio.create_task(sealed.sealer.round())
    await run(sealed, time, 60, seal=False)
    assert kube.objects[MODEL_DEPLOYMENTS, "risk", "scorer"]["status"]["phase"] == "Healthy"
    assert not round_.done()
    round_.cancel()
