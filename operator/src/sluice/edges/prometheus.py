"""Prometheus: instant queries. A query that is wrong and a server that is away are told apart."""

from __future__ import annotations

from typing import Any

import aiohttp

from sluice.core.slo import Sample

_TIMEOUT = aiohttp.ClientTimeout(total=5)


class QueryRejectedError(Exception):
    """Prometheus understood that the query is wrong; the message is its own."""


class PrometheusUnavailableError(Exception):
    """Prometheus could not be asked, or could not answer."""


class Prometheus:
    """A Prometheus server's HTTP API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._session = session

    async def query(self, promql: str) -> list[Sample]:
        """The instant vector that a query gives now. A scalar is a vector of one sample without labels.

        Raises:
            QueryRejectedError: the query is not valid.
            PrometheusUnavailableError: connection, time-out (5 s), or a server error.
        """
        try:
            async with self._session.post(self._url, data={"query": promql}, timeout=_TIMEOUT) as response:
                status, answer = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise PrometheusUnavailableError(f"Prometheus does not answer at {self._url}: {error}") from error
        if status in (400, 422):
            raise QueryRejectedError(str(answer.get("error", answer)))
        if status != 200:
            raise PrometheusUnavailableError(f"Prometheus answers {status}: {str(answer)[:300]}")
        return _samples(answer["data"])


def _samples(data: dict[str, Any]) -> list[Sample]:
    if data["resultType"] == "scalar":
        return [Sample({}, float(data["result"][1]))]
    if data["resultType"] != "vector":
        raise QueryRejectedError(f"the query gives a {data['resultType']}; an instant vector is needed")
    return [Sample(series["metric"], float(series["value"][1])) for series in data["result"]]
