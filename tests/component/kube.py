"""A small client for tests: plain dicts in and out, and refusals as data."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes import config
from urllib3 import HTTPHeaderDict

from sluice.api import API_VERSION
from sluice.api.crds import KINDS

Manifest = dict[str, Any]

RESOURCES = {kind.name: (f"/apis/{API_VERSION}", kind.plural) for kind in KINDS} | {
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Namespace": ("/api/v1", "namespaces"),
}
"""Where a kind is served: the path of its group and version, and its plural."""


@dataclass
class Refused(Exception):  # noqa: N818 - the API server refused; nothing went wrong
    """The API server said no."""

    status: int
    message: str
    complaints: dict[str, list[str]] = field(default_factory=dict)
    """What it said of each field, by the field's path, without the value that it repeats."""

    def __str__(self) -> str:
        return f"{self.status}: {self.message}"


class Api:
    """One API server, spoken to as the user of a kubeconfig, or as whom that user impersonates."""

    def __init__(self, kubeconfig: Path, user: str | None = None, groups: Sequence[str] = ()) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
        self._identity = [("Impersonate-User", user)] if user else []
        self._identity += [("Impersonate-Group", group) for group in groups]
        if token := self._client.configuration.api_key.get("BearerToken"):
            self._identity.append(("Authorization", token))
        self.warnings: list[str] = []
        """What the API server warned of in its last answer, as kubectl shows it."""

    def request(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        query: dict[str, str] | None = None,
        accept: str = "application/json",
        content: str = "application/json",
    ) -> Manifest:
        """One request; the answer's JSON.

        Raises:
            Refused: the answer's status is 400 or above.
        """
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = HTTPHeaderDict([("Accept", accept), ("Content-Type", content), *self._identity])
        payload = json.dumps(body) if content.endswith("yaml") else body
        answer = self._client.rest_client.request(method, url, headers=headers, body=payload, _request_timeout=30)
        text = answer.read().decode()
        self.warnings = re.findall(r'299 \S+ "((?:[^"\\]|\\.)*)"', answer.getheaders().get("Warning", ""))
        if answer.status >= 400:
            raise _refusal(answer.status, text)
        found: Manifest = json.loads(text)
        return found

    def create(self, manifest: Manifest, **query: str) -> Manifest:
        """Create an object; query parameters such as ``dryRun="All"`` or ``fieldValidation="Strict"``."""
        return self.request("POST", self._collection(manifest), manifest, query=query)

    def replace(self, manifest: Manifest, subresource: str = "") -> Manifest:
        """Put an object, or one of its subresources."""
        return self.request("PUT", self._object(manifest, subresource), manifest)

    def patch(self, manifest: Manifest, change: Manifest, subresource: str = "") -> Manifest:
        """A merge patch on the object that a manifest names."""
        path = self._object(manifest, subresource)
        return self.request("PATCH", path, change, content="application/merge-patch+json")

    def apply(self, manifest: Manifest, manager: str, subresource: str = "") -> Manifest:
        """Server-side apply."""
        path = self._object(manifest, subresource)
        query = {"fieldManager": manager}
        return self.request("PATCH", path, manifest, query=query, content="application/apply-patch+yaml")

    def get(self, manifest: Manifest) -> Manifest:
        """The object that a manifest names, as it is now."""
        return self.request("GET", self._object(manifest))

    def list(self, kind: str, namespace: str, **query: str) -> list[Manifest]:
        """The objects of a kind in a namespace."""
        path = self._collection({"kind": kind, "metadata": {"namespace": namespace}})
        items: list[Manifest] = self.request("GET", path, query=query)["items"]
        return items

    def delete(self, manifest: Manifest) -> None:
        """Delete the object that a manifest names."""
        self.request("DELETE", self._object(manifest))

    def table(self, kind: str, namespace: str) -> Manifest:
        """What `kubectl get` asks for: columns and rows."""
        path = self._collection({"kind": kind, "metadata": {"namespace": namespace}})
        return self.request("GET", path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")

    def _collection(self, manifest: Manifest) -> str:
        base, plural = RESOURCES[manifest["kind"]]
        namespace = manifest["metadata"].get("namespace")
        return f"{base}/namespaces/{namespace}/{plural}" if namespace else f"{base}/{plural}"

    def _object(self, manifest: Manifest, subresource: str = "") -> str:
        path = f"{self._collection(manifest)}/{manifest['metadata']['name']}"
        return f"{path}/{subresource}" if subresource else path


def _refusal(status: int, text: str) -> Refused:
    answer: Manifest = json.loads(text) if text.startswith("{") else {"message": text}
    complaints: dict[str, list[str]] = {}
    for cause in (answer.get("details") or {}).get("causes", ()):
        said = re.sub(
            r'^(Invalid|Duplicate|Unsupported) value: (".*?"|[0-9]+)(: |$)|^Invalid value: ', "", cause["message"]
        )
        complaints.setdefault(cause.get("field", ""), []).append(said)
    return Refused(status, answer["message"], complaints)
