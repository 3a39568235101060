"""What governance costs: every control of the catalogue, for 1,000 deployments.

    uv run python -m bench.governance [--deployments 1000]

Pure computation on one core; no cluster, no I/O. Half of the deployments are well documented, half lack everything.
"""

from __future__ import annotations

import argparse
import time

from sluice.api.governancepolicy import GovernancePolicySpec, PolicyControl
from sluice.core.governance.catalogue import CATALOGUE
from sluice.core.governance.evaluate import blocking, evaluate
from sluice.core.governance.facts import Facts, Policy, Stage
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


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser("python -m bench.governance", description=__doc__)
    parser.add_argument("--deployments", type=int, default=1000, help="how many (default: %(default)s)")
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


if __name__ == "__main__":
    main()
