"""``kubectl sluice``: a plugin, found by kubectl under the name kubectl-sluice."""

from __future__ import annotations

import os
import shlex
import sys

_MISSING = "kubectl-sluice needs its extra: pip install 'sluice-operator[cli]' (missing: {})"
_COMPLETE = "_KUBECTL_SLUICE_COMPLETE"
"""What a shell sets to ask for completions instead of running the command."""


def main() -> None:
    """The command."""
    try:
        from sluice.cli.app import app
    except ModuleNotFoundError as error:
        raise SystemExit(_MISSING.format(error.name)) from error
    completing = _COMPLETE in os.environ or any(word.endswith("-completion") for word in sys.argv[1:2])
    app(prog_name="kubectl-sluice" if completing else "kubectl sluice")


def complete() -> None:
    """What kubectl asks when a person presses tab after ``kubectl sluice``: candidates, then cobra's directive."""
    words = sys.argv[1:]
    os.environ |= {
        _COMPLETE: "complete_bash",
        "COMP_WORDS": shlex.join(["kubectl-sluice", *words]),
        "COMP_CWORD": str(max(1, len(words))),
    }
    try:
        main()
    except SystemExit:
        print(":4")


if __name__ == "__main__":
    main()
