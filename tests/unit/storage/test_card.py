"""Model cards in Markdown, as people write them and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.storage import card

LINES = st.sampled_from(
    [
        "# A",
        "## Intended use",
        "- x",
        "  - y",
        "> q",
        "<!-- c",
        "-->",
        "```",
        "text",
        "",
        "\t",
        "Title\n===",
        "1. z",
        "[a]: b",
    ]
)


@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)))
def test_any_text_is_read(text: str) -> None:
    found = card.read(text, "s")
    assert len(found.sections) <= 64
    assert card.has_headings(text) or not found.sections


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        pytest.param("# A\n\ntext", ["a"], id="a-paragraph"),
        pytest.param("# A\n## B\n\n- x", ["a", "b"], id="below-a-heading-of-the-next-level"),
        pytest.param("# A\n# B\n\ntext", ["b"], id="nothing-below"),
        pytest.param("## B\ntext\n# A", ["b"], id="a-higher-heading-ends-a-section"),
        pytest.param("# A\n<!-- write me -->\n# B\n<!-- write\nme -->", [], id="comments"),
        pytest.param("# A\n<!-- x --> <b>y</b>", ["a"], id="more-than-a-comment"),
        pytest.param("# A\n```\n```", [], id="an-empty-block"),
        pytest.param("# A\n```\ncode\n```", ["a"], id="code"),
        pytest.param("```\n# A\ntext\n```", [], id="no-heading-but-code"),
        pytest.param("**Intended** *use*:\n---\ntext", ["intended use"], id="underlined-and-emphasised"),
        pytest.param("#A\ntext", [], id="no-space-no-heading"),
        pytest.param("> # A\n> text", [], id="quoted"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_sections_are_headings_with_something_below(text: str, sections: list[str]) -> None:
    assert card.read(text, "s").sections == sections


@pytest.mark.parametrize(
    ("text", "intended", "prohibited"),
    [
        pytest.param("# Intended use\n- Fraud.\n- *AML* `alerts`", ["fraud", "aml alerts"], [], id="items"),
        pytest.param("# Intended Uses\n1. a\n2. b", ["a", "b"], [], id="numbered"),
        pytest.param("# Intended use\nFor fraud.", [], [], id="no-list"),
        pytest.param("# Out-of-Scope Use\n* credit", [], ["credit"], id="out-of-scope"),
        pytest.param("# Prohibited uses\n- credit\n  - loans", [], ["credit", "loans"], id="nested"),
        pytest.param("# Not intended use\n- a", [], ["a"], id="negated"),
        pytest.param("# Unintended use\n- a", [], ["a"], id="negated-in-a-word"),
        pytest.param("# Intended use\n## Out of scope\n- a", [], ["a"], id="nearest-heading"),
        pytest.param("# Intended use\n## Primary intended users\n- a", [], [], id="users-are-no-uses"),
        pytest.param("# Intended uses & limitations\n- a", [], [], id="limitations-are-no-uses"),
        pytest.param("# Intended use\n## Limits\n- a", [], [], id="another-heading-between"),
        pytest.param("# Intended use\n- a\n\n  more of a\n- a", ["a"], [], id="first-paragraph-once"),
    ],
)
def test_uses_are_items_right_below_their_heading(text: str, intended: list[str], prohibited: list[str]) -> None:
    found = card.read(text, "s")
    assert (found.intended_uses, found.prohibited_uses) == (intended, prohibited)


def test_a_huge_card_is_bounded() -> None:
    found = card.read("".join(f"# Intended use {n}\n- {n} {'x' * 999}\n" for n in range(200)), "s" * 999)
    assert len(found.sections) == 64
    assert [len(use) for use in found.intended_uses] == [256] * 64
    assert len(found.source) == 512


def test_the_digest_is_over_all_of_it() -> None:
    text = "# A\ntext" + " " * card.LARGEST
    assert card.read(text, "s").digest != card.read(text + "x", "s").digest
