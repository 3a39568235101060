"""Prometheus: instant queries. A query that is wrong and a server that is away are told apart."""

from __future__ import annotations

from typing import Any

import aiohttp

from sluice.core.slo import Sample, Vector

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_WRONG = (400, 422)
"""A query that does not parse, and one that cannot be carried out, such as a match of many to many."""


class QueryRejectedError(Exception):
    """Prometheus understood that the query is wrong; the message is its own."""


class PrometheusUnavailableError(Exception):
    """Prometheus could not be asked, or could not answer."""


class Prometheus:
    """A Prometheus server's HTTP API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._session = session

    async def query(self, promql: str) -> Vector:
        """The instant vector that a query gives now. A scalar is a vector of one sample without labels.

        Raises:
            QueryRejectedError: the query is wrong, or gives something else than a vector of numbers.
            PrometheusUnavailableError: connection, time-out (5 s), a server error, or no answer of Prometheus's.
        """
        try:
            # POST: a rendered query may be longer than what proxies allow in a URL.
            async with self._session.post(self._url, data={"query": promql}, timeout=_TIMEOUT) as response:
                status, answer = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise PrometheusUnavailableError(f"Prometheus does not answer at {self._url}: {why}") from error
        if status in _WRONG and isinstance(answer, dict) and "error" in answer:
            raise QueryRejectedError(str(answer["error"]))
        try:
            if status != 200 or answer["status"] != "success":
                raise PrometheusUnavailableError(f"Prometheus answers {status}: {str(answer)[:300]}")
            return _vector(answer["data"])
        except (LookupError, TypeError, ValueError) as error:
            raise PrometheusUnavailableError(f"{self._url} is not Prometheus's: {str(answer)[:300]}") from error


def _vector(data: dict[str, Any]) -> Vector:
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return Vector([Sample({}, float(result[1]))])
    if kind != "vector":
        raise QueryRejectedError(f"the query gives a {kind}; an instant vector is needed")
    if any("histogram" in series for series in result):
        raise QueryRejectedError("the query gives histograms; numbers are needed, such as those of histogram_quantile")
    return Vector(Sample(series["metric"], float(series["value"][1])) for series in result)
