"""What somebody could do to a dossier, at random: every way that we could think of, alone."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from sluice.api.base import Resource, format_time, parse_time
from sluice.api.governanceevidence import EvidenceKind, GovernanceEvidenceSpec
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.modeldecision import ModelDecisionSpec
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.record import ORIGIN, Record
from sluice.core import document, evidence, identity, records
from sluice.core.dossier import Dossier
from sluice.core.objects import Object
from sluice.core.records import Head
from sluice.core.verification import Trust, verify

UNCOVERED = {"lane", "source", "waitingSince", "waited", "failing", "conditions"}
"""Of a status, what no record holds (docs/records.md)."""
_SPECS: dict[str, type[Resource]] = {
    "ModelRevision": ModelRevisionSpec,
    "GovernanceEvidence": GovernanceEvidenceSpec,
    "ModelDecision": ModelDecisionSpec,
    "GovernanceException": GovernanceExceptionSpec,
}


class Pointless(Exception):  # noqa: N818 - the next try does better
    """This changes nothing, or there is nothing to change."""


@dataclass
class Tamperer:
    """Lays hands on copies of one dossier."""

    dossier: Dossier
    earlier: Dossier
    """The same deployment some decisions ago."""
    chance: random.Random
    stranger: CryptoSigner
    """Somebody's key that nobody trusts."""
    items: list[Object] = field(default_factory=list)

    def one(self, ways: Sequence[str]) -> tuple[str, Dossier]:
        """A tampered copy, and what was done: one of these ways."""
        while True:
            self.items = list(self.dossier.objects)
            what = self.chance.choices(ways, [WAYS[way][0] for way in ways])[0]
            try:
                WAYS[what][1](self)
            except Pointless:
                continue
            return what, replace(self.dossier, objects=tuple(self.items))

    # Choosing

    def pick(self, *kinds: str) -> Object:
        """A copy of an object, in the place of the original."""
        index = self.chance.choice([n for n, item in enumerate(self.items) if item["kind"] in kinds])
        self.items[index] = copy.deepcopy(self.items[index])
        return self.items[index]

    def of(self, kind: str, name: str) -> Object:
        """A copy of this very object, in its place."""
        for index, item in enumerate(self.items):
            if (item["kind"], item["metadata"]["name"]) == (kind, name):
                self.items[index] = copy.deepcopy(item)
                return self.items[index]
        raise Pointless

    def paper(self, *kinds: EvidenceKind) -> Object:
        """A copy of a document of these kinds, in its place."""
        names = [
            item["metadata"]["name"]
            for item in self.items
            if item["kind"] == "GovernanceEvidence" and item["spec"]["kind"] in kinds
        ]
        if not names:
            raise Pointless
        return self.of("GovernanceEvidence", self.chance.choice(names))

    def another(self, value: Any) -> Any:
        """A different value of the same type."""
        match value:
            case bool():
                return not value
            case int():
                return value + self.chance.choice([-1, 1])
            case str() if value.startswith("sha256:"):
                at = self.chance.randrange(7, len(value))
                return value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]
            case str() if value[:2] == "20" and value.endswith("Z"):
                return format_time(parse_time(value) + timedelta(seconds=self.chance.choice([-1, 1, 3600])))
            case str():
                others = [v for v in _strings(self.items) if v != value]
                return self.chance.choice([value + "x", value[1:] or "x", self.chance.choice(others)])
        return "x"


def _strings(items: list[Object]) -> list[str]:
    return [item["metadata"]["name"] for item in items] + ["Pass", "Promoted", "90s", "100", "dana@bank.example"]


Path = tuple[str | int, ...]


def _leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield path


