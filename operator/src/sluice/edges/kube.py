"""Kube: the Kubernetes API as plain dicts. The only module that imports the Kubernetes client."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config.config_exception import ConfigException
from multidict import CIMultiDict

from sluice.core.objects import Object
from sluice.edges.kinds import Kind

FIELD_MANAGER = "sluice"
_TIMEOUT = 30
_PAGE = "500"
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


class Forbidden(KubeError):  # noqa: N818 - Kubernetes' own word
    """A right is missing, or a quota is used up; trying again helps once someone has seen to it."""


class Unavailable(KubeError):  # noqa: N818 - a state of the server
    """The API server, or a webhook that it asks, cannot answer; trying again will help."""


_ERRORS = {400: Invalid, 403: Forbidden, 404: NotFound, 409: Conflict, 422: Invalid}


@dataclass(frozen=True)
class Listing:
    """Objects as they all were at one time, the resource version."""

    items: list[Object]
    resource_version: int


@dataclass(frozen=True)
class Access:
    """Which cluster, as whom: what a person says on a command line."""

    kubeconfig: str | None = None
    """The file, or several joined as in KUBECONFIG; None for the service account in a pod, the default elsewhere."""
    context: str | None = None
    user: str | None = None
    """Whom to impersonate."""
    groups: tuple[str, ...] = ()
    """In which groups; goes with a user."""
    manager: str = FIELD_MANAGER
    """The field manager of what is written."""


class Writer(Protocol):
    """What the engine writes through. Tests put a double here, or a wrapper that crashes after the n-th write."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object: ...

    async def apply(self, kind: Kind, item: Object) -> Object: ...

    async def create(self, kind: Kind, item: Object) -> Object: ...

    async def apply_status(self, kind: Kind, seen: Object, status: Object) -> Object: ...

    async def merge_patch(self, kind: Kind, seen: Object, patch: Object) -> Object: ...

    async def delete(self, kind: Kind, seen: Object) -> Object | None: ...


class Kube:
    """A connection to one API server. Objects go in and come out as dicts, errors as the classes above."""

    def __init__(self, client: ApiClient | None, access: Access = Access()) -> None:
        self._client = client
        self._access = access

    @classmethod
    def nowhere(cls) -> Self:
        """A connection to nothing, for what works on a file alone: whatever is asked of it is Unavailable."""
        return cls(None)

    @classmethod
    async def connect(cls, access: Access = Access()) -> Self:
        """Connect with the service account inside a cluster, with the kubeconfig outside or where one is given.

        Raises:
            Unavailable: there is no such file or context, or it cannot be read.
        """
        settings = Configuration()
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ and not access.kubeconfig:
                config.load_incluster_config(client_configuration=settings)
            else:
                file = access.kubeconfig or os.environ.get("KUBECONFIG")
                await config.load_kube_config(file, context=access.context, client_configuration=settings)
        except ConfigException as error:
            raise Unavailable(0, f"the kubeconfig cannot be used: {error}") from error
        return cls(ApiClient(settings), access)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """One object, read live."""
        return await self._ask("GET", kind.path(namespace, name))

    async def list(self, kind: Kind, namespace: str | None = None) -> list[Object]:
        """All objects of a kind that matter, in one namespace or everywhere."""
        return (await self.snapshot(kind, namespace)).items

    async def snapshot(self, kind: Kind, namespace: str | None = None) -> Listing:
        """As ``list``, with the version at which they were so. Read in pages, all of that version."""
        items: list[Object] = []
        query = {"limit": _PAGE} | ({"labelSelector": kind.label} if kind.label else {})
        while True:
            page = await self._ask("GET", kind.path(namespace), query=query)
            items += [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page["items"]]
            if not (token := page["metadata"].get("continue")):
                return Listing(items, int(page["metadata"]["resourceVersion"]))
            query["continue"] = token

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
        query = {"fieldManager": self._access.manager, "force": "true"}
        return await self._ask("PATCH", kind.path(metadata.get("namespace"), metadata["name"]), item, _APPLY, query)

    async def create(self, kind: Kind, item: Object) -> Object:
        """Create an object that must not be there yet; a Conflict otherwise."""
        path = kind.path(item["metadata"].get("namespace"))
        return await self._ask("POST", path, item, query={"fieldManager": self._access.manager})

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
        version = {"resourceVersion": metadata["resourceVersion"]}
        body = {**patch, "metadata": {**patch.get("metadata", {}), **version}}
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return await self._ask("PATCH", path, body, _MERGE, {"fieldManager": self._access.manager})

    async def delete(self, kind: Kind, seen: Object) -> Object | None:
        """Delete the very object that was seen, not a later one of its name.

        Returns:
            The object while finalizers still hold it; None when it is gone, or was gone already.
        """
        metadata = seen["metadata"]
        options = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
        try:
            answer = await self._ask("DELETE", kind.path(metadata.get("namespace"), metadata["name"]), options)
        except NotFound:
            return None
        return answer if answer.get("metadata", {}).get("deletionTimestamp") else None

    async def _ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Object:
        if self._client is None:
            raise Unavailable(0, "no cluster was asked for: this works on a file alone")
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = CIMultiDict(
            {"Accept": "application/json", "Content-Type": content_type, "User-Agent": self._access.manager}
        )
        if self._access.user is not None:
            headers["Impersonate-User"] = self._access.user
            for group in self._access.groups:
                headers.add("Impersonate-Group", group)
        try:
            await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            response = await self._client.call_api(method, url, headers, body, _request_timeout=_TIMEOUT)
            text = await response.read()
        except ApiException as error:
            raise _translated(error.status or 0, error.body or error.reason) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(0, f"the API server cannot be reached: {error!r}") from error
        if response.status >= 400:
            raise _translated(response.status, text)
        try:
            found: Object = json.loads(text)
        except ValueError as error:  # something in between answered: a proxy, a load balancer
            raise Unavailable(response.status, f"the answer is not JSON: {text[:200]!r}") from error
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
