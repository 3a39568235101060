"""``python -m sluice.evaluation DATA RESULT``: ask two servers the golden rows in a file, and write what came of it.

The question comes in the environment, as ``SLUICE_EVALUATION`` (see ``sluice.evaluation.question``). Exit codes: 0
there is a verdict, whichever, in RESULT; 1 there is none, and ``<Reason>: <message>`` in the termination message and on
standard error says why; 2 usage.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sluice import termination
from sluice.evaluation import asking, golden, inputs, judgement, marking, question, requests, result
from sluice.evaluation.asking import Questionnaire
from sluice.evaluation.golden import Golden
from sluice.evaluation.judgement import Marked
from sluice.evaluation.question import Question
from sluice.evaluation.result import Judged
from sluice.evaluation.trouble import EvaluationError
from sluice.monitor.grading import UngradedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the evaluation, or tell why it cannot be made."""
    parser = argparse.ArgumentParser("python -m sluice.evaluation", description="Ask model servers golden rows.")
    parser.add_argument("data", type=Path, help="file of golden rows: Parquet, CSV or JSON lines")
    parser.add_argument("result", type=Path, help="file to write, JSON")
    options = parser.parse_args(arguments)
    try:
        asked = question.read(os.environ.get("SLUICE_EVALUATION", ""))
        rows = golden.read(options.data)
        judged = evaluate(asked, rows)
    except EvaluationError as error:
        termination.refuse(error.reason, str(error))
    except UngradedError as error:
        termination.refuse("Ungraded", f"the answers cannot be held against the labels: {error}")
    options.result.write_bytes(result.document(asked, rows, judged))
    print(f"{judged.verdict} ({judged.reason}): {judged.message}")
    return 0


def evaluate(asked: Question, rows: Golden) -> Judged:
    """Ask the servers, and judge.

    Raises:
        EvaluationError: the data are not what the question says, or a server cannot be asked.
        UngradedError: its answers cannot be held against the truth.
    """
    if asked.data.digest not in (None, rows.digest):
        message = f"the golden data are {rows.digest}, and {asked.data.digest} is wanted: they were changed"
        raise EvaluationError("DigestMismatch", message)
    truths = rows.truths(asked.label)
    planned = requests.plan(rows, asked)
    # Stable answers its users meanwhile: it is left alone where nothing is held against it.
    stable = asked.stable if asked.max_degradation is not None else None
    questionnaires = [
        Questionnaire(role, server, inputs.instances(rows, server, asked), planned)
        for role, server in (("candidate", asked.candidate), ("stable", stable))
        if server is not None
    ]
    answers = asyncio.run(asking.ask(questionnaires, asked.model_name, asked.id_prefix))
    marked = [marking.outcomes(truths, planned, tables) for tables in answers]
    both = Marked(marking.places(planned), marked[0], marked[1] if len(marked) > 1 else None)
    return judgement.judge(asked, rows, planned, both)


if __name__ == "__main__":
    sys.exit(main())
