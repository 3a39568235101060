"""Write the control catalogue: ``python -m sluice.catalogue docs/reference/controls.md``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sluice.catalogue.page import page


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or compare it; 1 if the comparison finds a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m sluice.catalogue",
        description="Generate the control catalogue from the controls.",
        epilog="example: uv run python -m sluice.catalogue docs/reference/controls.md",
    )
    parser.add_argument("page", type=Path, metavar="FILE", help="file for the catalogue, as Markdown")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file differs")
    options = parser.parse_args(arguments)
    text = page()
    if options.check:
        if options.page.exists() and options.page.read_text(encoding="utf-8") == text:
            return 0
        print(f"{options.page} differs from the controls; write it anew: `make generate`", file=sys.stderr)
        return 1
    options.page.write_text(text, encoding="utf-8")
    print(f"wrote {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
