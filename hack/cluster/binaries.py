"""Binaries: the Go programs of the cluster, built once per version.

All are tools of one Go module, `hack/go`, so that a library that several of them use has one version and is compiled
once: with a module each they compiled 396 MB of source, of which 220 MB were another version of the same. KServe alone
has a module of its own, because it does not compile with the Kubernetes libraries of the others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster import cache
from hack.cluster.locks import locked
from hack.cluster.progress import say, task

MODULE = cache.REPOSITORY / "hack" / "go"
"""The Go module of all programs but KServe's."""
_KUBERNETES = "1.35.4"
_VERSION = "k8s.io/component-base/version"


_BUILD_FLAGS = (
    # Nobody debugs these, and a panic names its lines without DWARF.
    "-gcflags=all=-dwarf=false",
    "-buildvcs=false",
)


@dataclass(frozen=True)
class Part:
    """Programs that are built together and kept in one folder."""

    name: str
    programs: dict[str, str]
    """Name of the program to its package."""
    minutes: float
    """What a build takes on two cores when the parts before it are built and it is not."""
    variables: dict[str, str] = field(default_factory=dict)
    """What the linker sets, by the variable's name."""
    tags: tuple[str, ...] = ()
    module: Path = MODULE
    sources: tuple[str, ...] = ()
    """Go files of our own, below the module."""
    assets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Manifests that the module ships: a name of ours to patterns below the module's root."""


PARTS = (
    Part("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, 1.0),
    Part(
        "kubernetes",
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        },
        8.5,
        # Without these the server reports v0.0.0-master+$Format, which clients cannot parse.
        {
            f"{_VERSION}.gitVersion": f"v{_KUBERNETES}",
            f"{_VERSION}.gitMajor": "1",
            f"{_VERSION}.gitMinor": "35",
        },
    ),
    Part(
        "kserve",
        {
            "kserve-manager": "github.com/kserve/kserve/cmd/manager",
            "kserve-agent": "github.com/kserve/kserve/cmd/agent",
        },
        3.5,
        module=MODULE / "kserve",
        assets={
            "crd": ("config/crd/full/*.kserve.io_*.yaml", "config/crd/full/clusterstoragecontainer/*.kserve.io_*.yaml"),
            "webhook": ("config/webhook/manifests.yaml",),
        },
    ),
    Part(
        "envoy-gateway",
        {"envoy-gateway": "github.com/envoyproxy/gateway/cmd/envoy-gateway"},
        1.5,
        assets={
            "crd": (
                "charts/gateway-helm/charts/crds/crds/*.yaml",
                "charts/gateway-helm/charts/crds/crds/generated/*.yaml",
            )
        },
    ),
    Part(
        "prometheus",
        {"prometheus": "github.com/prometheus/prometheus/cmd/prometheus"},
        1.5,
        tags=("remove_all_sd", "enable_kubernetes_sd"),  # every service discovery but the one we need
    ),
    Part("helm", {"helm": "helm.sh/helm/v3/cmd/helm"}, 0.4),
    Part("coredns", {"coredns": "./coredns"}, 0.3, sources=("coredns/main.go",)),
    Part("versitygw", {"versitygw": "github.com/versity/versitygw/cmd/versitygw"}, 1.0),
)


def folder(part: Part) -> Path:
    """Where a part's programs are kept; a changed version, dependency or flag is another folder."""
    made_from = [part.module / file for file in ("go.mod", "go.sum", *part.sources)]
    return cache.ROOT / "bin" / f"{part.name}-{cache.key_of_files(made_from, *_flags(part))}"


def _flags(part: Part) -> list[str]:
    variables = [f"-X {name}={value}" for name, value in part.variables.items()]
    flags = [*_BUILD_FLAGS, f"-ldflags={' '.join(['-s', '-w', *variables])}"]
    return [*flags, f"-tags={','.join(part.tags)}"] if part.tags else flags


def program_folder(program: str) -> Path:
    """The folder of a program, whether built or not; its name is a key of what the program is made from."""
    (part,) = (part for part in PARTS if program in part.programs)
    return folder(part)


def path(program: str) -> Path:
    """A built program.

    Raises:
        FileNotFoundError: it has not been built; the message says how to.
    """
    for part in PARTS:
        if program in part.programs:
            found = folder(part) / program
            if not found.exists():
                raise FileNotFoundError(f"{program} is not built yet; run: python -m hack.cluster build {part.name}")
            return found
    raise KeyError(program)


def missing(*names: str) -> list[Part]:
    """Parts that are not built, of the named ones (default: of all)."""
    wanted = [part for part in PARTS if not names or part.name in names]
    return [part for part in wanted if not _complete(part)]


def build(*names: str) -> None:
    """Build what is missing of the named parts (default: all), saying what takes long.

    Raises:
        subprocess.CalledProcessError: Go refused; what it said has been shown.
    """
    if not missing(*names):
        return
    with locked("programs"):
        _build_all(missing(*names))  # asked again: whom we waited for may have built them


def _build_all(absent: list[Part]) -> None:
    if shutil.which("go") is None:
        sys.exit("Go is not installed, and the cluster is built from Go modules; install Go 1.26 or newer")
    total = sum(part.minutes for part in absent)
    if absent:
        say(f"Building {len(absent)} of {len(PARTS)} parts with Go, once; about {total:.0f} min on two cores")
    for number, part in enumerate(absent, start=1):
        with task(f"[{number}/{len(absent)}] {part.name}", f"{part.minutes:.0f} min, cold"):
            _build(part)


def _build(part: Part) -> None:
    target = folder(part)
    scratch = target.with_suffix(".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    # All at once: while one program is linked, which takes one core, the next is compiled.
    command = ["go", "build", *_flags(part), "-o", f"{scratch}/", *part.programs.values()]
    subprocess.run(command, cwd=part.module, env=_environment(), check=True)
    for name, package in part.programs.items():
        (scratch / _named_by_go(package)).rename(scratch / name)
    for name, patterns in part.assets.items():
        _copy_assets(part, patterns, scratch / "assets" / name)
    # Renamed when complete, so that an interrupted build is never mistaken for a finished one.
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)


def _environment() -> dict[str, str]:
    """What Go runs in: a compiler that collects its garbage less often, as a build machine has memory."""
    return os.environ | {"GOGC": os.environ.get("GOGC", "400")}


def _named_by_go(package: str) -> str:
    """The name of a program that Go builds from a package: the last part of its path that is no version."""
    return next(part for part in reversed(package.split("/")) if not re.fullmatch(r"v\d+", part))


def _complete(part: Part) -> bool:
    made = folder(part)
    return all((made / name).exists() for name in (*part.programs, *(f"assets/{asset}" for asset in part.assets)))


def _copy_assets(part: Part, patterns: tuple[str, ...], target: Path) -> None:
    """Manifests beside the programs, so that neither Go nor its module cache is needed once these are built."""
    package = next(iter(part.programs.values()))
    listing = ["go", "list", "-f", "{{.Module.Dir}}", package]
    found = subprocess.run(listing, cwd=part.module, check=True, capture_output=True, text=True)
    target.mkdir(parents=True)
    for pattern in patterns:
        for file in sorted(Path(found.stdout.strip()).glob(pattern)):
            shutil.copyfile(file, target / file.name)


def assets(name: str, kind: str = "crd") -> list[Path]:
    """Manifests that a built part ships, by the name that we gave them."""
    (part,) = (part for part in PARTS if part.name == name)
    return sorted((folder(part) / "assets" / kind).glob("*.yaml"))
