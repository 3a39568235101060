"""Palette: one mark and one colour for each word, the same in every command."""

from __future__ import annotations

from rich.text import Text

from sluice.api.governance import ControlResult, ControlVerdict
from sluice.api.governancepolicy import Mode
from sluice.api.modeldeployment import Phase
from sluice.api.modelrevision import RevisionPhase
from sluice.api.verdict import Verdict

OK, BAD, WAIT, NOW, LATER, DIM = "green", "red", "yellow", "cyan", "dim", "dim"

PHASES = {
    Phase.PENDING: ("○", WAIT),
    Phase.EVALUATING: ("◌", NOW),
    Phase.AWAITING_APPROVAL: ("◔", WAIT),
    Phase.PROGRESSING: ("◑", NOW),
    Phase.PAUSED: ("‖", WAIT),
    Phase.HEALTHY: ("✔", OK),
    Phase.DEGRADED: ("✖", BAD),
}
REVISIONS = {
    RevisionPhase.PENDING: ("○", WAIT),
    RevisionPhase.PROGRESSING: ("◑", NOW),
    RevisionPhase.PAUSED: ("‖", WAIT),
    RevisionPhase.PROMOTED: ("✔", OK),
    RevisionPhase.ROLLED_BACK: ("✖", BAD),
    RevisionPhase.SUPERSEDED: ("↷", DIM),
}
VERDICTS = {
    Verdict.PASS: ("✔", OK),
    Verdict.FAIL: ("✖", BAD),
    Verdict.INCONCLUSIVE: ("?", WAIT),
    Verdict.ERROR: ("!", WAIT),
}
CONTROLS = {
    ControlVerdict.PASS: ("✔", OK),
    ControlVerdict.FAIL: ("✖", BAD),
    ControlVerdict.ERROR: ("!", WAIT),
    ControlVerdict.SKIPPED: ("–", DIM),
    ControlVerdict.WAIVED: ("~", WAIT),
}


def phase(word: Phase | None) -> Text:
    """A deployment's phase."""
    mark, style = PHASES.get(word, ("○", DIM)) if word else ("○", DIM)
    return Text(f"{mark} {word or 'New'}", style=style)


def revision(word: RevisionPhase) -> Text:
    """A revision's phase."""
    mark, style = REVISIONS[word]
    return Text(f"{mark} {word}", style=style)


def control(result: ControlResult) -> tuple[str, str]:
    """Mark and style of a control: what only warns is not red."""
    mark, style = CONTROLS[result.verdict]
    if result.mode is not Mode.ENFORCE and result.verdict in (ControlVerdict.FAIL, ControlVerdict.ERROR):
        return "⚠", WAIT
    return mark, style


def bar(weight: int, cells: int = 10) -> Text:
    """A share of the traffic: any share at all shows."""
    full = 0 if weight == 0 else max(1, round(weight * cells / 100))
    return Text("━" * full, style=NOW) + Text("─" * (cells - full), style="bright_black")


def line(*parts: tuple[str, str] | str | Text, gap: str = "  ") -> Text:
    """Parts of one line; what is empty is left out."""
    result = Text()
    for part in parts:
        text = part if isinstance(part, Text) else Text(*part) if isinstance(part, tuple) else Text(part)
        if text.plain:
            result += (Text(gap) if result.plain else Text()) + text
    return result
