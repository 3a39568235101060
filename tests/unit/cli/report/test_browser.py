"""What a real browser makes of the pages: nothing runs, nothing is loaded, nothing sticks out or lies on anything."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.cli.report import page, rendering
from tests.unit.cli.report.browser import BINARY, Browser
from tests.unit.dossiers import UNTRUSTED
from tests.unit.stories import STORIES, told

pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no Chromium here; apt-get install chromium")
SUBJECT = {"first release": "r1", "ungoverned": "r1"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


def test_the_browser_notices_what_it_is_asked_about(browser: Browser, tmp_path: Path) -> None:
    """Or the others prove nothing."""
    file = tmp_path / "bad.html"
    file.write_text(
        "<body><p style='width:10px'>Donaudampfschifffahrt<img src='missing.png'>"
        "<svg class='plot'><text x='0' y='20'>one</text><text x='2' y='20'>two</text></svg>"
    )
    seen = browser.look(file)
    assert seen.asked_for == [(tmp_path / "missing.png").as_uri()]
    assert seen.answers["overflows at 1280"]
    assert seen.answers["overlaps"] == ["one / two"]


@pytest.mark.parametrize("name", STORIES)
def test_a_page_is_as_it_should_be(browser: Browser, tmp_path: Path, name: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(rendering.render(page.of(told(name), UNTRUSTED, SUBJECT.get(name, "r2"))))
    seen = browser.look(file, widths=(1280, 800, 390), print_it=True)
    assert seen.asked_for == []
    assert seen.dialogs == []
    assert seen.complaints == []
    assert {question: found for question, found in seen.answers.items() if found} == {}
    assert base64.b64decode(seen.pdf).startswith(b"%PDF")
