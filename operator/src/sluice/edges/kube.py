"""Kube: the Kubernetes API as plain dicts. The only module that imports the Kubernetes client."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config as ElectionConfig
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from sluice.core.objects import Object
from sluice.edges.kinds import Kind

FIELD_MANAGER = "sluice"
_TIMEOUT = 30
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class KubeError(Exception):
    """The API server refused; ``status`` is the HTTP status, 0 if it could not be asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotFound(KubeError):  # noqa: N818 - Kubernetes' own word
    """There is no such object, or no such resource type."""


class Conflict(KubeError):  # noqa: N818 - Kubernetes' own word
    """The object is not the one that was seen, or is there already."""


class Invalid(KubeError):  # noqa: N818 - Kubernetes' own word
    """Admission or validation refused the object; trying again will not help."""


class Unavailable(KubeError):  # noqa: N818 - a state of the server
    """The API server cannot be asked or is overloaded; trying again will help."""


_ERRORS = {404: NotFound, 409: Conflict, 400: Invalid, 403: Invalid, 422: Invalid}


class Writer(Protocol):
    """What the engine writes through. Tests wrap it to crash after any write."""

    async def apply(self, kind: Kind, item: Object) -> Object: ...

    async def create(self, kind: Kind, item: Object) -> Object: ...

    async def apply_status(self, kind: Kind, seen: Object, status: Object) -> Object: ...

    async def merge_patch(self, kind: Kind, seen: Object, patch: Object) -> Object: ...

    async def delete(self, kind: Kind, seen: Object) -> None: ...


class Kube:
    """A connection to one API server. Objects go in and come out as dicts, errors as the classes above."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    async def connect(cls) -> Self:
        """Connect with the service account inside a cluster, with the kubeconfig outside."""
        settings = Configuration()
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=settings)
        else:
            await config.load_kube_config(client_configuration=settings)
        return cls(ApiClient(settings))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """One object, read live."""
        return await self._ask("GET", kind.path(namespace, name))

    async def list(self, kind: Kind, namespace: str | None = None) -> list[Object]:
        """All objects of a kind, in one namespace or everywhere, in pages."""
        items: list[Object] = []
        query = {"limit": "500"}
        while True:
            page = await self._ask("GET", kind.path(namespace), query=query)
            items += [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page["items"]]
            if not (token := page["metadata"].get("continue")):
                return items
            query = {"limit": "500", "continue": token}

    async def serves(self, kind: Kind) -> bool:
        """Whether the API server knows this kind."""
        try:
            found = await self._ask("GET", f"/apis/{kind.api_version}")
        except NotFound:
            return False
        return any(resource["name"] == kind.plural for resource in found["resources"])

    async def apply(self, kind: Kind, item: Object) -> Object:
        """Server-side apply: the fields of ``item`` become so, whoever set them before."""
        metadata = item["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._ask("PATCH", kind.path(metadata.get("namespace"), metadata["name"]), item, _APPLY, query)

    async def create(self, kind: Kind, item: Object) -> Object:
        """Create an object that must not be there yet; a Conflict otherwise."""
        path = kind.path(item["metadata"].get("namespace"))
        return await self._ask("POST", path, item, query={"fieldManager": FIELD_MANAGER})

    async def apply_status(self, kind: Kind, seen: Object, status: Object) -> Object:
        """Write the whole status, but only onto the very version that was seen: a stale leader gets a Conflict."""
        metadata = {
            key: seen["metadata"][key] for key in ("name", "namespace", "resourceVersion") if key in seen["metadata"]
        }
        item = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "status": status}
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = kind.path(metadata.get("namespace"), metadata["name"], "status")
        return await self._ask("PATCH", path, item, _APPLY, query)

    async def merge_patch(self, kind: Kind, seen: Object, patch: Object) -> Object:
        """Merge-patch the very version that was seen."""
        metadata = seen["metadata"]
        body = {**patch, "metadata": {"resourceVersion": metadata["resourceVersion"]}}
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return await self._ask("PATCH", path, body, _MERGE, {"fieldManager": FIELD_MANAGER})

    async def delete(self, kind: Kind, seen: Object) -> None:
        """Delete the very object that was seen, not a later one of its name. Gone already is fine."""
        metadata = seen["metadata"]
        options = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
        try:
            await self._ask("DELETE", kind.path(metadata.get("namespace"), metadata["name"]), options)
        except NotFound:
            return

    async def lead(
        self, name: str, namespace: str, identity: str, run: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Run once this process holds the Lease; return when the Lease is lost. The caller must then exit."""

        async def lost() -> None:
            return

        lock = LeaseLock(name, namespace, identity, self._client)
        await LeaderElection(ElectionConfig(lock, 15, 10, 2, run, lost)).run()

    async def _ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Object:
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": FIELD_MANAGER}
        try:
            await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            response = await self._client.call_api(method, url, headers, body, _request_timeout=_TIMEOUT)
            text = await response.read()
        except ApiException as error:
            raise _translated(error.status or 0, error.body or error.reason) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(0, f"the API server cannot be reached: {error}") from error
        if response.status >= 400:
            raise _translated(response.status, text)
        found: Object = json.loads(text)
        return found


def _translated(status: int, body: str | bytes | None) -> KubeError:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        text = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        text = text[:1000]
    return _ERRORS.get(status, Unavailable)(status, text)


def own_namespace(default: str = "default") -> str:
    """The namespace that this process runs in, when it runs in a pod."""
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return path.read_text().strip() if path.exists() else default
