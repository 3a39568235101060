"""Page: a release in the words and figures that the template shows. Pure; a dossier and a time in, a Page out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sluice import __version__
from sluice.api.governance import ApprovalState, ControlResult, ControlVerdict
from sluice.api.governancepolicy import Mode
from sluice.api.modelrevision import RevisionPhase
from sluice.api.record import Record
from sluice.api.verdict import MonitorResult
from sluice.catalogue.frameworks import Framework, frameworks
from sluice.cli.plan import StepState, StepView
from sluice.cli.report import assessment, lead, people, plot, soundness, story
from sluice.cli.report.assessment import Assessment, Change, Governance
from sluice.cli.report.lead import Point
from sluice.cli.report.people import Act
from sluice.cli.report.plot import Plot
from sluice.cli.report.prose import Prose, Said, joined, text
from sluice.cli.report.soundness import Soundness
from sluice.cli.report.story import Story
from sluice.cli.report.wording import length, minute, second, words
from sluice.core.dossier import Dossier
from sluice.core.governance.catalogue import CATALOGUE, FAMILIES
from sluice.core.steps import StepKind
from sluice.core.verification import Trust

_QUIET = (ControlVerdict.PASS, ControlVerdict.SKIPPED)


@dataclass(frozen=True)
class Fact:
    """One thing about the release."""

    name: str
    value: Prose
    digest: bool = False


@dataclass(frozen=True)
class StepRow:
    """One step, with the figures of the plot."""

    number: int
    what: str
    live: str
    copies: str
    began: str
    ended: str
    held: str
    planned: str
    state: str
    results: tuple[MonitorResult, ...]


@dataclass(frozen=True)
class ActRow:
    """One act of a person, or the request that everything began with."""

    number: int | None
    """As in the plot; None for the request."""
    at: str
    what: str
    about: str
    """What it is about, beside the release: a control, another act."""
    who: Prose
    kind: str
    """The symbol of its standing; empty where it has none."""
    standing: str
    because: Prose
    until: str
    sequence: int | None


@dataclass(frozen=True)
class ControlRow:
    """One control."""

    kind: str
    result: ControlResult
    title: str
    asked_by: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """Controls that belong together."""

    name: str
    rows: tuple[ControlRow, ...]


@dataclass(frozen=True)
class RecordRow:
    """One record."""

    record: Record
    at: str
    kind: str
    person: bool


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    title: str
    """Of the window, and of each printed page."""
    where: str
    name: str
    model: Prose
    headline: Prose
    lead: tuple[Prose, ...]
    points: tuple[Point, ...]
    facts: tuple[Fact, ...]
    alone: bool
    """Whether nothing was stable when it was released."""
    plot: Plot | None
    steps: tuple[StepRow, ...]
    waits: tuple[tuple[str, str, str, str], ...]
    """What it stood still for, from, to, how long."""
    acts: tuple[ActRow, ...]
    approvals: tuple[ApprovalState, ...]
    governance: Governance
    basis: Prose
    """What the controls are as at."""
    attention: tuple[ControlRow, ...]
    """Controls that did not simply pass."""
    families: tuple[Family, ...]
    changes: tuple[Change, ...]
    frameworks: tuple[Framework, ...]
    records: tuple[RecordRow, ...]
    soundness: Soundness
    digests: tuple[tuple[str, str], ...]
    """What a digest is of, and the whole of it."""
    notes: tuple[str, ...]
    """What a reader must know about how this page came to be."""


def of(dossier: Dossier, trust: Trust, revision: str | None = None, *, source: str = "") -> Page:
    """The page about one revision's release.

    Args:
        dossier: what is kept about the deployment.
        trust: the keys and the store that its record is checked against.
        revision: which, as ``fraud-r7``, ``r7`` or ``7``; the latest if not said.
        source: where the dossier came from, in a few words.

    Raises:
        Trouble: there is no such revision, or it cannot be read.
    """
    told = story.of(dossier, revision)
    found = assessment.of(told)
    acts = people.acts(told, found.then)
    sound = soundness.of(told, trust)
    model = told.revision.spec.model
    rows = tuple(_controls(found.then)) if found.then else ()
    return Page(
        title=f"{told.revision.name} in {dossier.namespace}: release of {model.name} version {model.version}",
        where=f"{dossier.namespace} / {dossier.deployment}",
        name=told.revision.name,
        model=(Said(model.name), f" version {model.version}"),
        headline=lead.headline(told),
        lead=lead.sentences(told, acts, found, sound),
        points=lead.points(told, acts, found, sound),
        facts=tuple(_facts(told, found)),
        alone=told.alone,
        plot=plot.plot(told, acts),
        steps=tuple(_steps(told)),
        waits=tuple(_waits(told)),
        acts=tuple(_acts(told, acts)),
        approvals=found.then.approvals if found.then else (),
        governance=found,
        basis=_basis(found),
        attention=tuple(row for row in rows if row.result.verdict not in _QUIET),
        families=_families(rows),
        changes=found.changes,
        frameworks=_asking(rows),
        records=tuple(_records(told)),
        soundness=sound,
        digests=_digests(told, found),
        notes=tuple(_notes(told, found, source)),
    )


def _facts(told: Story, found: Governance) -> Iterator[Fact]:
    spec, model = told.revision.spec, told.revision.spec.model
    stated = spec.governance
    said = {
        "Risk tier": stated.risk_tier if stated else None,
        "Use case": stated.use_case if stated else None,
        "Owner": stated.owner if stated else None,
        "Inventory id": stated.inventory_id if stated else None,
        "Jurisdictions": ", ".join(stated.jurisdictions) if stated else None,
    }
    alias = f" (by alias {model.alias})" if model.alias else ""
    yield Fact("Model", (Said(model.name), f" version {model.version}", Said(alias)))
    yield Fact("Deployment", (Said(told.dossier.deployment), " in namespace ", Said(told.dossier.namespace)))
    for name, value in said.items():
        yield Fact(name, (Said(str(value)),) if value else ("not stated",))
    yield Fact("Asked for by", (Said(spec.requester),) if spec.requester else ("not stamped",))
    yield Fact("Asked for on", (minute(told.asked_at),))
    ticket = stated.ticket if stated else None
    reason = stated.change_reason if stated else None
    change = [Said(part) for part in (ticket, reason) if part]
    yield Fact("Change", joined([(part,) for part in change], ": ") or ("not stated",))
    policies = found.then.policies if found.then else tuple(spec.policies)
    names = joined([(Said(policy.name),) for policy in policies], ", ")
    yield Fact("Policies", names or ("none applied",))
    yield Fact("Model files", (model.digest,), digest=True)


def _steps(told: Story) -> Iterator[StepRow]:
    for step in told.steps:
        ended = step.finished_at or (told.until if step.state is StepState.CURRENT else None)
        held = length(ended - step.started_at) if step.started_at and ended and ended >= step.started_at else ""
        yield StepRow(
            number=step.number,
            what=_what(step),
            live=f"{step.weight} %",
            copies=f"{step.mirror} %" if step.mirror else "",
            began=second(step.started_at) if step.started_at else "",
            ended=second(step.finished_at) if step.finished_at else "",
            held=held,
            planned=length(step.hold) if step.hold else "",
            state=_state(told, step),
            results=step.results,
        )


def _what(step: StepView) -> str:
    return {
        StepKind.SHADOW: "copies only",
        StepKind.WEIGHT: "live traffic",
        StepKind.APPROVAL: f"approval by {step.role}",
    }[step.kind]


def _state(told: Story, step: StepView) -> str:
    if step.state is StepState.AHEAD:
        return "ahead" if told.revision.in_progress else "not taken"
    if step.started_at is None:
        return "not applied by the gateway"
    return {StepState.DONE: "", StepState.CURRENT: "under way", StepState.FAILED: "ended here"}[step.state]


def _waits(told: Story) -> Iterator[tuple[str, str, str, str]]:
    for wait in told.waits:
        what = "paused" if wait.paused else "held for approvals or controls"
        yield what, second(wait.start), second(wait.end), length(wait.end - wait.start)


def _acts(told: Story, acts: Iterable[Act]) -> Iterator[ActRow]:
    spec = told.revision.spec
    stated = spec.governance
    said = [Said(part) for part in ((stated.change_reason, stated.ticket) if stated else ()) if part]
    yield ActRow(
        number=None,
        at=second(told.asked_at),
        what="Asked for the release",
        about="",
        who=(Said(spec.requester),) if spec.requester else ("not stamped",),
        kind="",
        standing="",
        because=joined([(part,) for part in said], " · "),
        until="",
        sequence=0 if told.records and told.records[0].sequence == 0 else None,
    )
    for number, act in enumerate(acts, start=1):
        yield _act(number, act)


def _act(number: int, act: Act) -> ActRow:
    what = words(act.what).capitalize()
    if act.what == "Exception":
        what = "Waived"
    role: Prose = (" as ", Said(act.role)) if act.role else ()
    parts = [act.reason, act.ticket, f"only {act.conditions}" if act.conditions else ""]
    parts += [act.message, act.changed and f"Caution: {act.changed}"]
    kind = {True: "pass", False: "fail", None: "inconclusive"}[act.counts]
    return ActRow(
        number=number,
        at=second(act.at),
        what=what,
        about=act.about,
        who=(Said(act.who), *role),
        kind="fail" if act.changed else kind,
        standing=words(act.standing) or "not answered yet",
        because=joined([(Said(part),) for part in parts if part], " · "),
        until=second(act.expires_at) if act.expires_at else "",
        sequence=act.sequence,
    )


def _controls(found: Assessment) -> Iterator[ControlRow]:
    for result in found.controls:
        known = CATALOGUE.get(result.id)
        title = known.title if known else found.titles.get(result.id, "a rule of the bank's own")
        yield ControlRow(_kind(result), result, title, frameworks().of(result.id))


def _kind(result: ControlResult) -> str:
    if result.verdict in (ControlVerdict.FAIL, ControlVerdict.ERROR) and result.mode is not Mode.ENFORCE:
        return "warn"
    return str(result.verdict).lower()


def _families(rows: tuple[ControlRow, ...]) -> tuple[Family, ...]:
    family = {control.id: name for name, controls in FAMILIES.items() for control in controls}
    names = [*FAMILIES, "The bank's own rules"]
    by = {name: tuple(row for row in rows if family.get(row.result.id, names[-1]) == name) for name in names}
    return tuple(Family(name, found) for name, found in by.items() if found)


def _asking(rows: tuple[ControlRow, ...]) -> tuple[Framework, ...]:
    keys = {key for row in rows for key in frameworks().references.get(row.result.id, {})}
    return tuple(frameworks().known[key] for key in sorted(keys) if key in frameworks().known)


def _basis(found: Governance) -> Prose:
    if found.then is None:
        return ()
    if found.then.record is None:
        return (f"As the deployment's status said on {minute(found.then.at)}.",)
    record = found.then.record
    stood = f"As they stood {assessment.ending(record.kind)}, {minute(found.then.at)}"
    return (f"{stood}: worked out again from everything that the decision of record {record.sequence} looked at.",)


def _records(told: Story) -> Iterator[RecordRow]:
    for record in told.records:
        yield RecordRow(record, second(record.time), words(record.kind), record.actor != "sluice")


def _digests(told: Story, found: Governance) -> tuple[tuple[str, str], ...]:
    """Every digest that the page shows in part, once, with what it is of."""
    spec = told.revision.spec
    entries: list[tuple[str, str | None]] = [("files of the model", spec.model.digest)]
    entries.append(("the revision's spec", next((e.digest for r in told.records[:1] for e in r.evidence), None)))
    if found.then is not None:
        entries.append(("all policies together", found.then.policy_digest))
        entries += [(f"policy {policy.name}", policy.digest) for policy in found.then.policies]
        entries += [(f"{c.id}: {e.name}", e.digest) for c in found.then.controls for e in c.evidence]
    for step in told.steps:
        entries += [(f"step {step.number}: {r.name}", r.evidence.digest) for r in step.results if r.evidence]
    for record in told.records:
        entries += [(f"record {record.sequence}: {e.name}", e.digest) for e in record.evidence]
        entries.append((f"record {record.sequence}", record.hash))
    names: dict[str, list[str]] = {}
    for name, digest in entries:
        if digest is not None:
            names.setdefault(digest, []).append(name)
    return tuple((", ".join(dict.fromkeys(given)), digest) for digest, given in names.items())


def _notes(told: Story, found: Governance, source: str) -> Iterator[str]:
    taken: datetime = told.dossier.taken_at
    yield f"Made by Sluice {__version__} from {source or 'a record'} of {minute(taken)}. All times are UTC."
    if found.problem and found.then is not None:
        yield f"The controls are not those of the decision: {found.problem}."
    if told.gone:
        yield f"{told.gone[0].upper()}{told.gone[1:]}."
    yield from (f"{problem[0].upper()}{problem[1:]}." for problem in told.missing)
    later = [r for r in told.records if told.end is not None and r.sequence > told.end.sequence]
    again = [r for r in later if r.kind in ("Promoted", "Reused")]
    if again:
        yield f"It was returned to later, last on {minute(again[-1].time)}; this page is about its first release."
    if told.phase is RevisionPhase.PROMOTED and told.revision.status.finished_at:
        yield f"It left the traffic on {minute(told.revision.status.finished_at)}."


__all__ = ["Page", "of", "text"]
