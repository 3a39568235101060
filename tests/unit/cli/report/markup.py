"""Markup: an HTML page taken apart, and everything in it that could do more than be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input", "base", "col", "area", "embed", "source", "track", "wbr"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "h1", "h2", "h3", "p"),
    *("ul", "li", "dl", "dt", "dd", "div", "span", "bdi", "strong", "code", "figure", "figcaption"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("svg", "defs", "symbol", "circle", "path", "rect", "pattern", "line", "text", "tspan", "g", "use", "desc"),
}
"""All that a report is made of."""


@dataclass
class Taken(HTMLParser):
    """A page taken apart."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    """Tags that were closed in another order than they were opened."""
    cells: list[list[str]] = field(default_factory=list)
    """The rows of all tables, by the texts of their cells."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        (self.styles if self.open[-1:] == ["style"] else self.words).append(data)
        if self.cells and self.cells[-1] and {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data

    @property
    def text(self) -> str:
        """What a person reads."""
        return "".join(self.words)


def taken(html: str) -> Taken:
    """A page taken apart."""
    found = Taken()
    found.feed(html)
    found.close()
    return found


def dangers(html: str) -> Iterator[str]:
    """What could run, load, send or hide something; nothing, for a page that is only read."""
    found = taken(html)
    yield from (f"<{tag}>" for tag, _ in found.tags if tag not in TAGS)
    yield from (f"unbalanced: {tag}" for tag in [*found.crossed, *found.open])
    for tag, attributes in found.tags:
        for name, value in attributes.items():
            said = value or ""
            if name.startswith("on") or name in (
                "style",
                "src",
                "srcset",
                "action",
                "formaction",
                "srcdoc",
                "xlink:href",
            ):
                yield f"<{tag} {name}={said!r}>"
            if name == "href" and not re.fullmatch("#m-[a-z-]+", said):
                yield f"<{tag} href={said!r}>"
            if "url(" in said and not re.fullmatch(r"url\(#[a-z]+\)", said):
                yield f"<{tag} {name}={said!r}>"
            if tag == "meta" and name == "http-equiv" and said != "Content-Security-Policy":
                yield f"<meta {said!r}>"
    for style in found.styles:
        yield from (
            f"in the style: {word}" for word in ("url(", "@import", "expression(", "</", "<!--") if word in style
        )
    if style_count := len([tag for tag, _ in found.tags if tag == "style"]) - 1:
        yield f"{style_count} more styles"
