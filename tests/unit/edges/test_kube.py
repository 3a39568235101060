"""The API server's answers become dicts and errors that can be told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from sluice.edges.kinds import CLUSTER_MODEL_MONITORS, MODEL_DEPLOYMENTS, PODS
from sluice.edges.kube import Conflict, Forbidden, Invalid, Kube, KubeError, NotFound, Unavailable

SEEN = {"metadata": {"name": "scorer", "namespace": "risk", "uid": "u1", "resourceVersion": "7"}}


@dataclass
class Server:
    """Gives prepared answers, in order, and keeps what was asked."""

    answers: list[web.Response] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path, dict(request.query), body))
        return self.answers.pop(0)

    def will(self, body: Any, status: int = 200) -> None:
        """Answer the next request with this."""
        self.answers.append(web.json_response(body, status=status))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def kube(server: Server) -> AsyncIterator[Kube]:
    settings = Configuration()
    settings.host = server.url
    made = Kube(ApiClient(settings))
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Invalid), (403, Forbidden), (404, NotFound), (409, Conflict), (422, Invalid), (429, Unavailable)],
)
async def test_errors_are_told_apart_and_keep_the_servers_words(
    kube: Kube, server: Server, status: int, error: type[KubeError]
) -> None:
    server.will({"kind": "Status", "message": "spec.x is wrong"}, status)
    with pytest.raises(error, match=r"spec\.x is wrong") as caught:
        await kube.get(MODEL_DEPLOYMENTS, "risk", "scorer")
    assert caught.value.status == status


async def test_an_answer_that_is_not_json_is_not_the_api_servers(kube: Kube, server: Server) -> None:
    server.answers.append(web.Response(text="<html>"))
    with pytest.raises(Unavailable, match="not JSON"):
        await kube.get(MODEL_DEPLOYMENTS, "risk", "scorer")


async def test_a_server_that_refuses_connections_is_unavailable(kube: Kube) -> None:
    assert kube._client is not None
    kube._client.configuration.host = "http://127.0.0.1:9"
    with pytest.raises(Unavailable):
        await kube.get(MODEL_DEPLOYMENTS, "risk", "scorer")


async def test_lists_are_read_in_pages_of_one_version_and_only_what_matters(kube: Kube, server: Server) -> None:
    pages = ({"continue": "next", "resourceVersion": "50"}, {"resourceVersion": "50"})
    for number, metadata in enumerate(pages):
        server.will({"metadata": metadata, "items": [{"metadata": {"name": f"p{number}"}}]})
    listing = await kube.snapshot(PODS, "risk")
    assert [item["metadata"]["name"] for item in listing.items] == ["p0", "p1"]
    assert listing.resource_version == 50
    assert listing.items[0]["kind"] == "Pod"
    label = "serving.kserve.io/inferenceservice"
    assert [query for _, _, query, _ in server.asked] == [
        {"limit": "500", "labelSelector": label},
        {"limit": "500", "labelSelector": label, "continue": "next"},
    ]


async def test_a_status_is_applied_onto_the_version_that_was_seen(kube: Kube, server: Server) -> None:
    server.will(SEEN)
    await kube.apply_status(MODEL_DEPLOYMENTS, SEEN, {"phase": "Healthy"})
    method, path, query, body = server.asked[0]
    assert (method, path) == ("PATCH", "/apis/sluice.dev/v1alpha1/namespaces/risk/modeldeployments/scorer/status")
    assert query == {"fieldManager": "sluice", "force": "true"}
    assert body["metadata"] == {"name": "scorer", "namespace": "risk", "resourceVersion": "7"}
    assert body["status"] == {"phase": "Healthy"}


async def test_a_patch_says_which_version_it_is_for(kube: Kube, server: Server) -> None:
    server.will(SEEN)
    await kube.merge_patch(MODEL_DEPLOYMENTS, SEEN, {"spec": {"x": None}, "metadata": {"labels": {"a": "b"}}})
    assert server.asked[0][3] == {
        "spec": {"x": None},
        "metadata": {"labels": {"a": "b"}, "resourceVersion": "7"},
    }


@pytest.mark.parametrize(
    ("answer", "status", "left"),
    [
        pytest.param({"kind": "Status", "status": "Success"}, 200, False, id="gone"),
        pytest.param({"metadata": {"deletionTimestamp": "now"}}, 200, True, id="held-by-a-finalizer"),
        pytest.param({"message": "not found"}, 404, False, id="gone-before"),
    ],
)
async def test_deletion_is_of_the_object_that_was_seen(
    kube: Kube, server: Server, answer: dict[str, Any], status: int, left: bool
) -> None:
    server.will(answer, status)
    assert (await kube.delete(MODEL_DEPLOYMENTS, SEEN) is not None) is left
    assert server.asked[0][3]["preconditions"] == {"uid": "u1"}


async def test_what_the_cluster_serves(kube: Kube, server: Server) -> None:
    server.will({"resources": [{"name": "clustermodelmonitors"}]})
    assert await kube.serves(CLUSTER_MODEL_MONITORS)
    server.will({"resources": [{"name": "modelmonitors"}]})
    assert not await kube.serves(CLUSTER_MODEL_MONITORS)
    server.will({"message": "no such group"}, 404)
    assert not await kube.serves(CLUSTER_MODEL_MONITORS)
