"""A cluster of one's own: what must be said to play on it, and what the demo brings with it."""

from __future__ import annotations

import pytest

from hack.demo.__main__ import _options
from hack.demo.acts import NAMESPACE
from hack.demo.ground import runtime

WHOLE = ("--gateway=gw/models", "--gateway-address=10.0.0.7:80", "--mlflow=http://m", "--prometheus-inside=http://p")


@pytest.fixture(autouse=True)
def kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somewhere")


def test_without_a_gateway_it_is_the_projects_own_whatever_the_environment_says() -> None:
    assert _options([]).gateway is None


def test_with_all_that_is_needed_it_is_the_cluster_of_the_kubeconfig() -> None:
    assert _options(WHOLE).gateway == "gw/models"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(WHOLE[:1], "--gateway-address, --mlflow, --prometheus-inside", id="only the Gateway"),
        pytest.param(WHOLE[:3], "needs --prometheus-inside too", id="no Prometheus"),
        pytest.param(("--gateway=models", *WHOLE[1:]), "write it as NAMESPACE/NAME", id="a Gateway without namespace"),
        pytest.param((*WHOLE, "--gateway-address=gw.example.com"), "does not appear to be", id="a name for an address"),
        pytest.param((*WHOLE, "--gateway-address=8.8.8.8"), "is a public address", id="somebody else's address"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_done(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        _options(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_gateway_without_a_kubeconfig_is_not_taken_for_the_projects_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(SystemExit):
        _options(WHOLE)
    assert "KUBECONFIG in the environment" in capsys.readouterr().err


def test_the_model_server_is_brought_along_in_the_image_that_is_given() -> None:
    made = runtime("registry.example.com/ml/sluice-demo:2")
    assert (made["kind"], made["metadata"]["namespace"]) == ("ServingRuntime", NAMESPACE)
    assert [container["image"] for container in made["spec"]["containers"]] == ["registry.example.com/ml/sluice-demo:2"]
