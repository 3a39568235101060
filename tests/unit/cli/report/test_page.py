"""The page: it says what was, needs nothing else, and cannot be made to do anything but be read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.cli.report import page, rendering, wording
from sluice.cli.report.page import Page
from sluice.core.dossier import Dossier
from tests.unit.cli.report.markup import Taken, dangers, taken
from tests.unit.dossiers import UNTRUSTED
from tests.unit.stories import EMOJI, HOSTILE, LONG, STORIES, told

pytestmark = pytest.mark.xdist_group("stories")  # which are simulated once for each process

SUBJECT = {"first release": "r1", "ungoverned": "r1"}


@cache
def made(name: str) -> Page:
    return page.of(told(name), UNTRUSTED, SUBJECT.get(name, "r2"), source="a test")


@cache
def html(name: str) -> str:
    return rendering.render(made(name))


@cache
def parts(name: str) -> Taken:
    return taken(html(name))


@pytest.mark.parametrize("name", STORIES)
def test_a_page_runs_loads_and_sends_nothing(name: str) -> None:
    assert list(dangers(html(name))) == []


@pytest.mark.parametrize("name", STORIES)
def test_a_browser_is_told_to_do_nothing_but_show_it(name: str) -> None:
    policies = [a["content"] for tag, a in parts(name).tags if tag == "meta" and "http-equiv" in a]
    assert policies == [rendering.CONTENT_POLICY]
    assert "default-src 'none'" in rendering.CONTENT_POLICY
    assert "script-src" not in rendering.CONTENT_POLICY


@pytest.mark.parametrize("name", STORIES)
def test_every_id_is_one_things_and_every_reference_leads_to_one(name: str) -> None:
    tags = [attributes for _, attributes in parts(name).tags]
    ids = [a["id"] for a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    named = {word for a in tags for word in (a.get("aria-labelledby") or "").split()}
    used = {(a["href"] or "").removeprefix("#") for a in tags if "href" in a}
    assert named | used <= set(ids)


def test_what_others_wrote_is_there_to_be_read_and_nothing_else() -> None:
    found = parts("hostile")
    for wrote in (*HOSTILE[:2], *HOSTILE[5:], LONG):
        assert wrote in found.text
    assert EMOJI.split()[1] in found.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f]", html("hostile"))
    assert "\N{REPLACEMENT CHARACTER}gpj.exe" in found.text


def test_the_checks_of_this_file_find_what_they_look_for() -> None:
    for bad in (
        "<script>x</script>",
        "<p onclick=x>",
        "<p style='x'></p>",
        "<a href='javascript:x'></a>",
        "<img src=x>",
        "<svg><use href='//evil'/></svg>",
        "<p><b></p></b>",
        "<style>a{background:url(//evil)}</style>",
        "<meta http-equiv=refresh content='0;//evil'>",
    ):
        assert list(dangers(bad)) != [], bad


_ANYTHING = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60), st.text(st.characters(categories=["Cc", "Cf"])))


@settings(max_examples=25, deadline=None)
@given(st.lists(_ANYTHING, min_size=7, max_size=7), st.integers(0, 6))
def test_whatever_an_export_says_the_page_stays_a_page(texts: list[str], turn: int) -> None:
    texts = texts[turn:] + texts[:turn]
    items = []
    for item in told("ungoverned").objects:
        changed: Any = json.loads(json.dumps(item))
        if changed["kind"] == "ModelRevision":
            changed["spec"]["model"]["name"] = texts[0] or "x"
            changed["spec"]["requester"] = texts[1][:128]
            changed["spec"]["governance"] = {
                "owner": texts[2][:128],
                "changeReason": texts[3],
                "useCase": texts[4][:128],
            }
            for record in changed["status"]["records"]:
                record |= {"message": texts[5], "actor": texts[6] or "x"}
            for step in changed["status"]["steps"]:
                step["results"][0] |= {"message": texts[1], "name": texts[2] or "x"}
        items.append(changed)
    found = rendering.render(page.of(replace(told("ungoverned"), objects=tuple(items)), UNTRUSTED, source=texts[0]))
    assert list(dangers(found)) == []
    assert found.encode()


@given(st.text())
def test_a_title_in_the_style_sheet_is_the_title_and_ends_nothing(text: str) -> None:
    made = rendering.css_string(text)
    assert re.fullmatch(r"(?:[A-Za-z0-9]|\\[0-9a-f]+ )*", made)
    read = re.sub(r"\\([0-9a-f]+) ", lambda match: chr(int(match[1], 16)), made)
    assert read == wording.plain(text)[:160]


def test_a_page_has_the_title_of_its_release_on_each_sheet() -> None:
    assert made("promoted").title == "fraud-r2 in risk: release of fraud-scorer version 7"
    assert f'@page {{ @top-left {{ content: "{rendering.css_string(made("promoted").title)}"; }} }}' in html("promoted")


def test_templates_leave_all_escaping_to_the_environment_and_are_in_the_package() -> None:
    folder = resources.files("sluice.cli.report").joinpath("templates")
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert {"page.html", "plot.svg", "page.css", "macros.html", "marks.svg"} == set(texts)
    for name, text in texts.items():
        assert not re.search(r"\|\s*safe|autoescape|Markup", text), name


@pytest.mark.parametrize("name", STORIES)
def test_every_figure_of_the_drawing_is_in_the_tables(name: str) -> None:
    shown = made(name)
    assert shown.plot is not None
    rows = parts(name).cells
    for step in shown.steps:
        row = next(r for r in rows if r[0] == str(step.number) and step.live in r)
        assert step.began in row
        for result in step.results:
            assert wording.plain(result.name) in row[-1]
            assert str(result.verdict) in row[-1]
    drawn = len([result for step in shown.steps if step.began for result in step.results])
    assert len(shown.plot.verdicts) == drawn
    assert {mark.label for mark in shown.plot.acts} <= {str(act.number) for act in shown.acts}


@pytest.mark.parametrize("name", STORIES)
def test_every_digest_is_given_in_full(name: str) -> None:
    shown = made(name)
    full = {digest for _, digest in shown.digests}
    assert {row.record.hash for row in shown.records} <= full
    assert {e.digest for row in shown.records for e in row.record.evidence if e.digest} <= full
    controls = [row.result for family in shown.families for row in family.rows]
    assert {e.digest for control in controls for e in control.evidence if e.digest} <= full
    text = parts(name).text
    assert all(digest.removeprefix("sha256:") in text for digest in full)


def test_a_page_about_an_object_of_a_later_version_is_still_made() -> None:
    dossier = told("ungoverned")
    later = [
        item | {"status": {"phase": "Unheard"}} if item["kind"] == "ModelDeployment" else item
        for item in dossier.objects
    ]
    found = page.of(Dossier(dossier.namespace, dossier.deployment, dossier.taken_at, tuple(later)), UNTRUSTED)
    assert any("the deployment's status cannot be read" in note.lower() for note in found.notes)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DriftDetected", "drift detected"),
        ("SLOBreached", "SLO breached"),
        ("GOV-SUP-04", "GOV-SUP-04"),
        ("Rejected", "rejected"),
        ("", ""),
    ],
)
def test_reasons_are_read_as_words(text: str, shown: str) -> None:
    assert wording.words(text) == shown
