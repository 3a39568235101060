"""Images: what runs in the cluster's pods, each built from its Dockerfile when something it is made from changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from hack.cluster import binaries, cache, environment
from hack.cluster.progress import say, task

PREFIX = "localhost/sluice-"
TAG = "dev"
STORAGE = cache.ROOT / "buildah"
RUN_STORAGE = Path("/run/sluice-buildah")
_BUILDAH = ("buildah", "--root", str(STORAGE), "--runroot", str(RUN_STORAGE), "--storage-driver", "overlay")
_BUILT = cache.ROOT / "images" / "built"
_CONTEXTS = cache.ROOT / "images" / "contexts"
_IMAGES = cache.REPOSITORY / "hack" / "images"
_MANY_LEFTOVERS = 200
_SUITE = "bookworm"
_BASE_PACKAGES = "python3,python3-venv,ca-certificates"
_UNNEEDED = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
)


@dataclass(frozen=True)
class Image:
    """An image: its Dockerfile, the target in it, and what else it is made from."""

    name: str
    dockerfile: Path
    inputs: tuple[Path, ...] = ()
    target: str | None = None
    seconds: int = 60
    """What a build without any cache takes."""

    @property
    def reference(self) -> str:
        """The name under which pods ask for it."""
        return f"{PREFIX}{self.name}:{TAG}"


_LOCK = tuple(cache.REPOSITORY / name for name in ("pyproject.toml", "uv.lock", ".dockerignore"))
_OPERATOR = cache.REPOSITORY / "operator" / "Dockerfile"
_SOURCES = (*_LOCK, cache.REPOSITORY / "operator" / "src")
_DEMO = (*_LOCK, cache.REPOSITORY / "hack" / "__init__.py", cache.REPOSITORY / "hack" / "demo")

IMAGES = (
    Image("pause", _IMAGES / "pause" / "Dockerfile", (_IMAGES / "pause" / "pause.c",), seconds=2),
    Image("envoy", _IMAGES / "envoy" / "Dockerfile", seconds=20),
    Image("kserve-agent", _IMAGES / "kserve-agent" / "Dockerfile", seconds=5),
    Image("operator", _OPERATOR, _SOURCES, "operator", 40),
    Image("monitor", _OPERATOR, _SOURCES, "monitor", 150),
    Image("demo", _IMAGES / "demo" / "Dockerfile", _DEMO, seconds=70),
)


@dataclass(frozen=True)
class Built:
    """A built image: the key of its inputs, its id in the builder's storage, bytes, and seconds it took."""

    key: str
    id: str
    size: int
    seconds: float


def named(names: Iterable[str]) -> list[Image]:
    """Images by name; all if there are no names.

    Raises:
        KeyError: there is no image of a name.
    """
    by_name = {image.name: image for image in IMAGES}
    return [by_name[name] for name in names] or list(IMAGES)


def key(image: Image) -> str:
    """What an image is made from, as a key. Programs count by the key of their folder, being too large to read."""
    program = str(binaries.program_folder("kserve-agent").name) if image.name == "kserve-agent" else ""
    return cache.key_of_files([image.dockerfile, *image.inputs], image.name, _base_reference(), program)


def built(image: Image) -> Built | None:
    """What is known of the last build of an image."""
    file = _BUILT / f"{image.name}.json"
    return Built(**json.loads(file.read_text())) if file.exists() else None


def build(image: Image) -> Built:
    """Build an image unless it is there already, made from exactly what is here now."""
    wanted, last = key(image), built(image)
    if last is not None and last.key == wanted and _identity(image.reference) == last.id:
        return last
    if image.name != "pause":
        _ensure_base()
    started = time.monotonic()
    with task(f"Image {image.name}", f"{image.seconds} s from nothing, a few when only our sources changed"):
        _bud(image)
    found = Built(wanted, _identity(image.reference) or "", _size(image.reference), time.monotonic() - started)
    _BUILT.mkdir(parents=True, exist_ok=True)
    (_BUILT / f"{image.name}.json").write_text(json.dumps(asdict(found)))
    say(f"    {image.reference}: {found.size / 1e6:.0f} MB")
    return found


