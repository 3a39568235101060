"""Write what is generated from the typed models: ``python -m sluice.api crds/ --docs docs/reference/api.md``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from sluice.api import GROUP
from sluice.api.crds import KINDS
from sluice.api.reference import reference

_HEADER = "# Generated from operator/src/sluice/api by `uv run python -m sluice.api crds/`. Do not edit.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or compare them; 1 if a comparison finds a difference."""
    options = _parser().parse_args(arguments)
    files = dict(_files(options.crds, options.docs))
    if options.check:
        return _check(files)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sluice.api",
        description="Generate the CustomResourceDefinitions and the API reference from the typed models.",
        epilog="example: uv run python -m sluice.api crds/ --docs docs/reference/api.md",
    )
    parser.add_argument("crds", type=Path, nargs="?", help="directory for the CRDs, one file for each kind")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="file for the API reference, as Markdown")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs from the models")
    return parser


def _files(crds: Path | None, docs: Path | None) -> Iterator[tuple[Path, str]]:
    if crds is not None:
        for kind in KINDS:
            yield crds / f"{GROUP}_{kind.plural}.yaml", _HEADER + dump(kind.manifest())
    if docs is not None:
        yield docs, reference(KINDS)


def _check(files: dict[Path, str]) -> int:
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path} differs from the models in operator/src/sluice/api", file=sys.stderr)
    if stale:
        print("write them anew: run the same command without --check", file=sys.stderr)
    return 1 if stale else 0


class _Dumper(yaml.SafeDumper):
    """Block style, nested lists indented, no anchors: a diff shows what changed and nothing else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def dump(manifest: dict[str, Any]) -> str:
    """A manifest as YAML, its keys in the order given."""
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


if __name__ == "__main__":
    sys.exit(main())
