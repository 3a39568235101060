"""Stories: releases at the bank, by what becomes of them. They only say what people do, what is measured, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from sluice.api.governancepolicy import GovernancePolicySpec
from sluice.api.modeldecision import Action
from sluice.api.modeldeployment import (
    Governance,
    ModelReference,
    MonitorUse,
)
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core.dossier import Dossier
from sluice.core.governance.facts import Policy
from sluice.core.plan import Evaluation
from tests.unit.bank import REQUESTER, Bank, measured, spec, tier_high
from tests.unit.core.governance import examples
from tests.unit.core.simulation import DRIFT, LEVEL, steps
from tests.unit.dossiers import dossier

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
QUOTES = '"\' onmouseover="alert(3)" style="position:fixed" x=\''
TURNED = "\u202egpj.exe\u202c \u2066hidden\u2069\u200b"
LONG = "Wort" * 30
EMOJI = "👩🏽‍🔬🇨🇭 naïve ‏שלום‎ 你好"
STYLE = "</style></title></textarea>--><style>*{display:none}</style>"
LINK = "javascript:alert(4)"
HOSTILE = (SCRIPT, QUOTES, TURNED, LONG, EMOJI, STYLE, LINK)
"""What somebody might write where a name or a reason is asked for."""


def serving() -> Bank:
    """Version 6 is stable, released under the policy of tier High."""
    bank = Bank(spec("6"))
    bank.govern(tier_high())
    bank.settle()
    bank.tick()
    bank.agree(1)
    bank.run(900, every=30)
    assert bank.status.stable_revision == "fraud-r1", bank.status.message
    return bank


def promoted() -> Bank:
    """Version 7 after 6: approved after 70 minutes of waiting, a waiver, and five steps."""
    bank = serving()
    bank.ask(spec("7"))
    card = examples.EVIDENCE.card
    assert card is not None
    short = card.model_copy(update={"sections": [name for name in card.sections if name != "limitations"]})
    bank.known = {"formats": ["pickle"], "scan": "", "card": short, "environment_digest": None}
    bank.run(300, every=60)
    bank.waive("rita@bank.example", "GOV-SUP-04", 2)
    bank.waive("rita@bank.example", "GOV-DOC-01", 2, reason="the limitations are being written", ticket="EXC-18")
    bank.run(3900, every=300)
    bank.act("vera@bank.example", Action.APPROVE, 2, role="model-validator", reason="validated on the October sample")
    bank.run(1200, every=30)
    bank.act(
        "olga@bank.example",
        Action.APPROVE,
        2,
        role="model-owner",
        reason="agreed in the change board",
        ticket="CAB-1204",
        conditions={"namespaces": ["risk"]},
    )
    bank.run(1800, every=30)
    assert bank.phase("fraud-r2") == "Promoted", bank.status.message
    return bank


def rolled_back() -> Bank:
    """Version 7 drifts at the third step, and its traffic is taken back."""
    bank = serving()
    bank.ask(spec("7"))
    bank.tick()
    bank.agree(2)
    bank.run(600, every=30)

    def drifts(wanted: Evaluation, _now: datetime) -> Verdict:
        late = bank.share("fraud-r2") > 20
        return Verdict.FAIL if late and wanted.monitor.drift is not None else Verdict.PASS

    bank.oracle = drifts
    bank.run(2100, every=30)
    assert bank.phase("fraud-r2") == "RolledBack"
    return bank


def superseded() -> Bank:
    """Version 8 is asked for while 7 takes its steps."""
    bank = serving()
    bank.ask(spec("7"))
    bank.tick()
    bank.agree(2)
    bank.run(1500, every=30)
    bank.ask(spec("8"))
    bank.run(120, every=30)
    assert bank.phase("fraud-r2") == "Superseded"
    return bank


def paused() -> Bank:
    """A person pauses version 7 at 25 %, resumes it, and promotes it past its gates; another had refused to approve."""
    bank = serving()
    bank.ask(spec("7"))
    bank.tick()
    bank.act(REQUESTER, Action.APPROVE, 2, role="model-validator", reason="it is mine")
    bank.tick(60)
    bank.agree(2)
    bank.run(1500, every=30)
    bank.act("otto@bank.example", Action.PAUSE, 2, reason="complaints from two branches")
    bank.run(5400, every=60)
    bank.act("otto@bank.example", Action.RESUME, 2, reason="the branches had a network fault")
    bank.run(120, every=30)
    bank.act("otto@bank.example", Action.PROMOTE, 2, reason="quarter end, agreed on the phone", ticket="CHG-90001")
    bank.run(300, every=30)
    return bank


def rejected() -> Bank:
    """A person refuses version 7 before anything of it runs."""
    bank = serving()
    bank.ask(spec("7"))
    bank.run(1800, every=60)
    bank.act("vera@bank.example", Action.REJECT, 2, role="model-validator", reason="the sample misses two regions")
    bank.run(60)
    assert bank.phase("fraud-r2") == "RolledBack"
    return bank


def moving() -> Bank:
    """Version 7 at a quarter of the traffic, and not ended."""
    bank = serving()
    bank.ask(spec("7"))
    bank.tick()
    bank.agree(2)
    bank.run(1700, every=30)
    assert bank.phase("fraud-r2") == "Progressing"
    return bank


def ungoverned() -> Bank:
    """A first release about which nobody stated anything, and which nothing governs."""
    bank = Bank(spec("6", governance=None), sealing=False)
    bank.settle()
    bank.run(900, every=30)
    assert bank.phase("fraud-r1") == "Promoted"
    return bank


def many_steps() -> Bank:
    """Twenty steps, the most that a plan can have."""
    plan = steps(
        *(f"{weight} 100s" for weight in [1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 23, 28, 34, 41, 49, 58, 68, 79, 91]), "100"
    )
    bank = serving()
    bank.ask(spec("7", steps=plan))
    bank.tick()
    bank.agree(2)
    bank.run(5000, every=50)
    assert bank.phase("fraud-r2") == "Promoted", bank.status.message
    return bank


def _named(name: str, version: str) -> ModelReference:
    return ModelReference(name=name, version=version)


def hostile() -> Bank:
    """A release in which every name and every reason is meant to do something to who reads it."""
    stated = Governance(
        inventory_id=SCRIPT,
        risk_tier="High",
        owner=QUOTES,
        use_case=STYLE,
        change_reason=" ".join(HOSTILE),
        ticket=LINK,
        developers=[EMOJI],
        runbook=LINK,
        escalation=TURNED,
        jurisdictions=["<b>US"],
    )
    watched = f"{SCRIPT}{LONG}"
    plan = {"steps": steps("shadow 60s", "5 60s", "100"), "progress_deadline": timedelta(hours=1)}
    made = spec("6", stated, **plan)
    monitors = [MonitorUse(name=watched), MonitorUse(name=EMOJI)]
    bank = Bank(made.model_copy(update={"model": _named(SCRIPT + QUOTES, "6"), "monitors": monitors}))
    bank.monitors = {(monitors[0].kind, watched): LEVEL, (monitors[1].kind, EMOJI): DRIFT}

    def says(wanted: Evaluation, now: datetime) -> MonitorResult:
        return measured(wanted, now).model_copy(update={"message": " ".join(HOSTILE)})

    bank.measure = says
    rule = {
        "name": "hostile",
        "title": SCRIPT,
        "expression": "false",
        "message": f"{QUOTES}{STYLE}",
        "mode": "Warn",
    }
    asked = [{"role": "model-validator", "distinctFrom": []}]
    warned = [{"id": control, "mode": "Warn"} for control in ("GOV-INV-01", "GOV-DOC-01", "GOV-DOC-02", "GOV-CHG-01")]
    loud = GovernancePolicySpec.model_validate({"controls": warned, "approvals": asked, "customRules": [rule]})
    bank.govern(Policy(f"{STYLE}{SCRIPT}", loud))
    bank.oversight = replace(bank.oversight, requester=QUOTES + EMOJI)
    bank.settle()
    for who in (TURNED + "@bank.example", SCRIPT, LONG):
        bank.act(who, Action.APPROVE, 1, role="model-validator", reason=" ".join(HOSTILE), ticket=QUOTES)
    bank.waive(STYLE, "CUSTOM-hostile", 1, reason=SCRIPT, ticket=LINK)
    bank.run(240, every=30)
    bank.ask(made.model_copy(update={"model": _named(SCRIPT + QUOTES, "7"), "monitors": monitors}))
    for who in (TURNED + "@bank.example", SCRIPT, LONG):
        bank.act(who, Action.APPROVE, 2, role="model-validator", reason=" ".join(HOSTILE), ticket=QUOTES)
    bank.waive(STYLE, "CUSTOM-hostile", 2, reason=SCRIPT, ticket=LINK)
    bank.run(90, every=30)
    bank.act(SCRIPT, Action.ABORT, 2, reason=" ".join(HOSTILE))
    bank.run(120, every=30)
    return bank


STORIES: dict[str, Callable[[], Bank]] = {
    "promoted": promoted,
    "rolled back": rolled_back,
    "superseded": superseded,
    "paused": paused,
    "rejected": rejected,
    "moving": moving,
    "first release": serving,
    "ungoverned": ungoverned,
    "twenty steps": many_steps,
    "hostile": hostile,
}
"""By what becomes of them."""


@cache
def told(name: str) -> Dossier:
    """What is kept of a story at its end. Told once, however many tests read it."""
    return dossier(STORIES[name]())
