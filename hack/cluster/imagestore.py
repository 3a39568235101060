"""Image store: built images brought into containerd, only what it does not have yet."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from hack.cluster import cache, images, layout
from hack.cluster.progress import task

_LAYOUT = cache.ROOT / "images" / "layout"
"""All images as one OCI image layout: layers are shared, and an unchanged one is not written again."""
_BLOBS = _LAYOUT / "blobs" / "sha256"
_REFERENCE = "org.opencontainers.image.ref.name"


def ctr(*arguments: str) -> str:
    """Run containerd's client in the kubelet's namespace.

    Raises:
        RuntimeError: it failed; the message is what it said.
    """
    command = ["ctr", f"--address={layout.CONTAINERD_SOCKET}", "--namespace=k8s.io", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ctr {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def deliver(image: images.Image) -> bool:
    """Build an image and import it into containerd; returns whether containerd got anything new."""
    made = images.build(image)
    manifest = _exported(image)
    # The second name does not move: a Deployment that uses it is rolled when the image changes.
    references = (image.reference, fixed_reference(image, made))
    held = _held()
    if all(held.get(reference) == manifest for reference in references):
        return False
    with task(f"Importing {image.reference}", "a few seconds for each 500 MB of new layers"):
        archive = _LAYOUT.parent / f"{image.name}.tar"
        _write_archive(archive, manifest, references)
        try:
            ctr("images", "import", "--all-platforms", str(archive))
        finally:
            archive.unlink()
        for reference, digest in held.items():
            if (
                reference.startswith(f"{images.PREFIX}{image.name}:")
                and digest != manifest
                and reference not in references
            ):
                ctr("images", "rm", reference)
    return True


def fixed_reference(image: images.Image, made: images.Built) -> str:
    """A name for exactly this content of an image."""
    return f"{images.PREFIX}{image.name}:{made.id.removeprefix('sha256:')[:12]}"


def _held() -> dict[str, str]:
    """The images that containerd has: names to manifest digests."""
    lines = [line.split() for line in ctr("images", "ls").splitlines()[1:]]
    return {fields[0]: fields[2] for fields in lines if fields}


def _exported(image: images.Image) -> str:
    """Write an image into the layout and return the digest of its manifest."""
    source = f"containers-storage:[overlay@{images.STORAGE}+{images.RUN_STORAGE}]{image.reference}"
    # Uncompressed: nothing travels, and only so are layers known by name before they are read.
    options = ["--quiet", "--dest-oci-accept-uncompressed-layers"]
    command = ["skopeo", "copy", *options, source, f"oci:{_LAYOUT}:{image.reference}"]
    _LAYOUT.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, check=True, capture_output=True, text=True)
    index = json.loads((_LAYOUT / "index.json").read_text())
    # An image that lost its name to a newer one stays in the index, without a name.
    index["manifests"] = [entry for entry in index["manifests"] if _REFERENCE in entry.get("annotations", {})]
    (_LAYOUT / "index.json").write_text(json.dumps(index))
    _prune(index)
    (digest,) = (entry["digest"] for entry in index["manifests"] if entry["annotations"][_REFERENCE] == image.reference)
    return str(digest)


def _blob(digest: str) -> Path:
    return _BLOBS / digest.removeprefix("sha256:")


def _parts(manifest: str) -> list[str]:
    """Digests of everything that an image consists of, the manifest first."""
    content = json.loads(_blob(manifest).read_text())
    return [manifest, content["config"]["digest"], *(layer["digest"] for layer in content["layers"])]


def _prune(index: dict[str, Any]) -> None:
    """Delete blobs that no image refers to any more."""
    wanted = {part for entry in index["manifests"] for part in _parts(entry["digest"])}
    for file in _BLOBS.iterdir():
        if f"sha256:{file.name}" not in wanted:
            file.unlink()


def _write_archive(target: Path, manifest: str, references: tuple[str, ...]) -> None:
    """An OCI archive with only the blobs that containerd lacks: it takes the others from its own store."""
    present = set(ctr("content", "ls", "--quiet").split())
    media_type = json.loads(_blob(manifest).read_text())["mediaType"]
    entries = [
        {
            "mediaType": media_type,
            "digest": manifest,
            "size": _blob(manifest).stat().st_size,
            "annotations": {"io.containerd.image.name": reference},
        }
        for reference in references
    ]
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", {"imageLayoutVersion": "1.0.0"})
        for digest in _parts(manifest):
            if digest == manifest or digest not in present:
                archive.add(_blob(digest), f"blobs/sha256/{_blob(digest).name}")
        _add(archive, "index.json", {"schemaVersion": 2, "manifests": entries})


def _add(archive: tarfile.TarFile, name: str, content: dict[str, Any]) -> None:
    data = json.dumps(content).encode()
    information = tarfile.TarInfo(name)
    information.size = len(data)
    archive.addfile(information, io.BytesIO(data))
