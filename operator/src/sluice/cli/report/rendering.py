"""Rendering: a Page as one HTML file that needs nothing else, runs nothing, and shows others' words as words."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sluice.cli.report.page import Page
from sluice.cli.report.prose import Said
from sluice.cli.report.wording import ended, plain, second, short, words

CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser may do with the page: show it."""


def render(page: Page) -> str:
    """The page as HTML.

    Every value goes through :func:`_shown` and then through Jinja's escaping; no template says otherwise.
    """
    template = _environment().get_template("page.html")
    return template.render(page=page, content_policy=CONTENT_POLICY, running=css_string(page.title))


def css_string(text: str) -> str:
    """Text as it may stand between quotes in a style sheet: of anything but plain letters, the code point.

    >>> css_string('a"; } </style>')
    'a\\\\22 \\\\3b \\\\20 \\\\7d \\\\20 \\\\3c \\\\2f style\\\\3e '
    """
    return "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in plain(text)[:160])


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("sluice.cli.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        lstrip_blocks=True,
    )
    made.tests["said"] = lambda value: isinstance(value, Said)
    made.filters |= {"short": short, "ended": ended, "second": second, "words": words, "place": _place}
    return made


def _shown(value: object) -> object:
    """A value before it is escaped: nothing for None, and no character that steers without being seen."""
    if value is None:
        return ""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _place(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}"
