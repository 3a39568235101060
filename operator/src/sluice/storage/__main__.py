"""``python -m sluice.storage``: what Sluice has to do with MLflow, each command a process of its own.

``resolve --name N (--version V | --alias A) [--digest]`` prints one JSON document: what the registry says,
or ``{"error": {"reason", "message"}}``. Exit codes: 0 found, 1 its files are others, 2 usage, 3 no such model,
4 its files are gone, 5 MLflow cannot be asked.

``evidence --name N --version V --digest D [--trusted-keys DIRECTORY] [--known]`` prints a ``ModelEvidence``, or
the same kind of error. Its field ``files`` is what the files alone tell; with ``--known`` that is read back from
standard input, and as long as it still holds, a large model is not downloaded for a look at its tags.

``serve`` loads MLflow once and forks for each of these commands that it is asked to run: see ``sluice.storage.server``.

``fetch URI FILE [--digest D]`` puts one file of golden rows in place, and ``publish FILE`` logs the result of
``python -m sluice.evaluation`` as a run in MLflow: the first and the last container of an evaluation's Job. Exit codes:
0 done, 1 not done, and the termination message is ``<Reason>: <message>``. That of a result that was published is its
summary in JSON.

``SOURCE DESTINATION`` is the contract of KServe's storage initializer: KServe runs this container before the
model server and appends the two arguments. Exit codes: 0 the pinned files are there, 1 they are not; the
reason goes to standard error. The container's termination message says either, ``DigestVerified: sha256:…`` or
``<Reason>: <message>``, for the operator to read in the pod's status. It needs no writable directory but
the destination, so it runs with a read-only root and any user. In the cluster::

    apiVersion: serving.kserve.io/v1alpha1
    kind: ClusterStorageContainer
    metadata: {name: sluice-mlflow}
    spec:
      supportedUriFormats: [{prefix: "mlflow://"}]
      workloadType: initContainer
      container:
        name: storage-initializer
        image: <the operator's image>
        command: [python, -m, sluice.storage]
        env: [{name: MLFLOW_TRACKING_URI, value: "http://mlflow.example:5000"}]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sluice import termination
from sluice.storage import uri

if TYPE_CHECKING:
    from sluice.storage.registry import Version

VERIFIED = "DigestVerified"
"""Begins the termination message where a model was put in place; core/workload.py reads it."""


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["serve"]:
        return serve()
    if given[:1] == ["resolve"]:
        return resolve(_resolve_parser().parse_args(given[1:]))
    if given[:1] == ["evidence"]:
        return evidence(_evidence_parser().parse_args(given[1:]))
    if given[:1] == ["fetch"]:
        return fetch(_fetch_parser().parse_args(given[1:]))
    if given[:1] == ["publish"]:
        return publish(_publish_parser().parse_args(given[1:]))
    return initialize(_initialize_parser().parse_args(given))


def serve() -> int:
    """Run these commands for others, with what they need loaded already."""
    with tempfile.TemporaryDirectory(prefix="sluice-") as scratch:
        _set_environment(scratch)
        with redirect_stdout(sys.stderr):  # the first line printed is for whoever started us
            from sluice.storage import evidence, registry, signature  # noqa: F401 - loaded for the forks
            from sluice.storage.server import serve as answer

        answer(main)
    return 0


def _resolve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sluice.storage resolve", description="Resolve a registered model.")
    parser.add_argument("--name", required=True, help="registered model name")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--version", help="version number")
    which.add_argument("--alias", help="alias, for example champion")
    parser.add_argument("--digest", action="store_true", help="download the files, add digest, flavours and signature")
    return _with_server(parser)


def _evidence_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sluice.storage evidence", description="Read what the registry says of a model version."
    )
    parser.add_argument("--name", required=True, help="registered model name")
    parser.add_argument("--version", required=True, help="version number")
    parser.add_argument("--digest", required=True, help="sha256:<hex> of its files, as resolve printed it")
    parser.add_argument(
        "--trusted-keys", type=Path, help="directory of public keys (*.pem, *.pub) that may sign models"
    )
    parser.add_argument("--known", action="store_true", help="read the field `files` of an earlier answer from stdin")
    return _with_server(parser)


def _initialize_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sluice.storage",
        description="Download a pinned model version, as KServe's storage initializer. (See also: resolve --help)",
    )
    parser.add_argument("source", help="mlflow://<name>/<version>?digest=sha256:<hex>")
    parser.add_argument("destination", type=Path, help="directory to fill, /mnt/models in a pod")
    return _with_server(parser)


def _fetch_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sluice.storage fetch", description="Download a file of golden rows.")
    parser.add_argument("uri", help="s3://…, runs:/…, models:/… or mlflow-artifacts:/…")
    parser.add_argument("destination", type=Path, help="file to write")
    parser.add_argument("--digest", help="sha256:<hex> that the file must have")
    return _with_server(parser)


def _publish_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sluice.storage publish", description="Log the result of an evaluation in MLflow."
    )
    parser.add_argument("result", type=Path, help="file that python -m sluice.evaluation wrote")
    return _with_server(parser)


def _with_server(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    default = os.environ.get("MLFLOW_TRACKING_URI", "")
    parser.add_argument("--tracking-uri", default=default, help="MLflow server (default: $MLFLOW_TRACKING_URI)")
    return parser


def _set_environment(scratch: str) -> None:
    """Settings that MLflow reads when it is imported; ``scratch`` is the one place it may write to."""
    os.environ["HOME"] = os.environ["TMPDIR"] = scratch
    tempfile.tempdir = scratch
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


def resolve(options: argparse.Namespace) -> int:
    """Print what the registry says of a version."""
    with tempfile.TemporaryDirectory(prefix="sluice-") as scratch:
        _set_environment(scratch)
        from sluice.storage.registry import Registry, RegistryError

        try:
            registry = Registry(options.tracking_uri)
            if options.version:
                found = registry.by_version(options.name, options.version)
            else:
                found = registry.by_alias(options.name, options.alias)
            if options.digest:
                found = registry.inspected(found)
        except RegistryError as error:
            print(json.dumps({"error": {"reason": error.reason, "message": str(error)}}))
            return error.exit_code
    print(json.dumps(_document(found, options.alias)))
    return 0


def _document(found: Version, alias: str | None) -> dict[str, object]:
    document = {
        "name": found.name,
        "version": found.version,
        "alias": alias,
        "status": found.status,
        "source": found.source,
        "runId": found.run_id,
        "tags": dict(found.tags),
        "digest": found.digest,
        "flavors": found.flavors,
        "signature": found.signature,
        "outputs": found.outputs,
    }
    return {key: value for key, value in document.items() if value is not None}


def evidence(options: argparse.Namespace) -> int:
    """Print what the registry says of a version for governance."""
    with tempfile.TemporaryDirectory(prefix="sluice-") as scratch:
        _set_environment(scratch)
        from sluice.storage import evidence as reading
        from sluice.storage import signature
        from sluice.storage.inspection import Inspection
        from sluice.storage.registry import Registry, RegistryError

        try:
            registry = Registry(options.tracking_uri)
            version = registry.by_version(options.name, options.version)
            known = Inspection.model_validate_json(sys.stdin.read()) if options.known else None
            keys = signature.trusted(options.trusted_keys)
            found, files = reading.read(registry, version, options.digest, keys, known)
        except RegistryError as error:
            print(json.dumps({"error": {"reason": error.reason, "message": str(error)}}))
            return error.exit_code
    print(json.dumps({**found.dump(), "files": files.dump()}))
    return 0


def fetch(options: argparse.Namespace) -> int:
    """Put a file of golden rows in place, or refuse."""
    destination: Path = options.destination
    with tempfile.TemporaryDirectory(prefix=".home-", dir=destination.parent) as scratch:
        _set_environment(scratch)
        from sluice.storage import golden

        try:
            digest = golden.fetch(options.uri, destination, options.digest, options.tracking_uri)
        except golden.GoldenError as error:
            termination.refuse(error.reason, str(error))
    print(f"{options.uri}: {digest}, in {destination}")
    return 0


def publish(options: argparse.Namespace) -> int:
    """Log the result of an evaluation in MLflow, and conclude with its summary."""
    result: Path = options.result
    with tempfile.TemporaryDirectory(prefix=".home-", dir=result.parent) as scratch:
        _set_environment(scratch)
        from sluice.storage import publication

        try:
            with redirect_stdout(sys.stderr):  # MLflow prints where the run can be seen
                summary = publication.publish(result, options.tracking_uri)
        except publication.PublicationError as error:
            termination.refuse(error.reason, str(error))
    termination.conclude(summary)
    print(summary)
    return 0


def initialize(options: argparse.Namespace) -> int:
    """Fill the destination, or refuse and leave it as it was."""
    try:
        wanted = uri.parse(options.source)
    except ValueError as error:
        termination.refuse("InvalidModelUri", str(error))
    destination: Path = options.destination
    created = not destination.exists()
    destination.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".home-", dir=destination) as scratch:
            _set_environment(scratch)
            from sluice.storage.registry import Registry, RegistryError

            try:
                registry = Registry(options.tracking_uri)
                registry.fetch(registry.by_version(wanted.name, wanted.version), destination, wanted.digest)
            except RegistryError as error:
                termination.refuse(error.reason, str(error))
    finally:
        if created:
            with suppress(OSError):
                destination.rmdir()  # only if nothing was delivered
    termination.conclude(f"{VERIFIED}: {wanted.digest}")
    print(f"{wanted.name} version {wanted.version}: {wanted.digest} verified, in {destination}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
