"""The catalogue's page says what the controls are, and each is asked for by something."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from pydantic.alias_generators import to_camel

from sluice.catalogue.__main__ import main
from sluice.catalogue.frameworks import frameworks
from sluice.catalogue.page import page
from sluice.core.governance.catalogue import CATALOGUE, FAMILIES
from sluice.core.governance.custom import NOT_FOR_RULES
from sluice.core.governance.facts import Facts

PREFIXES = ("INV", "DOC", "DAT", "VAL", "FAIR", "SUP", "APP", "ROL", "MON", "CHG", "AUD")
COUNTS = (4, 4, 4, 5, 3, 5, 5, 4, 5, 3, 4)


def test_the_catalogue_is_complete_and_no_id_is_there_twice() -> None:
    expected = [f"GOV-{p}-{n:02}" for p, count in zip(PREFIXES, COUNTS, strict=True) for n in range(1, count + 1)]
    assert [control.id for controls in FAMILIES.values() for control in controls] == expected
    assert list(CATALOGUE) == expected


def test_every_control_is_asked_for_by_a_framework_that_is_described() -> None:
    known = frameworks()
    assert set(known.references) == set(CATALOGUE)
    assert {key for given in known.references.values() for key in given} == set(known.known)
    assert known.of("GOV-CHG-03") == ("NIST GOVERN 1.7",)


def test_the_page_has_every_control_parameter_and_fact() -> None:
    text = page()
    for control in CATALOGUE.values():
        assert f"| `{control.id}` | {control.title} |" in text
        assert all(f"| `{control.id}` | `{name}` |" in text for name in control.parameters)
    described = text.partition("### facts")[2].partition("###")[0]
    for field in fields(Facts):
        assert (f"| `{to_camel(field.name)}` |" in described) is (field.name not in NOT_FOR_RULES)


def test_a_page_that_differs_is_noticed(tmp_path: Path) -> None:
    target = tmp_path / "controls.md"
    assert main([str(target), "--check"]) == 1
    assert main([str(target)]) == 0
    assert main([str(target), "--check"]) == 0
    target.write_text(target.read_text() + "edited")
    assert main([str(target), "--check"]) == 1
