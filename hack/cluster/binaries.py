"""Binaries: the Go programs of the cluster, built from their modules once per version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster import cache
from hack.cluster.locks import locked
from hack.cluster.progress import say, task

MODULES = cache.REPOSITORY / "hack" / "go"
_KUBERNETES = "1.35.4"
_VERSION = "k8s.io/component-base/version"
_KUBERNETES_LDFLAGS = (
    # Without these the server reports v0.0.0-master+$Format, which clients cannot parse.
    f"-X {_VERSION}.gitVersion=v{_KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=35"
)


@dataclass(frozen=True)
class Part:
    """Programs from one Go module. ``minutes`` is what a cold build takes on two cores."""

    module: str
    programs: dict[str, str]
    """Name of the program to its package."""
    minutes: float
    flags: tuple[str, ...] = ()
    assets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Manifests that the module ships: a name of ours to patterns below the module's root."""


PARTS = (
    Part("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, 0.5),
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
        ("-ldflags", _KUBERNETES_LDFLAGS),
    ),
    Part(
        "kserve",
        {
            "kserve-manager": "github.com/kserve/kserve/cmd/manager",
            "kserve-agent": "github.com/kserve/kserve/cmd/agent",
        },
        4.6,
        assets={
            "crd": ("config/crd/full/*.kserve.io_*.yaml", "config/crd/full/clusterstoragecontainer/*.kserve.io_*.yaml"),
            "webhook": ("config/webhook/manifests.yaml",),
        },
    ),
    Part(
        "envoy-gateway",
        {"envoy-gateway": "github.com/envoyproxy/gateway/cmd/envoy-gateway"},
        3.1,
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
        3.0,
        ("-tags", "remove_all_sd,enable_kubernetes_sd"),  # every service discovery but the one we need
    ),
    Part("helm", {"helm": "helm.sh/helm/v3/cmd/helm"}, 1.8),
    Part("coredns", {"coredns": "."}, 2.4),
    Part("versitygw", {"versitygw": "github.com/versity/versitygw/cmd/versitygw"}, 1.7),
)


def folder(part: Part) -> Path:
    """Where a part's programs are kept; a changed version, dependency or flag is another folder."""
    module = MODULES / part.module
    made_from = [path for path in (module / "go.mod", module / "go.sum", module / "main.go") if path.exists()]
    return cache.ROOT / "bin" / f"{part.module}-{cache.key_of_files(made_from, *part.flags)}"


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
                raise FileNotFoundError(f"{program} is not built yet; run: python -m hack.cluster build {part.module}")
            return found
    raise KeyError(program)


def missing(*modules: str) -> list[Part]:
    """Parts that are not built, of the named ones (default: of all)."""
    wanted = [part for part in PARTS if not modules or part.module in modules]
    return [part for part in wanted if not _complete(part)]


def build(*modules: str) -> None:
    """Build what is missing of the named parts (default: all), saying what takes long.

    Raises:
        subprocess.CalledProcessError: Go refused; what it said has been shown.
    """
    if not missing(*modules):
        return
    with locked("programs"):
        _build_all(missing(*modules))  # asked again: whom we waited for may have built them


def _build_all(absent: list[Part]) -> None:
    if shutil.which("go") is None:
        sys.exit("Go is not installed, and the cluster is built from Go modules; install Go 1.26 or newer")
    total = sum(part.minutes for part in absent)
    if absent:
        say(f"Building {len(absent)} of {len(PARTS)} parts from Go modules, once; about {total:.0f} min on two cores")
    for number, part in enumerate(absent, start=1):
        with task(f"[{number}/{len(absent)}] {part.module}", f"{part.minutes:.0f} min, cold"):
            _build(part)


def _build(part: Part) -> None:
    target, module = folder(part), MODULES / part.module
    scratch = target.with_suffix(".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    environment = os.environ | {"GOFLAGS": "-buildvcs=false"}
    for name, package in part.programs.items():
        command = ["go", "build", *part.flags, "-o", str(scratch / name), package]
        subprocess.run(command, cwd=module, env=environment, check=True)
    for name, patterns in part.assets.items():
        _copy_assets(part, patterns, scratch / "assets" / name)
    # Renamed when complete, so that an interrupted build is never mistaken for a finished one.
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)


def _complete(part: Part) -> bool:
    made = folder(part)
    return all((made / name).exists() for name in (*part.programs, *(f"assets/{asset}" for asset in part.assets)))


def _copy_assets(part: Part, patterns: tuple[str, ...], target: Path) -> None:
    """Manifests beside the programs, so that neither Go nor its module cache is needed once these are built."""
    package = next(iter(part.programs.values()))
    listing = ["go", "list", "-f", "{{.Module.Dir}}", package]
    found = subprocess.run(listing, cwd=MODULES / part.module, check=True, capture_output=True, text=True)
    target.mkdir(parents=True)
    for pattern in patterns:
        for file in sorted(Path(found.stdout.strip()).glob(pattern)):
            shutil.copyfile(file, target / file.name)


def assets(module: str, name: str = "crd") -> list[Path]:
    """Manifests that a built part ships, by the name that we gave them."""
    (part,) = (part for part in PARTS if part.module == module)
    return sorted((folder(part) / "assets" / name).glob("*.yaml"))