def tidy() -> None:
    """Forget the leftovers of old builds once they are many; the next build makes anew what it still wants of them."""
    if len(_run(*_BUILDAH, "images", "--quiet", "--filter", "dangling=true").split()) > _MANY_LEFTOVERS:
        _run(*_BUILDAH, "rmi", "--prune")


def _bud(image: Image) -> None:
    """Run the builder. Its output is shown only if it fails.

    Certificates, pip's and uv's settings and uv's downloads are this machine's and lent to the build: the
    Dockerfiles know nothing of them.
    """
    lent = _CONTEXTS / "lent"
    lent.mkdir(parents=True, exist_ok=True)
    (lent / "uv.toml").write_text("native-tls = true\n")
    command = [*_BUILDAH, "bud", "--isolation=chroot", "--layers", "--pull-never", f"--tag={image.reference}"]
    command += [f"--file={image.dockerfile}", f"--build-arg=BASE={_base_reference()}"]
    command += [f"--ignorefile={cache.REPOSITORY / '.dockerignore'}"] if image.inputs and image.name != "pause" else []
    command += [f"--target={image.target}"] if image.target else []
    downloads = subprocess.run([environment.uv(), "cache", "dir"], capture_output=True, text=True, check=True)
    downloads_folder = Path(downloads.stdout.strip())
    downloads_folder.mkdir(parents=True, exist_ok=True)
    volumes = {
        Path("/etc/ssl/certs"): "/etc/ssl/certs:ro",
        Path("/etc/pip.conf"): "/etc/pip.conf:ro",
        lent / "uv.toml": "/etc/uv/uv.toml:ro",
        downloads_folder: "/root/.cache/uv",
    }
    command += [f"--volume={source}:{target}" for source, target in volumes.items() if source.exists()]
    done = subprocess.run([*command, str(_context(image))], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"buildah could not build {image.reference}:\n{(done.stdout + done.stderr)[-3000:]}")


def _context(image: Image) -> Path:
    """The folder that COPY sees."""
    folder = _CONTEXTS / image.name
    if image.name == "pause":
        folder.mkdir(parents=True, exist_ok=True)
        source = str(_IMAGES / "pause" / "pause.c")
        subprocess.run(["gcc", "-Os", "-static", "-s", "-o", str(folder / "pause"), source], check=True)
        return folder
    if image.name == "kserve-agent":
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(binaries.path("kserve-agent"), folder / "kserve-agent")
        return folder
    return cache.REPOSITORY


def _base_reference() -> str:
    return f"{PREFIX}base:{cache.key(_SUITE, _BASE_PACKAGES, *_UNNEEDED)}"


def _ensure_base() -> None:
    """A minimal Debian with Python, where a public base image cannot be pulled."""
    if _identity(_base_reference()):
        return
    folder = cache.ROOT / "images" / "base"
    with task("Base image: debootstrap of Debian with Python", "60 s"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run("debootstrap", "--variant=minbase", f"--include={_BASE_PACKAGES}", _SUITE, str(folder))
        for name in _UNNEEDED:
            shutil.rmtree(folder / name, ignore_errors=True)
        for device in (folder / "dev").iterdir():
            shutil.rmtree(device) if device.is_dir() and not device.is_symlink() else device.unlink()
        container = _run(*_BUILDAH, "from", "scratch")
        _run(*_BUILDAH, "add", "--quiet", container, str(folder), "/")
        _run(*_BUILDAH, "commit", "--quiet", "--rm", container, _base_reference())
        shutil.rmtree(folder)


def _identity(reference: str) -> str | None:
    """The id of an image in the builder's storage."""
    done = subprocess.run(
        [*_BUILDAH, "images", "--quiet", "--no-trunc", "--filter", f"reference={reference}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip().partition("\n")[0] or None


def _size(reference: str) -> int:
    inspected = json.loads(_run(*_BUILDAH, "images", "--json", "--filter", f"reference={reference}"))
    text = str(inspected[0]["size"])
    number, unit = text.split()
    return int(float(number) * {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}[unit.upper()])


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout.strip()
