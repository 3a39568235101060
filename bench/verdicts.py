"""What a drift verdict costs: next to the same tests called directly, and when a hundred candidates ask at once.

    uv run python -m bench.verdicts

First in this process, on one core, in turns: a whole verdict from the rows as the monitor keeps them, and SciPy's tests
of the same columns, given ready arrays. Then the service as the chart runs it, on one core: a hundred candidates and
their stable revisions are filled through the collector, and all hundred are judged at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.collector import KIND, read_metric, running, serve_collector
from sluice.monitor.comparison import match_columns
from sluice.monitor.reservoir import Chunk, Kind, Layout, Plane, Side
from sluice.monitor.tally import Tally
from sluice.monitor.verdict import Judgement, Rule, Sample, judge
from sluice.monitor.window import assemble

NUMBERS, TEXTS = 20, 5
"""Columns: 25 in all."""
CATEGORIES = 12
MOST_RATIO, MOST_SECONDS, MOST_MEMORY = 1.3, 1.0, 600
"""The targets: times SciPy's own tests, seconds for 100,000 rows a side, and MiB of the service."""
PATIENCE = 30.0
"""Seconds that the operator waits for an answer; what comes later is late."""
RULE = Rule(min_samples=1_000, min_effect=0.1, alpha=0.01)


@dataclass(frozen=True)
class Columns:
    """One side, as arrays that a test takes: shape (rows,) each."""

    numbers: list[NDArray[np.float64]]
    codes: list[NDArray[np.intp]]