def _lists(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lists(inner, (*path, key))
    elif isinstance(value, list):
        yield path
        for index, inner in enumerate(value):
            yield from _lists(inner, (*path, index))


def _dicts(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from _dicts(inner, (*path, key))


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _part(tamperer: Tamperer, item: Object) -> str:
    """Which part of an object is laid hands on."""
    parts = ["spec", "status"] if item["kind"] == "ModelRevision" else ["spec"]
    return tamperer.chance.choice(parts)


def _means_the_same(before: Object, after: Object) -> bool:
    """Whether an object says what it said, such as when a default was left out."""
    kind = after["kind"]
    try:
        if kind == "GovernanceEvidence":
            if evidence.decode(before) != evidence.decode(after):
                return False
            same = [GovernanceEvidenceSpec.model_validate(i["spec"]) for i in (before, after)]
            return same[0].model_copy(update={"content": "-"}) == same[1].model_copy(update={"content": "-"})
        if _SPECS[kind].model_validate(before["spec"]) != _SPECS[kind].model_validate(after["spec"]):
            return False
        if kind != "ModelRevision":
            return _keys(after["spec"]) <= _keys(before["spec"])
        statuses = [ModelRevisionStatus.model_validate(i["status"]) for i in (before, after)]
    except (ValidationError, ValueError, KeyError):
        return False
    return (
        statuses[0] == statuses[1]
        and all(
            _keys(after[part]) <= _keys(before[part]) and _values(after[part]) <= _values(before[part])
            for part in ("spec", "status")
        )
        and _keys(after["status"]["records"]) == _keys(before["status"]["records"])
    )


def _keys(value: Any) -> set[Path]:
    return set(_leaves(value)) | set(_dicts(value)) | set(_lists(value))


def _values(value: Any) -> set[tuple[Path, str]]:
    return {(path, repr(_at(value, path))) for path in _leaves(value)}


def _covered(part: str, path: Path) -> bool:
    return part != "status" or path[0] not in UNCOVERED


def _edit(tamperer: Tamperer, change: Callable[[Object, str], Path]) -> None:
    item = tamperer.pick(*_SPECS)
    before, part = copy.deepcopy(item), _part(tamperer, item)
    path = change(item, part)
    if not _covered(part, path) or _means_the_same(before, item):
        raise Pointless


def edit_field(t: Tamperer) -> None:
    """One value of a spec or a status is another."""

    def change(item: Object, part: str) -> Path:
        path = t.chance.choice(list(_leaves(item[part])))
        _at(item[part], path[:-1])[path[-1]] = t.another(_at(item[part], path))
        return path

    _edit(t, change)


def remove_field(t: Tamperer) -> None:
    def change(item: Object, part: str) -> Path:
        path = t.chance.choice([p for p in _keys(item[part]) if p and isinstance(p[-1], str)])
        del _at(item[part], path[:-1])[path[-1]]
        return path

    _edit(t, change)


def add_field(t: Tamperer) -> None:
    def change(item: Object, part: str) -> Path:
        path = t.chance.choice(list(_dicts(item[part])))
        _at(item[part], path)["note"] = "all is well"
        return (*path, "note")

    _edit(t, change)


def edit_list(t: Tamperer) -> None:
    """An item of a list is removed, repeated, or changes places."""

    def change(item: Object, part: str) -> Path:
        full = [p for p in _lists(item[part]) if _at(item[part], p)]
        if not full:
            raise Pointless
        path = t.chance.choice(full)
        values = _at(item[part], path)
        index = t.chance.randrange(len(values))
        how = t.chance.choice(["remove", "repeat", "move"])
        if how == "remove":
            del values[index]
        elif how == "repeat":
            values.insert(index, copy.deepcopy(values[index]))
        else:
            values.insert(t.chance.randrange(len(values)), values.pop(index))
        return path

    _edit(t, change)


def edit_metadata(t: Tamperer) -> None:
    """An object takes another's place."""
    item = t.pick(*_SPECS)
    key = t.chance.choice(["name", "uid", "namespace"])
    if item["kind"] == "GovernanceEvidence" and key == "uid":
        raise Pointless  # documents are known by their digest
    item["metadata"][key] = t.another(item["metadata"][key])


# Records


def _told(t: Tamperer) -> tuple[Object, list[Object]]:
    item = t.pick("ModelRevision")
    return item, item["status"]["records"]


def remove_records(t: Tamperer) -> None:
    _, told = _told(t)
    first = t.chance.randrange(len(told))
    del told[first : t.chance.randrange(first + 1, len(told) + 1)]


def swap_records(t: Tamperer) -> None:
    _, told = _told(t)
    if len(told) < 2:
        raise Pointless
    one, other = t.chance.sample(range(len(told)), 2)
    told[one], told[other] = told[other], told[one]


def forge_record(t: Tamperer) -> None:
    """One record says something else, and its own hash is right."""
    item, told = _told(t)
    index = t.chance.randrange(len(told))
    forged = told[index] | {"message": "all is well", "actor": "dana@bank.example"}
    told[index] = forged | {"hash": records.hash_of(Record.model_validate(forged))}
    assert item


def _write_anew(item: Object, told: list[Object], start: Head) -> None:
    """Every hash and number is right again, and the status is what the last record says."""
    at, made = start, []
    for record in told:
        bound = Record.model_validate(record | {"sequence": at.sequence + 1, "previousHash": at.hash})
        bound = bound.model_copy(update={"hash": records.hash_of(bound)})
        made.append(bound.dump())
        at = Head(bound.sequence, bound.hash)
    item["status"]["records"] = made


def _start(item: Object) -> Head:
    archived = item["status"].get("archived")
    if archived:
        return Head(archived["until"], archived["hash"])
    return Head(-1, item["spec"].get("previous", {}).get("hash", ORIGIN))


def write_anew(t: Tamperer) -> None:
    """A record is changed, removed or made up, and everything after it written anew, so that the chain holds."""
    item, told = _told(t)
    index = t.chance.randrange(1 if len(told) > 1 else 0, len(told))
    how = t.chance.choice(["edit", "remove", "add"])
    if how == "edit":
        told[index]["message"] = "all is well"
    elif how == "add" or index in (0, len(told) - 1):
        told.insert(index, told[index] | {"actor": "vera@bank.example", "kind": "DecisionSeen", "evidence": []})
    else:
        del told[index]
    _write_anew(item, told, _start(item))
    if t.chance.random() < 0.5:
        item["status"].pop("seal", None)


def _settle(item: Object, told: list[Object]) -> None:
    """The status becomes what its last record must say, by somebody who knows how Sluice writes."""
    state = records.state(ModelRevisionStatus.model_validate(item["status"]))
    others = [e for e in told[-1]["evidence"] if e["name"] != "state"]
    told[-1]["evidence"] = [*others, {"name": "state", "digest": state}]


def rewrite_history(t: Tamperer) -> None:
    """A rollback becomes a promotion, by somebody who knows everything but the key: no contradiction is left."""
    item, told = _told(t)
    item["status"]["message"] = "every gate passed on every step"
    told[-1]["message"] = "every gate passed on every step"
    _settle(item, told)
    _write_anew(item, told, _start(item))
    item["status"].pop("seal", None)
    _drop_seals(t, item["metadata"]["name"])
    follower = f"scorer-r{item['spec']['revision'] + 1}"
    if any(i["metadata"]["name"] == follower for i in t.items):
        _relink(t, item, follower)


def _relink(t: Tamperer, before: Object, name: str) -> None:
    """The next revision goes on from what was written anew."""
    follower = t.of("ModelRevision", name)
    link = follower["spec"].get("previous")
    known = {r["sequence"]: r["hash"] for r in before["status"]["records"]}
    if link is None or link["sequence"] not in known or _start(follower).sequence >= 0:
        raise Pointless  # it cannot be made to fit
    link["hash"] = known[link["sequence"]]
    told = follower["status"]["records"]
    spec = identity.content(ModelRevisionSpec.model_validate(follower["spec"]))
    told[0]["evidence"] = [e | {"digest": spec} if e["name"] == "spec" else e for e in told[0]["evidence"]]
    _write_anew(follower, told, _start(follower))
    follower["status"].pop("seal", None)
    _drop_seals(t, name)


def _drop_seals(t: Tamperer, revision: str) -> None:
    t.items = [
        item
        for item in t.items
        if item["kind"] != "GovernanceEvidence"
        or (item["spec"]["kind"], item["spec"]["revision"]) != (EvidenceKind.SEAL, revision)
    ]


def turn_back(t: Tamperer) -> None:
    """A revision and its documents are put back to what they were some decisions ago."""
    item = t.pick("ModelRevision")
    name = item["metadata"]["name"]
    before = [i for i in t.earlier.objects if i["kind"] == "ModelRevision" and i["metadata"]["name"] == name]
    if not before or before[0]["status"] == item["status"]:
        raise Pointless
    item["status"] = copy.deepcopy(before[0]["status"])
    there = {i["metadata"]["name"] for i in t.earlier.objects if i["kind"] == "GovernanceEvidence"}
    t.items = [
        i
        for i in t.items
        if i["kind"] != "GovernanceEvidence" or i["spec"]["revision"] != name or i["metadata"]["name"] in there
    ]


def cut_off_the_end(t: Tamperer) -> None:
    """The last decisions are gone, seals and all; what is left was once so."""
    item, told = _told(t)
    ends = [n for n, r in enumerate(told[:-1]) if any(e["name"] == "state" for e in r["evidence"])]
    if not ends:
        raise Pointless
    del told[t.chance.choice(ends) + 1 :]
    item["status"].pop("seal", None)
    _drop_seals(t, item["metadata"]["name"])


def remove_revisions(t: Tamperer) -> None:
    """Whole revisions are gone, with or without their documents."""
    names = [i["metadata"]["name"] for i in t.items if i["kind"] == "ModelRevision"]
    gone = set(t.chance.sample(names, t.chance.randint(1, len(names))))
    papers = t.chance.random() < 0.7
    t.items = [
        i
        for i in t.items
        if not (i["kind"] == "ModelRevision" and i["metadata"]["name"] in gone)
        and not (papers and i["kind"] == "GovernanceEvidence" and i["spec"]["revision"] in gone)
    ]


# Documents


def edit_document(t: Tamperer) -> None:
    """A document says something else; its digest and its name may be made to fit."""
    item = t.paper(*EvidenceKind)
    text = evidence.decode(item)
    data = json.loads(text)
    path = t.chance.choice(list(_leaves(data)))
    _at(data, path[:-1])[path[-1]] = t.another(_at(data, path))
    changed = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if changed == text:
        raise Pointless
    _rewrite(item, changed, t)


def _rewrite(item: Object, text: str, t: Tamperer) -> None:
    spec = item["spec"]
    spec["content"] = evidence.encode(text)
    if t.chance.random() < 0.7:
        spec["digest"] = document.digest(text)
    if t.chance.random() < 0.7:
        item["metadata"]["name"] = evidence.name(spec["revision"], EvidenceKind(spec["kind"]), spec["digest"])


def exchange_documents(t: Tamperer) -> None:
    one, other = t.paper(*EvidenceKind), t.paper(*EvidenceKind)
    if one["spec"]["digest"] == other["spec"]["digest"]:
        raise Pointless
    one["spec"]["content"], other["spec"]["content"] = other["spec"]["content"], one["spec"]["content"]


def remove_document(t: Tamperer) -> None:
    """A document is gone that a record, or the seal in the status, names."""
    item = t.paper(EvidenceKind.INPUTS, EvidenceKind.RECORDS)
    t.items = [i for i in t.items if i is not item]


def remove_latest_seal(t: Tamperer) -> None:
    """The document of the seal in a status is gone."""
    revision = t.pick("ModelRevision")
    wanted = revision["status"]["seal"]["hash"].removeprefix("sha256:")
    name = revision["metadata"]["name"]
    before = len(t.items)
    t.items = [
        i
        for i in t.items
        if i["kind"] != "GovernanceEvidence"
        or (i["spec"]["kind"], i["spec"]["revision"]) != (EvidenceKind.SEAL, name)
        or wanted not in json.dumps(_statement(i))
    ]
    if len(t.items) == before:
        raise Pointless


def _statement(item: Object) -> Any:
    return json.loads(Envelope.from_dict(json.loads(evidence.decode(item))).payload)


def forge_seal(t: Tamperer) -> None:
    """A seal says something else, with the signature of a stranger, the old one, or none."""
    item = t.paper(EvidenceKind.SEAL)
    envelope = Envelope.from_dict(json.loads(evidence.decode(item)))
    said = json.loads(envelope.payload)
    if t.chance.random() < 0.7:
        said["predicate"]["sequence"] += t.chance.choice([-1, 1])
        said["subject"][0]["digest"]["sha256"] = "ab" * 32
    envelope.payload = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    how = t.chance.choice(["stranger", "old", "none"])
    if how != "old":
        envelope.signatures = {}
    if how == "stranger":
        envelope.sign(t.stranger)
    text = json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))
    if text == evidence.decode(item):
        raise Pointless
    spec = item["spec"]
    spec["content"], spec["digest"] = evidence.encode(text), document.digest(text)
    item["metadata"]["name"] = evidence.name(spec["revision"], EvidenceKind.SEAL, spec["digest"])


