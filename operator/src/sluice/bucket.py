"""Bucket: a place in an S3-compatible store, by URL. What is done there is for those who open one.

Credentials come from the usual places: ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, a profile, or the identity
of a workload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

import certifi
import urllib3
from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, IamAwsProvider

_OWN_OPTIONS = ("endpoint", "region")
_OF_A_WORKLOAD = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 20.0
_CONNECTIONS = 8


class BucketURLError(ValueError):
    """The URL names no bucket that can be used; the message says what is wrong with it."""


@dataclass(frozen=True)
class Bucket:
    """A bucket and a prefix in it."""

    client: Minio
    name: str
    prefix: str
    """What every key begins with; empty, or it ends with a slash."""
    options: Mapping[str, str]
    """Those of the URL beside endpoint and region."""

    @classmethod
    def open(cls, url: str, environ: Mapping[str, str], options: tuple[str, ...] = ()) -> Self:
        """``s3://bucket/prefix?endpoint=…&region=…`` and further ``options``. Nothing is asked of it yet.

        Raises:
            BucketURLError: it names no bucket, or has an option that is none.
        """
        parts = urlsplit(url)
        stated = parse_qs(parts.query, keep_blank_values=True)
        known = (*_OWN_OPTIONS, *options)
        if unknown := sorted(set(stated) - set(known)):
            raise BucketURLError(f"{unknown[0]!r} is no option of an s3 store; there are {', '.join(sorted(known))}")
        if not parts.netloc:
            raise BucketURLError(f"{url!r} names no bucket; write s3://bucket/prefix")
        said = {name: values[-1] for name, values in stated.items()}
        endpoint = urlsplit(said.get("endpoint") or "https://s3.amazonaws.com")
        if endpoint.scheme not in ("http", "https") or not endpoint.netloc or endpoint.path.strip("/"):
            raise BucketURLError("endpoint must be an address such as https://minio.example.com:9000, without a path")
        client = Minio(
            endpoint.netloc,
            secure=endpoint.scheme == "https",
            region=said.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
            credentials=_credentials(environ),
            http_client=_pool(environ),
        )
        prefix = unquote(parts.path).strip("/")
        rest = {name: value for name, value in said.items() if name not in _OWN_OPTIONS}
        return cls(client, parts.netloc, f"{prefix}/" if prefix else "", rest)


def _credentials(environ: Mapping[str, str]) -> ChainedProvider:
    # The address of a machine's own metadata is asked only where a workload identity says that there is one:
    # elsewhere that would take long and find nothing.
    workload = [IamAwsProvider()] if any(name in environ for name in _OF_A_WORKLOAD) else []
    return ChainedProvider([EnvAWSProvider(), AWSConfigProvider(), *workload])


def _pool(environ: Mapping[str, str]) -> urllib3.PoolManager:
    """The client's own would wait for minutes, and try five times; whoever writes here tries again anyway."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_ANSWER_SECONDS),
        maxsize=_CONNECTIONS,
        cert_reqs="CERT_REQUIRED",
        ca_certs=environ.get("SSL_CERT_FILE") or certifi.where(),
        retries=urllib3.Retry(total=1, backoff_factor=0.2),
    )
