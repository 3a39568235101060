"""Helm, as the tests call it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hack import documents
from hack.cluster import binaries

Manifest = dict[str, Any]
Values = Mapping[str, Any]

ROOT = Path(__file__).parents[2]
RELEASE, NAMESPACE = "sluice", "sluice-system"
KSERVE_API = "serving.kserve.io/v1alpha1/ClusterStorageContainer"
PROMETHEUS_APIS = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")
EVERYTHING = (KSERVE_API, *PROMETHEUS_APIS)


class HelmError(Exception):
    """Helm refused; the message is what it said."""


def program() -> str:
    """The helm binary: $HELM, or the one that the cluster is built with."""
    if given := os.environ.get("HELM"):
        return given
    binaries.build("helm")
    return str(binaries.path("helm"))


def helm(*arguments: str, stdin: str | None = None) -> str:
    """Run helm and return what it printed.

    Raises:
        HelmError: it failed.
    """
    done = subprocess.run([program(), *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HelmError(done.stderr)
    return done.stdout


def render(
    values: Values | None = None, *, apis: tuple[str, ...] = EVERYTHING, release: str = RELEASE
) -> list[Manifest]:
    """The manifests that an installation with these values would apply.

    Raises:
        HelmError: the values or the templates are wrong.
    """
    return documents.read(_rendered(json.dumps(values or {}), apis, release))


@functools.cache
def _rendered(values: str, apis: tuple[str, ...], release: str) -> str:
    arguments = ["template", release, str(ROOT), "--namespace", NAMESPACE, "--kube-version", "1.35.0", "--values", "-"]
    return helm(*arguments, *(part for api in apis for part in ("--api-versions", api)), stdin=values)


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one manifest of that kind and name."""
    (found,) = (item for item in manifests if (item["kind"], item["metadata"]["name"]) == (kind, name))
    return found


def kinds(manifests: list[Manifest]) -> set[str]:
    """The kinds among manifests."""
    return {item["kind"] for item in manifests}


def containers(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Every container that the manifests would run, by ``<object>/<container>``."""
    found: dict[str, Manifest] = {}
    for item in manifests:
        spec = item.get("spec", {})
        pod = spec.get("template", {}).get("spec", {})
        listed = [*pod.get("initContainers", []), *pod.get("containers", [])]
        listed += [spec["container"]] if "container" in spec else []
        found |= {f"{item['metadata']['name']}/{container['name']}": container for container in listed}
    return found


def environment(container: Manifest) -> dict[str, str]:
    """A container's literal environment."""
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