def remove_seal_from_status(t: Tamperer) -> None:
    del t.pick("ModelRevision")["status"]["seal"]


# What people did


def remove_act(t: Tamperer) -> None:
    item = t.pick("ModelDecision", "GovernanceException")
    t.items = [i for i in t.items if i is not item]


def exchange_acts(t: Tamperer) -> None:
    """A person's act becomes another of the same kind, under its name."""
    item = t.pick("ModelDecision", "GovernanceException")
    others = [i for i in t.items if i["kind"] == item["kind"] and i["spec"] != item["spec"]]
    if not others:
        raise Pointless
    item["spec"] = copy.deepcopy(t.chance.choice(others)["spec"])


def repeat_object(t: Tamperer) -> None:
    """An object is there twice, the second a little different."""
    item = copy.deepcopy(t.pick(*_SPECS))
    item["metadata"]["uid"] = "uid-of-a-copy"
    t.items.append(item)


WAYS: dict[str, tuple[int, Callable[[Tamperer], None]]] = {
    "one field edited": (30, edit_field),
    "one field removed": (8, remove_field),
    "one field added": (5, add_field),
    "a list edited": (8, edit_list),
    "name, uid or namespace edited": (3, edit_metadata),
    "records removed": (6, remove_records),
    "records exchanged": (3, swap_records),
    "a record forged with its hash": (3, forge_record),
    "a chain written anew": (5, write_anew),
    "a history written anew without contradiction": (3, rewrite_history),
    "a revision put back": (2, turn_back),
    "the end cut off": (4, cut_off_the_end),
    "revisions removed": (4, remove_revisions),
    "a document edited": (6, edit_document),
    "documents exchanged": (2, exchange_documents),
    "a document removed": (3, remove_document),
    "the latest seal removed": (2, remove_latest_seal),
    "a seal forged": (4, forge_seal),
    "a seal removed from the status": (1, remove_seal_from_status),
    "a person's act removed": (2, remove_act),
    "people's acts exchanged": (2, exchange_acts),
    "an object there twice": (1, repeat_object),
}
"""How often, and what."""


@dataclass
class Tally:
    """What came of many tamperings."""

    done: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    """Of each kind missed, what was different in one."""

    def add(self, other: Tally) -> None:
        self.done += other.done
        self.missed += other.missed
        self.examples |= other.examples


def tamper(tamperer: Tamperer, trust: Trust, count: int, ways: Sequence[str] = tuple(WAYS)) -> Tally:
    """Lay hands on a dossier many times, and check it each time."""
    tally = Tally()
    for _ in range(count):
        what, changed = tamperer.one(ways)
        tally.done[what] += 1
        if not verify(changed, trust).findings:
            tally.missed[what] += 1
            tally.examples[what] = _difference(tamperer.dossier, changed)
    return tally


def _difference(before: Dossier, after: Dossier) -> str:
    for one, other in zip(before.objects, after.objects, strict=False):
        if one != other:
            gone, new = _values(one) - _values(other), _values(other) - _values(one)
            return (
                f"{one['kind']} {one['metadata']['name']}: {sorted(map(str, gone))[:3]} -> {sorted(map(str, new))[:3]}"
            )
    return f"{len(before.objects)} objects became {len(after.objects)}"
