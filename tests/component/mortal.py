"""An operator that dies right after its n-th write has reached the API server, and what must hold at every moment.

What is mortal is the connection: the write is done, its answer is never seen, and nothing of that process goes on.
The next process knows only what the API server has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus, RevisionPhase
from sluice.api.record import ORIGIN, Record, RecordKind
from sluice.core import httproute, lanes, records, steps
from sluice.core.objects import Object
from sluice.core.world import Revision
from sluice.edges.kinds import (
    DEPLOYMENTS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DEPLOYMENTS,
    MODEL_MONITORS,
    MODEL_REVISIONS,
    Kind,
)
from sluice.edges.kube import Kube, NotFound, Unavailable
from sluice.engine.operator import Operator, Settings
from sluice.engine.store import Key
from tests.component.rig import PlayedRegistry, Rig

_RECORDED = {RevisionPhase.PROMOTED: RecordKind.PROMOTED, RevisionPhase.ROLLED_BACK: RecordKind.ROLLED_BACK}
_WITNESSED = (MODEL_REVISIONS, INFERENCE_SERVICES, HTTP_ROUTES)


class Death(BaseException):
    """The process ends here, right after a write."""


@dataclass
class Clock:
    """A clock that moves when told."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Mortal(Kube):
    """A connection that carries so many writes. Events do not count: they are best effort, and nobody reads them."""

    def __init__(self, rig: Rig, life: int | None, wrote: Callable[[str], Awaitable[None]]) -> None:
        """``wrote`` is awaited after each write, before its answer is known, with the plural of what was written.

        A ``life`` of None does not end.
        """
        super().__init__(rig.kube._client, rig.kube._access)
        self.writes: list[str] = []
        """What reached the API server and was taken: method, and path within the namespace."""
        self._within = f"/namespaces/{rig.namespace}/"
        self._life = life
        self._wrote = wrote
        self._dead = False

    async def _ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Object:
        if self._dead:
            raise Unavailable(0, "this process has ended")
        answer = await super()._ask(method, path, body, content_type, query)
        if method != "GET" and not path.endswith("/events"):
            within = path.partition(self._within)[2]
            self.writes.append(f"{method} {within}")
            await self._wrote(within.partition("/")[0])
            if len(self.writes) == self._life:
                self._dead = True
                raise Death
        return answer


class Witness:
    """Looks at everything after each write, and remembers what it saw."""

    def __init__(self, rig: Rig) -> None:
        self.looks = 0
        self.wrong: list[str] = []
        """What was not as it must be, each with the number of the look."""
        self._rig = rig
        self._found: dict[Kind, list[Object]] = {}
        self._shares: dict[str, int] = {}
        self._records: dict[str, list[Record]] = {}

    async def look(self, written: str) -> None:
        """Look once, after a write to the kind of this plural.

        Only operators write what is looked at, and each write is followed by a look: the other kinds are as they were.
        """
        self.looks += 1
        changed = [kind for kind in _WITNESSED if kind.plural == written or kind not in self._found]
        for kind in changed:
            self._found[kind] = await self._rig.kube.list(kind, self._rig.namespace)
        if not changed:
            return
        revisions = self._revisions()
        services = {item["metadata"]["name"] for item in self._found[INFERENCE_SERVICES]}
        said = [*self._chains(revisions), *_states(revisions)]
        for item in self._found[HTTP_ROUTES]:
            said += self._route(item, revisions, services)
        self.wrong += [f"look {self.looks}: {each}" for each in said]

    def _revisions(self) -> list[Revision]:
        found = [
            Revision(
                item["metadata"]["name"],
                ModelRevisionSpec.model_validate(item["spec"]),
                ModelRevisionStatus.model_validate(item.get("status", {})),
            )
            for item in self._found[MODEL_REVISIONS]
        ]
        return sorted(found, key=lambda revision: revision.number)

    def _chains(self, revisions: list[Revision]) -> list[str]:
        """Every chain is whole, grows at its end only, and begins where the one before stood."""
        wrong = []
        before = {ORIGIN}
        for revision in revisions:
            chain = revision.status.records
            if problem := records.chain_problem(revision.spec, revision.status):
                wrong.append(f"{revision.name}: {problem}")
            known = self._records.get(revision.name, [])
            if chain[: len(known)] != known:
                wrong.append(f"{revision.name}: what was on record has changed")
            link = revision.spec.previous.hash if revision.spec.previous is not None else ORIGIN
            if link not in before:
                wrong.append(f"{revision.name}: its records go on from none of the revision before")
            self._records[revision.name], before = chain, {record.hash for record in chain}
        return wrong

    def _route(self, item: Object, revisions: list[Revision], services: set[str]) -> list[str]:
        """Two lanes that sum to the whole, to workloads that are there, and no more than a step on record allows."""
        intent = httproute.read(item).intent
        if intent is None:
            return ["the route is not ours"]
        wrong = []
        weights = [lane.weight for lane in intent.lanes]
        if sum(weights) != lanes.WHOLE or min(weights) < lanes.SLIVER:
            wrong.append(f"the lanes' weights are {weights}")
        wrong += [
            f"{lane.revision} is in the route and does not run"
            for lane in intent.lanes
            if lane.revision not in services
        ]
        shares, stable = lanes.percentages(intent), lanes.stable_of(revisions)
        for revision in revisions:
            share = shares.get(revision.name, 0)
            step = steps.current(revision, stable)
            if revision.in_progress and stable is not None and share > (step.weight if step else 0):
                wrong.append(f"{revision.name} has {share} % and is at {step}")
            ended = revision.phase in (RevisionPhase.ROLLED_BACK, RevisionPhase.SUPERSEDED)
            if ended and share > self._shares.get(revision.name, 0):
                wrong.append(f"{revision.name} has ended, and its share rose to {share} %")
        self._shares = shares
        return wrong


