"""``python -m sluice.rules``: answers questions about CEL rules, one JSON document a line, until its input ends.

``{"number": N, "expression": E, "seconds": S}`` asks whether a rule compiles; with ``"facts": D``, whether it passes,
where D is the facts document as text, or null for the one before. The answer is ``{"number": N, "passed": true|false}``
or ``{"number": N, "error": why}``. Before the first, a line says that it is ready.

It limits itself to what it needs before it reads anything: memory, files, processes, and, for each question anew, CPU
time, so that it ends even if whoever started it is gone. Exit codes: 0 the input ended, 3 a rule used up the memory;
SIGPROF ends it where a question took more than S seconds of a processor.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any

MEMORY_BYTES = 128 * 2**20
"""Of address space; without a question it takes about 32 MiB."""
NO_MEMORY = 3


def main() -> int:
    """Answer until the input ends."""
    answers = sys.stdout
    _limit()
    from sluice.rules import evaluation  # after the limits: the library's own needs count too

    facts: Mapping[str, Any] = {}
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        answer: dict[str, Any]
        try:
            question = json.loads(line)
            signal.setitimer(signal.ITIMER_PROF, question["seconds"])  # of CPU time, and nobody handles the signal
            if "facts" not in question:
                evaluation.compiled(question["expression"])
                answer = {"passed": True}
            else:
                if question["facts"] is not None:
                    facts = json.loads(question["facts"])
                answer = {"passed": evaluation.evaluate(question["expression"], facts)}
        except evaluation.RuleError as error:
            answer = {"error": str(error)}
        except MemoryError:
            return NO_MEMORY
        print(json.dumps(answer | {"number": question["number"]}), file=answers, flush=True)
    return 0


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),  # no further process; it has no effect on root
    ):
        resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # at once: after a want of memory nothing more can be trusted to work
