"""Objects that the tests of reading and writing start from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.api.modeldeployment import MonitorUse, Rollout, Serving
from sluice.api.modelmonitor import SLO, ModelMonitorSpec
from sluice.api.modelrevision import ModelRevisionSpec, ResolvedModel
from sluice.core.objects import Object
from sluice.core.plan import Evaluation
from sluice.core.world import Revision, World
from tests.unit.core.simulation import START, spec

DIGEST = f"sha256:{'a' * 64}"


def world(**changes: Any) -> World:
    """ModelDeployment ``fraud`` in namespace ``risk``."""
    given: dict[str, Any] = {
        "namespace": "risk",
        "name": "fraud",
        "uid": "u-1",
        "generation": 1,
        "created_at": START,
        "spec": spec("7"),
    }
    return World(**(given | changes))


def revision(number: int = 2, *, model: str = "fraud-scorer", **serving: Any) -> Revision:
    """A revision of ``fraud``; scikit-learn unless ``serving`` says otherwise."""
    served = serving or {"model_format": "sklearn"}
    return Revision(
        f"fraud-r{number}",
        ModelRevisionSpec(
            deployment="fraud",
            revision=number,
            identity=DIGEST,
            plan=DIGEST,
            source=DIGEST,
            requested_at=START,
            model=ResolvedModel(name=model, version="7", digest=DIGEST),
            serving=Serving.model_validate(served),
            rollout=Rollout(),
        ),
    )


def evaluation(monitor: ModelMonitorSpec | None = None, **changes: Any) -> Evaluation:
    """``fraud-r2`` in lane 1 is to be held against ``fraud-r1`` in lane 0."""
    long_ago = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    given: dict[str, Any] = {
        "namespace": "risk",
        "deployment": "fraud",
        "revision": "fraud-r2",
        "use": MonitorUse(name="error-rate"),
        "monitor": monitor or level(limits={"max": "0.01"}),
        "since": long_ago,
        "lane": 1,
        "lane_clean_since": long_ago,
        "stable": "fraud-r1",
        "stable_lane": 0,
        "mirrored": False,
    }
    return Evaluation(**(given | changes))


def level(*, parameters: dict[str, str] | None = None, **slo: Any) -> ModelMonitorSpec:
    """A service level whose queries are called ``bad`` and ``total``, over a minute, from 50 requests on."""
    given: dict[str, Any] = {"window": timedelta(minutes=1)}
    if "histogram" not in slo:
        given["total"] = "total"
        if "query" not in slo:
            given["bad"] = "bad"
    return ModelMonitorSpec(slo=SLO.model_validate(given | slo), parameters=parameters or {})


def pod(*containers: Object, scheduled: bool = True, **status: Any) -> Object:
    """A pod with the given statuses of its containers."""
    conditions = [{"type": "PodScheduled", "status": "True" if scheduled else "False"}]
    told = {"conditions": conditions, "containerStatuses": list(containers)}
    return {"metadata": {"name": "fraud-r2-predictor-x"}, "status": told | status}


def container(name: str = "kserve-container", **status: Any) -> Object:
    """The status of a container."""
    return {"name": name, "image": "registry.example/server:1", "ready": False, "restartCount": 0, "state": {}} | status
