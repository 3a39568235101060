"""``python -m sluice.storage``: resolve a model version, or put one into a pod.

Exit codes of ``resolve``: 0 found, 2 usage, 3 no such model, 4 its files are gone, 5 MLflow does not answer.
Either way one JSON document is printed; errors as ``{"error": {"reason", "message"}}``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sluice.storage.registry import Registry

TERMINATION_LOG = Path("/dev/termination-log")
"""Kubernetes shows what a container writes here as the reason why it ended."""


def main(arguments: list[str] | None = None) -> int:
    """Run one of the two commands."""
    given = sys.argv[1:] if arguments is None else arguments
    _prepare_environment()
    if given[:1] == ["resolve"]:
        return resolve(_resolve_parser().parse_args(given[1:]))
    return initialize(_initialize_parser().parse_args(given))


def _prepare_environment() -> None:
    # The root file system is read-only and the user has no home, while MLflow wants to write into one.
    os.environ.setdefault("HOME", tempfile.gettempdir())
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


def _registry(tracking_uri: str) -> Registry:
    from sluice.storage.registry import Registry  # after the environment is set, which MLflow reads on import

    return Registry(tracking_uri)


def _resolve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sluice.storage resolve", description="Resolve a registered model.")
    parser.add_argument("--name", required=True, help="registered model name")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--version", help="version number")
    which.add_argument("--alias", help="alias, for example champion")
    parser.add_argument("--digest", action="store_true", help="download the files, add their digest and signature")
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""), help="MLflow server")
    return parser


def _initialize_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sluice.storage",
        description="Download a pinned model version, as KServe's storage initializer. (See also: resolve --help)",
    )
    parser.add_argument("source", help="mlflow://<name>/<version>?digest=sha256:<hex>")
    parser.add_argument("destination", type=Path, help="directory to fill, /mnt/models in a pod")
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""), help="MLflow server")
    return parser


def resolve(options: argparse.Namespace) -> int:
    """Print what the registry says of a version."""
    registry = _registry(options.tracking_uri)
    from sluice.storage.registry import RegistryError

    try:
        if options.version:
            found = registry.by_version(options.name, options.version)
        else:
            found = registry.by_alias(options.name, options.alias)
        if options.digest:
            found = registry.inspected(found)
    except RegistryError as error:
        print(json.dumps({"error": {"reason": error.reason, "message": str(error)}}))
        return error.exit_code
    document = {
        "name": found.name,
        "version": found.version,
        "alias": options.alias,
        "runId": found.run_id,
        "digest": found.digest,
        "signature": found.signature,
    }
    print(json.dumps({key: value for key, value in document.items() if value is not None}))
    return 0


def initialize(options: argparse.Namespace) -> int:
    """Fill the destination, or refuse."""
    from sluice.storage import uri

    try:
        wanted = uri.parse(options.source)
    except ValueError as error:
        _refuse("InvalidModelUri", str(error))
    registry = _registry(options.tracking_uri)
    from sluice.storage.registry import RegistryError

    try:
        version = registry.by_version(wanted.name, wanted.version)
        registry.fetch(version, options.destination, wanted.digest)
    except RegistryError as error:
        _refuse(error.reason, str(error))
    except ValueError as error:
        _refuse("DigestMismatch", str(error))
    print(f"{wanted.name} version {wanted.version}: {wanted.digest} verified, in {options.destination}")
    return 0


def _refuse(reason: str, message: str) -> NoReturn:
    text = f"{reason}: {message}"
    with suppress(OSError):
        TERMINATION_LOG.write_text(text[:4000])
    print(text, file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
