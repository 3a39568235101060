"""The command line, the environment, and the defaults, in that order."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from sluice.monitor.settings import Settings, read_settings


def test_without_arguments_the_defaults_hold() -> None:
    assert read_settings([], {}) == Settings()


def test_the_environment_is_read_and_the_command_line_wins() -> None:
    environment = {"SLUICE_MONITOR_PORT": "9000", "SLUICE_MONITOR_REPORTS_DIR": "/data"}
    settings = read_settings(["--port", "9001"], environment)
    assert (settings.port, settings.reports_dir) == (9001, Path("/data"))


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        pytest.param(["--port", "many"], {}, "invalid int value: 'many'", id="not a number"),
        pytest.param([], {"SLUICE_MONITOR_PORT": "many"}, "invalid int value: 'many'", id="in the environment"),
        pytest.param(["--bucket-seconds", "0"], {}, "0 is below 0.1", id="too small"),
    ],
)
def test_a_senseless_value_ends_with_a_message(
    arguments: list[str], environment: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments, environment)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_help_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(["--help"], {})
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all("--" + setting.name.replace("_", "-") in text for setting in fields(Settings))
