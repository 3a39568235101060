"""A real API server for the component tests: etcd and kube-apiserver, started once, with Sluice's CRDs."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hack import documents
from hack.cluster.controlplane import ControlPlane
from tests.component.kube import Api
from tests.component.platform import install_platform, wait_until_served
from tests.component.rig import Rig
from tests.component.rig import rig as make_rig

CRDS = Path(__file__).parents[2] / "crds"

LONGEST = (
    "governance/test_atwork.py",
    "test_crash.py",
    "monitor/test_monitor.py",
    "storage/test_registry.py",
    "monitor/test_rendering.py",
    "test_process.py",
    "test_webhook.py",
    "cli/test_cli.py",
    "test_watch.py",
)
"""Files whose tests take more than a minute, the longest first."""

COSTLY = ("guarded", "mlflow")
"""Fixtures of a session that take half a minute of a processor to start, and that few files use."""

_numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: the other workers would wait for it at the end.

    The tests of a file run in one process, and the files that use a costly fixture in the same: it is started once.
    """
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
    own = [item for item in items if here in item.path.parents]
    groups = {item.path: name for name in COSTLY for item in own if name in getattr(item, "fixturenames", ())}
    for item in own:
        name = groups.get(item.path) or item.path.relative_to(here).with_suffix("").as_posix()
        item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver, bare."""
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Api:
    """The API server with the CRDs of this repository."""
    client = Api(control_plane.kubeconfig)
    install(client)
    return client


def install(client: Api) -> None:
    """Create the CRDs of this repository, and wait until they are served."""
    definitions = [item for file in sorted(CRDS.glob("*.yaml")) for item in documents.read(file.read_text())]
    for definition in definitions:
        client.create(definition)
    wait_until_served(client, definitions)


@pytest.fixture(scope="session")
def platform(api: Api) -> Api:
    """KServe's and the Gateway API's CRDs, and a Gateway."""
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateways"}})
    install_platform(api)
    return api


@pytest.fixture
async def rig(platform: Api, control_plane: ControlPlane, namespace: str) -> AsyncIterator[Rig]:
    """Everything that plays the rest of the cluster, in a namespace of the test's own."""
    async with make_rig(control_plane, namespace) as made:
        yield made


@pytest.fixture
def namespace(api: Api) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
