"""What governance costs: every control of the catalogue, for 1,000 deployments, and rules of one's own.

    uv run python -m bench.governance [--deployments 1000]

The controls are pure computation on one core; no cluster, no I/O. Half of the deployments are well documented, half
lack everything. The rules are evaluated by the real worker process, one at a time, each on other facts than the one
before, and then on as large a document as is allowed, where one has to be stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from sluice.api.governancepolicy import GovernancePolicySpec, PolicyControl
from sluice.core.governance import custom
from sluice.core.governance.catalogue import CATALOGUE
from sluice.core.governance.evaluate import blocking, evaluate
from sluice.core.governance.facts import Facts, Policy, Stage
from sluice.edges.rules import RuleWorker
from tests.unit.core.governance.examples import empty, facts

LIMIT = 10.0
"""Seconds for 1,000 deployments."""


def measure(policy: Policy, deployments: list[Facts]) -> tuple[float, int]:
    """CPU seconds for all of them, and how many controls were asked."""
    asked = 0
    started = time.process_time()
    for deployment in deployments:
        results = evaluate(deployment, [policy])
        blocking(results)
        asked += len(results)
    return time.process_time() - started, asked


RULES = (
    "facts.weight <= 50 || facts.stated.riskTier != 'High'",
    "has(facts.evidence.metrics.auc) && double(facts.evidence.metrics.auc) > 0.8",
    "facts.gauges.exists(g, g.use.mode == 'Gate') && facts.required.all(r, r.count >= 1)",
)


async def rules(rounds: int) -> None:
    """Measure rules in the worker process, and print."""
    worker = RuleWorker()
    await worker.evaluate("true", "{}")
    documents = [custom.facts_document(facts(deployment=f"model-{n}")) for n in range(rounds)]
    taken: list[float] = []
    for document in documents:
        for rule in RULES:
            started = time.perf_counter()
            answer = await worker.evaluate(rule, document)
            taken.append(time.perf_counter() - started)
            assert not answer.error, answer.error
    taken.sort()
    print(
        f"rules of one's own: {len(taken)} on {rounds} documents of {len(documents[0]) / 1024:.1f} KiB: "
        f"median {statistics.median(taken) * 1e3:.2f} ms, 99 % within {taken[int(len(taken) * 0.99)] * 1e3:.2f} ms"
    )
    big = '{"text": "' + "ab" * 400_000 + '", "items": [' + ",".join(f'"item{n}"' for n in range(9000)) + "]}"
    for what, rule in (
        ("a large document", "facts.text.size() > 0"),
        ("too many steps", "facts.items.all(a, facts.items.all(b, a + b != 'x'))"),
        ("stopped", "facts.items.all(i, !facts.text.matches('(.*' + i + '){3}z'))"),
        ("the next after it", "facts.text.size() > 0"),
    ):
        started = time.perf_counter()
        answer = await worker.evaluate(rule, big)
        said = answer.error.partition(";")[0] or ("passed" if answer.passed else "failed")
        print(f"  {what} ({len(big) / 1024:.0f} KiB of facts): {time.perf_counter() - started:.3f} s: {said}")
    await worker.close()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser("python -m bench.governance", description=__doc__)
    parser.add_argument("--deployments", type=int, default=1000, help="how many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=300, help="documents to evaluate rules on (default: %(default)s)")
    options = parser.parse_args()
    controls = [PolicyControl(id=name) for name in CATALOGUE]
    policy = Policy("all", GovernancePolicySpec(controls=controls))
    for stage in Stage:
        full = [facts(deployment=f"model-{n}", stage=stage) for n in range(options.deployments // 2)]
        bare = [empty(deployment=f"model-{n}", stage=stage) for n in range(options.deployments - len(full))]
        seconds, asked = measure(policy, full + bare)
        print(
            f"{stage}: {options.deployments} deployments, {asked / options.deployments:.0f} controls each: "
            f"{seconds:.2f} s of CPU (limit {LIMIT * options.deployments / 1000:.0f}), "
            f"{seconds / max(1, asked) * 1e6:.1f} µs a control"
        )
    asyncio.run(rules(options.rounds))


if __name__ == "__main__":
    main()
