"""What several programs of the cluster use has one version, so that it is compiled once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hack.cluster import binaries

KSERVE = binaries.MODULE / "kserve"


def test_kserve_differs_from_the_others_only_where_it_must() -> None:
    others, kserve = _versions(binaries.MODULE), _versions(KSERVE)
    own = set(_replaced(KSERVE))

    differing = {name: (others[name], kserve[name]) for name in others.keys() & kserve.keys() - own}
    differing = {name: pair for name, pair in differing.items() if pair[0] != pair[1]}

    remedy = " ".join(f"{name}@{version}" for name, (version, _) in sorted(differing.items()))
    assert not differing, f"run in hack/go/kserve: go get {remedy} && go mod tidy"


@pytest.mark.parametrize("module", [binaries.MODULE, KSERVE])
def test_every_program_is_a_tool_of_its_module_or_a_package_of_ours(module: Path) -> None:
    said = (module / "go.mod").read_text()
    packages = {package for part in binaries.PARTS if part.module == module for package in part.programs.values()}

    tools = {line.strip() for line in re.search(r"^tool \((.*?)^\)", said, re.M | re.S)[1].split("\n") if line.strip()}  # type: ignore[index]
    ours = {f"./{path.name}" for path in module.iterdir() if (path / "main.go").exists()}
    assert packages == tools | ours


def test_the_version_that_kubernetes_says_is_the_one_that_is_built() -> None:
    (part,) = (part for part in binaries.PARTS if part.name == "kubernetes")

    assert _versions(binaries.MODULE)["k8s.io/kubernetes"] in part.variables.values()


def _versions(module: Path) -> dict[str, str]:
    """Versions of what a module requires, by name; of what is replaced, the replacement's."""
    required = re.findall(r"^(?:require )?\t?(\S+) (v\S+)(?: // indirect)?$", (module / "go.mod").read_text(), re.M)
    return dict(required) | _replaced(module)


def _replaced(module: Path) -> dict[str, str]:
    return dict(re.findall(r"^\t?(\S+) => \S+ (v\S+)$", (module / "go.mod").read_text(), re.M))