def columns(rows: int, seed: int) -> Columns:
    """Amounts with a long tail, scores of a tree, and texts of a few categories."""
    rng = np.random.default_rng(seed)
    amounts = [rng.lognormal(3, 1, rows) for _ in range(NUMBERS // 2)]
    scores = [rng.choice(np.linspace(0, 1, 200), rows) for _ in range(NUMBERS - NUMBERS // 2)]
    codes = [rng.integers(0, CATEGORIES, rows) for _ in range(TEXTS)]
    return Columns(amounts + scores, codes)


def chunks(side: Columns, parts: int = 10) -> list[Chunk]:
    """The same as the monitor keeps them: buckets of rows."""
    layout = Layout()
    for index in range(NUMBERS):
        layout.place(Plane(Side.OUTPUTS, f"number-{index}", Kind.NUMBER))
    planes = [*side.numbers]
    for index, codes in enumerate(side.codes):
        name = f"text-{index}"
        layout.place(Plane(Side.OUTPUTS, name, Kind.NUMBER))
        place = layout.place(Plane(Side.OUTPUTS, name, Kind.TEXT))
        layout.place(Plane(Side.OUTPUTS, name, Kind.LENGTH))
        layout.vocabularies[place] = {f"{name} {code:02}": code for code in range(CATEGORIES)}
        planes += [np.full(len(codes), np.nan), codes.astype(float), np.full(len(codes), len(name) + 3.0)]
    matrix = np.column_stack(planes)
    return [Chunk(float(start), len(rows), rows, layout) for start, rows in enumerate(np.array_split(matrix, parts))]


def verdict(candidate: list[Chunk], stable: list[Chunk], rows: int) -> Judgement:
    """A whole verdict, as the service makes it."""
    rng = np.random.default_rng(0)
    ours, theirs = (assemble(side, Side.OUTPUTS, rows, rng) for side in (candidate, stable))
    return judge(match_columns(ours, theirs, ()), Sample(ours.rows, Tally()), Sample(theirs.rows, Tally()), RULE)


def directly(candidate: Columns, stable: Columns) -> list[float]:
    """SciPy's own tests of the same columns."""
    found = [
        float(stats.ks_2samp(ours, theirs, method="asymp").pvalue)
        for ours, theirs in zip(candidate.numbers, stable.numbers, strict=True)
    ]
    for ours, theirs in zip(candidate.codes, stable.codes, strict=True):
        table = np.vstack([np.bincount(codes, minlength=CATEGORIES) for codes in (ours, theirs)])
        found.append(float(stats.chi2_contingency(table).pvalue))
    return found


def compare(rows: int, rounds: int) -> tuple[float, float]:
    """Median seconds of a verdict and of SciPy's tests, in turns, on so many rows a side."""
    candidate, stable = columns(rows, 1), columns(rows, 2)
    kept = chunks(candidate), chunks(stable)
    answer = verdict(*kept, rows)
    assert len(answer.columns) == NUMBERS + TEXTS
    theirs = directly(candidate, stable)
    assert np.allclose(sorted(column.p_value or 0 for column in answer.columns), sorted(theirs), rtol=1e-3, atol=1e-3)
    ways: tuple[Callable[[], object], ...] = (lambda: verdict(*kept, rows), lambda: directly(candidate, stable))
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for way, times in zip(ways, taken, strict=True):
            begun = time.process_time()
            way()
            times.append(time.process_time() - begun)
    return statistics.median(taken[0]), statistics.median(taken[1])


async def crowd(port: int, candidates: int, rows: int) -> list[float]:
    """Fill and judge so many candidates at once: seconds to each answer."""
    begun = datetime.now(UTC)
    url = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        await asyncio.sleep(11)  # rows count from the first bucket that begins after `since`
        for index in range(candidates):
            pairs = [(f"model-{index}-r{revision}", part) for revision in (1, 2) for part in range(rows // 100)]
            await asyncio.gather(*(_inference(session, url, name, part) for name, part in pairs))
        await asyncio.sleep(3)  # the queue runs empty

        async def ask(index: int) -> float:
            question = {
                "namespace": "bench",
                "deployment": f"model-{index}",
                "candidate": f"model-{index}-r2",
                "stable": f"model-{index}-r1",
                "since": begun.isoformat(),
                "subject": "Inputs",
                "minSamples": rows // 2,
                "minEffect": 0.1,
                "alpha": 0.01,
            }
            asked = time.perf_counter()
            async with session.post(f"{url}/v1/drift", json=question) as response:
                answer = await response.json()
            assert answer["verdict"] == "Pass", answer
            return time.perf_counter() - asked

        return list(await asyncio.gather(*(ask(index) for index in range(candidates))))


async def _inference(session: aiohttp.ClientSession, url: str, revision: str, part: int) -> None:
    """One request of a hundred rows, and its response, as KServe's logger delivers them."""
    rng = np.random.default_rng([part, len(revision), int(revision[-1])])
    asked = {"instances": rng.normal(size=(100, NUMBERS + TEXTS)).round(4).tolist()}
    for half, body in (("request", asked), ("response", {"predictions": rng.normal(size=100).round(4).tolist()})):
        headers = {
            "Ce-Id": f"{revision}-{part}",
            "Ce-Inferenceservicename": revision,
            "Ce-Namespace": "bench",
            "Ce-Source": "http://localhost:9081/",
            "Ce-Specversion": "1.0",
            "Ce-Time": datetime.now(UTC).isoformat(),
            "Ce-Type": f"{KIND}{half}",
            "Content-Type": "application/json",
        }
        async with session.post(f"{url}/events", data=json.dumps(body), headers=headers) as response:
            assert response.status == 202, await response.text()


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    parser = argparse.ArgumentParser("python -m bench.verdicts", description=(__doc__ or "").partition("\n")[0])
    option = parser.add_argument
    option("--rounds", type=int, default=15, help="of each, in turns (default: %(default)s)")
    option("--candidates", type=int, default=100, help="judged at once; 0: none (default: %(default)s)")
    option("--rows", type=int, default=1_000, help="of each of their revisions (default: %(default)s)")
    chosen = parser.parse_args()
    missed = 0
    print(f"{NUMBERS} columns of numbers and {TEXTS} of texts; medians of {chosen.rounds}, targets in brackets")
    for rows, most in ((10_000, None), (100_000, MOST_SECONDS)):
        ours, theirs = compare(rows, chosen.rounds if most is None else max(chosen.rounds // 3, 1))
        ratio, limit = ours / theirs, f" (under {most:.0f} s)" if most else ""
        wanted = f" (at most {MOST_RATIO})" if most is None else ""
        said = f"{ours * 1e3:.0f} ms{limit}, SciPy's tests alone {theirs * 1e3:.0f} ms, ratio {ratio:.2f}{wanted}"
        print(f"{rows:>7,} rows a side  {said}", flush=True)
        missed += ratio > MOST_RATIO if most is None else ours >= most
    if chosen.candidates:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        with running(serve_collector) as port:
            times = asyncio.run(crowd(port, chosen.candidates, chosen.rows))
            memory = _peak(port)
        late = sum(seconds > PATIENCE for seconds in times)
        print(
            f"{chosen.candidates} candidates at once: median {statistics.median(times):.1f} s, last {max(times):.1f} s,"
        )
        print(f"  {late} later than {PATIENCE:.0f} s (0); the service {memory:.0f} MiB (under {MOST_MEMORY})")
        missed += bool(late) + (memory >= MOST_MEMORY)
    print("✓ all targets" if not missed else f"✗ {missed} targets missed")
    return 1 if missed else 0


def _peak(port: int) -> float:
    """Resident memory of the service, in MiB."""
    urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).close()
    return read_metric(port, "process_resident_memory_bytes") / (1 << 20)


if __name__ == "__main__":
    sys.exit(main())
