"""Card: a model card in Markdown, read for the headings that say something and for the uses that it lists."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sluice.api.evidence import ModelCard
from sluice.storage import bounds

LARGEST = 1 << 18
"""Characters that are read; what is beyond counts for the digest only."""
_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
_PROHIBITED = re.compile(r"prohibited|forbidden|out of scope|misuse|unintended|not intended|not be used")
_INTENDED = re.compile(r"\b(?:intended|direct|permitted|approved) (?:use|purpose)")
_BOTH = re.compile(r"\b(?:users?|limitations?)\b")
"""Headings such as `Intended uses & limitations` list what is not a use, too: nothing is read out of them."""


@dataclass
class _Section:
    title: str
    level: int
    filled: bool = False
    items: list[str] = field(default_factory=list)


def has_headings(text: str) -> bool:
    """Whether a text is a card: it has a heading with something below it."""
    return any(section.filled for section in _sections(text))


def read(text: str, source: str) -> ModelCard:
    """What a card says.

    A section counts if it has more below it than comments and further headings; below a heading of the next
    level counts for the one above it too. The uses are the items of lists right below a heading such as
    `Intended use` or `Out-of-scope use`.
    """
    sections = _sections(text)
    return ModelCard(
        source=bounds.word(source, 512),
        digest=f"sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}",
        sections=bounds.words((section.title for section in sections if section.filled), 64),
        intended_uses=_items(section for section in sections if _use(section.title) is _INTENDED),
        prohibited_uses=_items(section for section in sections if _use(section.title) is _PROHIBITED),
    )


def _items(sections: Iterator[_Section]) -> list[str]:
    return bounds.words((item for section in sections for item in section.items), 64, 256)


def _use(title: str) -> re.Pattern[str] | None:
    plain = title.replace("-", " ")
    if _PROHIBITED.search(plain):
        return _PROHIBITED
    return _INTENDED if _INTENDED.search(plain) and not _BOTH.search(plain) else None


def _sections(text: str) -> list[_Section]:
    tokens = MarkdownIt("commonmark").parse(text[:LARGEST])
    sections: list[_Section] = []
    above: list[_Section] = []
    """The headings that what follows is below of, the nearest last."""
    taken = False
    """Whether the list item that is being read has given its text."""
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0:
            level = int(token.tag[1:])
            above = [section for section in above if section.level < level]
            above.append(_Section(_plain(tokens[index + 1]).lower().rstrip(" :"), level))
            sections.append(above[-1])
        elif token.type == "list_item_open":
            taken = False
        elif _says_something(token, tokens[index - 1] if index else None):
            for section in above:
                section.filled = True
            if above and token.type == "inline" and token.level > 1 and not taken:
                taken = True
                above[-1].items.append(_plain(token).lower().rstrip(" .;"))
    return sections


def _says_something(token: Token, before: Token | None) -> bool:
    if token.type == "inline":
        return not (before is not None and before.type == "heading_open") and bool(_plain(token))
    if token.type == "html_block":
        return bool(_COMMENT.sub("", token.content).strip())
    return token.type in ("fence", "code_block") and bool(token.content.strip())


def _plain(token: Token) -> str:
    """The text without emphasis, links and comments."""
    spoken = ("text", "code_inline", "softbreak", "hardbreak", "image")
    parts = (child.content or " " for child in token.children or [] if child.type in spoken)
    return " ".join("".join(parts).split())
