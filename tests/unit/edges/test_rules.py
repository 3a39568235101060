"""The process that evaluates rules, real, against rules that mean no good."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sluice.edges.rules import MOST_FACTS, RuleWorker

BIG = json.dumps(
    {"list": list(range(3000)), "items": [f"item{n}" for n in range(8000)], "text": "ab" * 430_000, "weight": 50}
)
"""Nearly as large a document as is asked about."""
SMALL = json.dumps({"weight": 50})


@pytest.fixture
async def worker() -> AsyncIterator[RuleWorker]:
    made = RuleWorker()
    yield made
    await made.close()


def played(tmp_path: Path, program: str) -> tuple[str, ...]:
    """A command that is none of ours."""
    path = tmp_path / "played.py"
    path.write_text(program)
    return sys.executable, str(path)


async def test_a_rule_passes_fails_or_cannot_be_told(worker: RuleWorker) -> None:
    assert (await worker.evaluate("facts.weight <= 50", SMALL)).passed
    failed = await worker.evaluate("facts.weight < 50", SMALL)
    assert (failed.passed, failed.error) == (False, "")
    untold = await worker.evaluate("facts.wieght < 50", SMALL)
    assert (untold.passed, untold.stopped) == (False, False)
    assert "nobody stated 'wieght'" in untold.error


MALICIOUS = [
    pytest.param(
        "['aaaaaaaaaaaaaaaa']" + ".map(s, s + s)" * 90 + ".size() > 0", "nested too deeply", id="doubling text"
    ),
    pytest.param("(" * 1000 + "true" + ")" * 1000, "nested too deeply", id="deep recursion"),
    pytest.param("[" * 1000 + "]" * 1000 + " == []", "nested too deeply", id="deep lists"),
    pytest.param("facts" + ".a" * 1000 + " == 1", "nested too deeply", id="a long path"),
    pytest.param(
        "facts.list.all(a, facts.list.all(b, facts.list.all(c, true)))", "too many steps", id="a huge comprehension"
    ),
    pytest.param(
        "facts.items.all(i, !facts.text.matches('(.*' + i + '){3}z'))",
        "longer than 1 s of a processor",
        id="many regexes",
    ),
    pytest.param("facts.items.map(i, facts.text + i).size() > 0", "more memory than a rule may have", id="memory"),
    pytest.param("'a'.matches('((a{100}){100}){100}')", "invalid repetition size", id="a regex that is large"),
]


@pytest.mark.parametrize(("expression", "said"), MALICIOUS)
async def test_a_malicious_rule_is_an_error_and_the_next_one_is_answered(
    worker: RuleWorker, expression: str, said: str
) -> None:
    assert (await worker.evaluate("facts.weight == 50", BIG)).passed  # the process is there
    answer = await worker.evaluate(expression, BIG)
    assert not answer.passed
    assert said in answer.error
    assert (await worker.evaluate("facts.weight == 50", BIG)).passed


async def test_a_regular_expression_that_backtracks_elsewhere_does_not_here(worker: RuleWorker) -> None:
    text = "a" * 1000 + "b"
    answer = await worker.evaluate(f"'{text}'.matches('^(a+)+$')", SMALL)
    assert (answer.passed, answer.error) == (False, "")


async def test_facts_beyond_all_measure_are_not_asked_about(worker: RuleWorker) -> None:
    answer = await worker.evaluate("true", json.dumps({"text": "x" * MOST_FACTS}))
    assert not answer.passed
    assert "the facts of this release take up 1,048,588 bytes" in answer.error


async def test_rules_are_compiled_without_facts(worker: RuleWorker) -> None:
    assert (await worker.compile("facts.anything == 1")).error == ""
    assert "undeclared reference" in (await worker.compile("fact == 1")).error


async def test_the_process_remembers_only_the_facts_it_was_given_last(worker: RuleWorker) -> None:
    assert (await worker.evaluate("facts.weight == 50", SMALL)).passed
    assert (await worker.evaluate("facts.weight == 60", json.dumps({"weight": 60}))).passed
    assert (await worker.evaluate("facts.weight == 50", SMALL)).passed
    await worker.compile("true")
    assert (await worker.evaluate("facts.weight == 50", SMALL)).passed
    assert worker._process is not None
    worker._process.kill()
    await worker._process.wait()
    assert (await worker.evaluate("facts.weight == 50", SMALL)).passed


async def test_the_process_is_told_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    program = """
import json, os, sys
print("ready", flush=True)
for line in sys.stdin:
    number = json.loads(line)["number"]
    print(json.dumps({"number": number, "error": " ".join(sorted(os.environ))}), flush=True)
"""
    worker = RuleWorker(played(tmp_path, program))
    seen = set((await worker.evaluate("true", SMALL)).error.split())
    await worker.close()
    assert seen <= {"PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE"}


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param('print("{}", flush=True)', id="nothing"),
        pytest.param('print(json.dumps({"number": 0, "passed": True}), flush=True)', id="to another question"),
        pytest.param('print("passed", flush=True)', id="no JSON"),
        pytest.param("os.abort()", id="it aborts"),
        pytest.param("sys.exit(0)", id="it ends"),
    ],
)
async def test_an_answer_that_is_none_is_no_pass(tmp_path: Path, answers: str) -> None:
    program = f"import json, os, sys\nprint('ready', flush=True)\nfor line in sys.stdin:\n    {answers}\n"
    worker = RuleWorker(played(tmp_path, program))
    answer = await worker.evaluate("true", SMALL)
    await worker.close()
    assert not answer.passed
    assert answer.stopped
    assert "it broke the process that evaluates rules" in answer.error


async def test_a_process_that_does_not_answer_is_not_waited_for_without_end(tmp_path: Path) -> None:
    program = "import sys, time\nprint('ready', flush=True)\nsys.stdin.readline()\ntime.sleep(600)\n"
    worker = RuleWorker(played(tmp_path, program), patience=0.1)
    answer = await worker.evaluate("true", SMALL)
    assert (answer.passed, answer.stopped) == (False, True)
    assert "it had no answer after 0.1 s" in answer.error
    assert worker._process is None


async def test_a_truthy_answer_is_no_pass(tmp_path: Path) -> None:
    program = """
import json, sys
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps({"number": json.loads(line)["number"], "passed": "true"}), flush=True)
"""
    worker = RuleWorker(played(tmp_path, program))
    assert not (await worker.evaluate("true", SMALL)).passed
    await worker.close()


async def test_a_process_that_does_not_start_is_an_error() -> None:
    for command in (("/nonexistent",), (sys.executable, "-c", "")):
        answer = await RuleWorker(command).evaluate("true", SMALL)
        assert not answer.passed
        assert "does not start" in answer.error


async def test_nobody_gets_the_answer_to_a_question_that_was_given_up(worker: RuleWorker) -> None:
    await worker.evaluate("true", BIG)
    asking = asyncio.create_task(worker.evaluate("facts.items.all(i, facts.text.contains(i) == false)", BIG))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    answer = await worker.evaluate("facts.weight == 60", SMALL)
    assert (answer.passed, answer.error) == (False, "")


async def test_a_process_whose_operator_is_gone_ends_by_itself() -> None:
    """Killed operators close the pipe; one that is evaluating is ended by its limit of CPU time."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sluice.rules", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    question = {"number": 1, "expression": "facts.items.all(i, !facts.text.matches('(.*' + i + '){3}z'))", "facts": BIG}
    question["seconds"] = 1
    process.stdin.write(json.dumps(question).encode() + b"\n")
    await process.stdin.drain()
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGPROF
