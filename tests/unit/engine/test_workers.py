"""Workers take what is due, and one deployment's trouble is not the others'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from sluice.core.decide import decide
from sluice.core.slo import Sample
from sluice.edges.kinds import CLUSTER_MODEL_MONITORS, MODEL_DEPLOYMENTS, MODEL_REVISIONS
from sluice.edges.kube import Unavailable
from sluice.engine.dryrun import DryRun
from sluice.engine.store import Key
from tests.unit.engine.fakes import Engine, FakeKube, Time, deployment


async def until(ask: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    for _ in range(1000):
        if ask():
            return
        await asyncio.sleep(0)
    raise AssertionError


async def test_several_workers_share_the_work_and_survive_a_fault(
    engine: Engine, kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(world: object, now: object) -> object:
        if getattr(world, "name", "") == "odd":
            raise ZeroDivisionError
        return decide(world, now)  # type: ignore[arg-type]

    monkeypatch.setattr("sluice.engine.reconcile.decide", faulty)
    workers = [asyncio.create_task(engine.reconciler.work()) for _ in range(3)]
    for name in ("odd", "a", "b", "c"):
        kube.put(MODEL_DEPLOYMENTS, deployment(name=name))
    await until(lambda: kube.names(MODEL_REVISIONS) == ["a-r1", "b-r1", "c-r1"])
    assert not any(worker.done() for worker in workers)
    for worker in workers:
        worker.cancel()


async def test_what_became_of_a_try_is_one_word(engine: Engine, kube: FakeKube) -> None:
    assert await engine.reconciler._try(Key("risk", "nobody")) == "Done"
    kube.put(MODEL_DEPLOYMENTS, deployment())
    kube.refuse[MODEL_REVISIONS, "risk", "scorer-r1"] = Unavailable(0, "connection refused")
    assert await engine.reconciler._try(Key("risk", "scorer")) == "Unavailable"


async def test_a_conflict_reads_again_and_forgets_what_is_gone(engine: Engine, kube: FakeKube, time: Time) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await engine.settle()
    engine.stop()
    kube.remove(MODEL_REVISIONS, "risk", "scorer-r1")
    time.pass_(3600)
    assert await engine.reconciler._try(Key("risk", "scorer")) in ("Conflict", "NotFound")
    await engine.reconciler._refresh(Key("risk", "scorer"))
    assert engine.store.get(MODEL_REVISIONS, "risk", "scorer-r1") is None


async def test_a_new_monitor_is_tried_at_once(engine: Engine, kube: FakeKube, time: Time) -> None:
    engine.prometheus.default = [Sample({}, 1.0)]
    dry_run = DryRun(engine.store, kube, engine.evaluator, time, lambda _url: "")
    running = asyncio.create_task(dry_run.run())
    await asyncio.sleep(0)
    spec = {"slo": {"bad": "bad", "total": "total", "limits": {"max": "0.01"}}}
    kube.put(CLUSTER_MODEL_MONITORS, {"kind": "ClusterModelMonitor", "metadata": {"name": "errors"}, "spec": spec})
    dry_run.wake()
    await until(lambda: "status" in kube.objects[CLUSTER_MODEL_MONITORS, "", "errors"])
    running.cancel()
