"""A real Prometheus, and the shipped gauges with a window short enough to wait for."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from aiohttp.test_utils import unused_port

from hack.cluster import binaries
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.edges.prometheus import Prometheus, PrometheusUnavailableError

ROOT = Path(__file__).parents[3]
WINDOW = timedelta(seconds=6)
SCRAPE = 0.5


@contextmanager
def running(directory: Path, targets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A Prometheus that scrapes static targets, by its URL."""
    binaries.build("prometheus")
    job = {"job_name": "scripted", "static_configs": list(targets)}
    every = {"scrape_interval": f"{int(SCRAPE * 1000)}ms", "scrape_timeout": f"{int(SCRAPE * 1000)}ms"}
    (directory / "prometheus.yaml").write_text(yaml.safe_dump({"global": every, "scrape_configs": [job]}))
    port = unused_port()
    options = (f"--config.file={directory}/prometheus.yaml", f"--storage.tsdb.path={directory}/data")
    command = [str(binaries.path("prometheus")), *options, f"--web.listen-address=127.0.0.1:{port}"]
    with (directory / "log").open("w") as log, subprocess.Popen(command, stderr=log, stdout=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


async def until_scraped(client: Prometheus, targets: int = 1) -> None:
    """Wait until that many targets have answered.

    Raises:
        AssertionError: they did not within 30 s.
    """
    for _ in range(300):
        try:
            if len(await client.query("up == 1")) >= targets:
                return
        except PrometheusUnavailableError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("Prometheus did not scrape within 30 s")


def gauge(name: str) -> ModelMonitorSpec:
    """A shipped gauge with a short window."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "monitors" / f"{name}.yaml").read_text())
    document["spec"]["slo"]["window"] = f"{WINDOW.seconds}s"
    return ModelMonitorSpec.model_validate(document["spec"])
