"""Settings: one dataclass, from which the command line and the environment are both derived."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

ENV_PREFIX = "SLUICE_MONITOR_"


class Option(NamedTuple):
    """What a setting means, and the least value that makes sense."""

    help: str
    least: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one may choose. Every field is also ``--flag`` and ``SLUICE_MONITOR_FLAG``."""

    host: Annotated[str, Option("address to listen on")] = "0.0.0.0"  # noqa: S104 - a Service must reach it
    port: Annotated[int, Option("port to listen on; 0 lets the system choose", 0)] = 8080
    rows_url: Annotated[
        str, Option("where rows are kept: file:///directory or s3://bucket/prefix?endpoint=…; empty: memory only")
    ] = ""
    checkpoint_seconds: Annotated[float, Option("most seconds of rows that a crash may lose, with a rows-url", 1)] = 5.0
    sender_keys: Annotated[
        Path | None, Option("file of keys that senders' tokens are made with; none: all may send")
    ] = None
    reports_dir: Annotated[Path, Option("directory for Evidently reports")] = Path(
        tempfile.gettempdir(), "sluice-reports"
    )
    max_rows: Annotated[int, Option("most rows of one revision that a verdict looks at", 10)] = 20_000
    bucket_rows: Annotated[int, Option("most rows kept of one revision and bucket", 10)] = 2_000
    bucket_seconds: Annotated[float, Option("length of a bucket; windows begin on its bounds", 0.1)] = 10.0
    pair_timeout: Annotated[float, Option("seconds until a request without response is lost", 0.1)] = 30.0
    memory_mib: Annotated[int, Option("memory for rows; the oldest bucket makes room", 1)] = 48
    max_body_bytes: Annotated[int, Option("largest body accepted; a larger one is answered 413", 1024)] = 1 << 20
    max_series: Annotated[int, Option("most revisions followed at a time", 2)] = 1_000
    retention_seconds: Annotated[float, Option("age at which rows are deleted", 60)] = 86_400.0
    volume_mib: Annotated[int, Option("most space rows take at the rows-url", 16)] = 1_024
    references_mib: Annotated[int, Option("most space references take at the rows-url", 1)] = 256
    references_memory_mib: Annotated[int, Option("memory for references, without a rows-url", 1)] = 32
    outcome_seconds: Annotated[float, Option("age of a label at which it is deleted", 60)] = 90 * 86_400.0
    outcomes_mib: Annotated[int, Option("most space labelled answers take at the rows-url", 1)] = 256
    reports_kept: Annotated[int, Option("reports kept; the oldest makes room", 1)] = 50
    renderer_idle: Annotated[float, Option("idle seconds after which the report process ends", 0.1)] = 60.0
    seed: Annotated[int, Option("the same events and seed keep the same rows", 0)] = 0
    log_level: Annotated[str, Option("DEBUG, INFO, WARNING or ERROR")] = "INFO"


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from the command line, then the environment, then the defaults.

    Exits with status 2 and a message when a value cannot be read, as argparse does.
    """
    parser = argparse.ArgumentParser(
        prog="sluice-monitor",
        description="Collects KServe's inference events and judges a candidate's drift against stable.",
        epilog=f"Each option can be set by the environment: --max-rows is {ENV_PREFIX}MAX_ROWS.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    hints = get_type_hints(Settings, include_extras=True)
    for setting in fields(Settings):
        kind, option = get_args(hints[setting.name])
        parser.add_argument(
            "--" + setting.name.replace("_", "-"),
            type=_reader(kind, option.least),
            # argparse runs a default of type str through `type`: a bad environment gets the same message.
            default=environment.get(ENV_PREFIX + setting.name.upper(), setting.default),
            help=option.help,
        )
    return Settings(**vars(parser.parse_args(arguments)))


def _reader(kind: Any, least: float | None) -> Callable[[str], Any]:
    """The function that turns text into one setting's value."""
    convert: Any = Path if kind == Path | None else kind

    def read(text: str) -> Any:
        value = convert(text)
        if least is not None and value < least:
            raise argparse.ArgumentTypeError(f"{text} is below {least:g}")
        return value

    read.__name__ = convert.__name__  # argparse names it in "invalid int value"
    return read
