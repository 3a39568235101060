"""Reports: one Report of openreports.io for each governed deployment, where the cluster has that API."""

from __future__ import annotations

import logging

from sluice.core import identity, openreport
from sluice.core.objects import Object
from sluice.edges import metrics
from sluice.edges.kinds import MODEL_DEPLOYMENTS, REPORTS
from sluice.edges.kube import KubeError, NotFound, Writer
from sluice.engine.resync import Offers
from sluice.engine.store import Key, Store

log = logging.getLogger(__name__)

_NOTHING = ""


class Reports:
    """Keeps reports as the deployments' statuses have it. Nothing is decided by them, and nothing waits for them."""

    def __init__(self, store: Store, writer: Writer, offers: Offers) -> None:
        self._store = store
        self._writer = writer
        self._offers = offers
        self._looked: dict[Key, str] = {}
        """The version of each deployment that was looked at."""
        self._left: dict[Key, str] = {}
        """Digest of the report that was left there; empty if there is none."""

    def doubt(self) -> None:
        """Look at every report again: reports are not watched, and somebody may have changed one."""
        self._looked.clear()
        self._left.clear()

    async def all(self) -> None:
        """Write the reports of deployments that have changed; nothing on a cluster without the API."""
        if not self._offers.open_reports:
            self.doubt()
            return
        items = {Key(i["metadata"]["namespace"], i["metadata"]["name"]): i for i in self._store.all(MODEL_DEPLOYMENTS)}
        for known in (self._looked, self._left):
            for gone in known.keys() - items.keys():
                del known[gone]  # Kubernetes removes the report with its owner
        for key, item in items.items():
            version = item["metadata"]["resourceVersion"]
            if self._looked.get(key) == version or "deletionTimestamp" in item["metadata"]:
                continue
            try:
                await self._keep(key, item)
            except KubeError as error:
                log.info("Report %s in %s is not written: %s", openreport.name(key.name), key.namespace, error)
            else:
                self._looked[key] = version

    async def _keep(self, key: Key, item: Object) -> None:
        wanted = openreport.build(item)
        digest = identity.digest(wanted) if wanted is not None else _NOTHING
        if self._left.get(key) == digest:
            return
        live = await self._live(key)
        if live is not None and not _owned(live, item):
            log.warning(
                "Report %s in %s is not Sluice's, and is left alone; delete it to have one of ModelDeployment %s",
                openreport.name(key.name),
                key.namespace,
                key.name,
            )
        elif wanted is None and live is not None:
            await self._writer.delete(REPORTS, live)
            metrics.WRITES.labels(REPORTS.kind, "delete").inc()
        elif wanted is not None and (live is None or not _holds(live, wanted)):
            await self._writer.apply(REPORTS, wanted)
            metrics.WRITES.labels(REPORTS.kind, "apply").inc()
        self._left[key] = digest

    async def _live(self, key: Key) -> Object | None:
        try:
            return await self._writer.get(REPORTS, key.namespace, openreport.name(key.name))
        except NotFound:
            return None


def _owned(live: Object, deployment: Object) -> bool:
    return any(o["uid"] == deployment["metadata"]["uid"] for o in live["metadata"].get("ownerReferences", []))


def _holds(live: Object, wanted: Object) -> bool:
    return all(live.get(part) == wanted[part] for part in wanted if part != "metadata")