def _states(revisions: list[Revision]) -> list[str]:
    """One at a time is released, one stands in a lane, and what a phase says is on record, once."""
    wrong = []
    released = [revision.name for revision in revisions if revision.in_progress]
    if len(released) > 1:
        wrong.append(f"{released} are released at once")
    for lane in (0, 1):
        standing = [revision.name for revision in revisions if revision.status.lane == lane]
        if len(standing) > 1:
            wrong.append(f"{standing} stand in lane {lane}")
    for revision in revisions:
        kinds = [record.kind for record in revision.status.records]
        for phase, kind in _RECORDED.items():
            if kinds.count(kind) != (revision.phase is phase):
                wrong.append(f"{revision.name} is {revision.phase} with {kinds.count(kind)} records of {kind}")
    return wrong


class Succession:
    """Operators one after the other, the first of which dies; KServe and the gateway do their part at once."""

    def __init__(self, rig: Rig, life: int | None) -> None:
        """``life`` is the number of writes after which the first process dies; None for never."""
        self.rig = rig
        self.clock = Clock()
        self.witness = Witness(rig)
        self.deaths = 0
        self._unplayed: set[str] = set()
        """Plurals of what operators wrote since KServe and the gateway controller last did their part."""
        self.kube = Mortal(rig, life, self._wrote)
        self._operator = self._process(self.kube)

    def _process(self, kube: Kube) -> Operator:
        settings = Settings(
            prometheus_url=self.rig.prometheus.url,
            monitor_url="http://127.0.0.1:9",
            logger_url=None,
            namespaces=(self.rig.namespace, "gateways"),
        )
        return Operator(kube, self.rig.session, settings, PlayedRegistry(), self.clock)

    async def state(self, item: Object) -> None:
        """Someone applies a ModelDeployment or a monitor."""
        kind = MODEL_DEPLOYMENTS if item["kind"] == MODEL_DEPLOYMENTS.kind else MODEL_MONITORS
        self._operator.seen(kind, await self.rig.kube.apply(kind, item), deleted=False)

    async def until(self, what: str, ask: Callable[[], Awaitable[bool]], step: float = 6.0, rounds: int = 30) -> None:
        """Let time pass in steps of so many seconds, until a question is answered with yes."""
        for _ in range(rounds):
            await self._round()
            try:
                if await ask():
                    return
            except NotFound:
                pass
            self.clock.pass_(step)
        raise AssertionError(f"not within {rounds} rounds: {what}\n{await self.rig.story()}")

    async def start(self) -> None:
        """The first process fills its store."""
        await self._operator.relist()

    async def _round(self) -> None:
        """Everything that is due at this moment."""
        try:
            await self._operator._await_apis()  # KServe's, which were made just now, may not be served yet
            self._operator._wake_all()
            await self._settle()
            await self._operator._evaluator.tick()
            await self._settle()
        except Death:
            self.deaths += 1
            self._operator = self._process(Mortal(self.rig, None, self._wrote))
            await self._operator.relist()
            await self._round()

    async def _wrote(self, plural: str) -> None:
        self._unplayed.add(plural)
        await self.witness.look(plural)

    async def _settle(self) -> None:
        await self._drain()
        while await self._play():
            await self._drain()

    async def _drain(self) -> None:
        queue = self._operator.queue
        while (key := queue.pop()) is not None:
            result = await self._operator._reconciler._try(Key(*key))
            assert result in ("Done", "Conflict"), result
            queue.done(key, failed=False)
            if result == "Conflict":
                queue.add(key)

    async def _play(self) -> bool:
        """KServe and the gateway controller; True if one of them did something."""
        written, self._unplayed = self._unplayed, set()
        played = False
        for service in await self._written(INFERENCE_SERVICES, written):
            name = service["metadata"]["name"]
            if self._operator.store.get(DEPLOYMENTS, self.rig.namespace, f"{name}-predictor") is None:
                await self.rig.ready(name)
                played |= await self._tell(DEPLOYMENTS, f"{name}-predictor")
        for route in await self._written(HTTP_ROUTES, written):
            await self.rig.accept(route)
            played |= await self._tell(HTTP_ROUTES, route["metadata"]["name"])
        return played

    async def _written(self, kind: Kind, written: set[str]) -> list[Object]:
        """All of a kind, if any of it was written: who has done their part waits for more to do."""
        return await self.rig.kube.list(kind, self.rig.namespace) if kind.plural in written else []

    async def _tell(self, kind: Kind, name: str) -> bool:
        """What the watch would tell; False if it is no news."""
        item = await self.rig.get(kind, name)
        known = self._operator.store.get(kind, self.rig.namespace, name)
        self._operator.seen(kind, item, deleted=False)
        return known is None or known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]
