"""App: the HTTP face of the monitor."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from sluice.monitor.appraisal import unanswered
from sluice.monitor.contract import DriftRequest, LabelsRequest, PerformanceRequest, no_answer
from sluice.monitor.evidence import ReportState
from sluice.monitor.ingress import Ingress
from sluice.monitor.labels import BusyError, NotStoredError
from sluice.monitor.service import Service

MAX_QUESTION_BYTES = 1 << 20
"""Largest question, where 512 column names and a schema of 512 fit many times over, and largest delivery of labels."""

REPORT_HEADERS = {
    # A report shows values that anyone who calls the model may choose. `sandbox` without
    # `allow-same-origin` gives the page an origin of its own: even a script that gets through can
    # neither read other pages of this host nor call anything.
    "content-security-policy": (
        "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, max-age=31536000, immutable",
}


def build_app(service: Service, *, max_body_bytes: int) -> Ingress:
    """The ASGI application: events by a handler of their own, everything else by Starlette."""
    endpoints = _Endpoints(service)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/v1/drift", endpoints.drift, methods=["POST"]),
            Route("/v1/performance", endpoints.performance, methods=["POST"]),
            Route("/v1/labels/{namespace}", endpoints.labels, methods=["POST"]),
            Route("/v1/labels/{namespace}/{token}", endpoints.labels, methods=["POST"]),
            Route("/v1/reports/{report_id}.json", endpoints.report_record),
            Route("/v1/reports/{report_id}", endpoints.report_page),
            Route("/healthz", endpoints.healthz),
            Route("/readyz", endpoints.readyz),
            Route("/metrics", endpoints.metrics),
        ],
    )
    return Ingress(app, service.collector, service.metrics, service.senders, max_body_bytes=max_body_bytes)


Body = TypeVar("Body")

_STATUSES = {"InvalidRequest": 400, "Busy": 503}


class _UnreadableError(ValueError):
    """A body that is too large, or not what was asked for."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


async def _read(request: Request, decoder: msgspec.json.Decoder[Body]) -> Body:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_QUESTION_BYTES:
            raise _UnreadableError("The request is too large.", 413)
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _UnreadableError(f"The request cannot be read: {error}.", 400) from None


class _Endpoints:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._drift_questions = msgspec.json.Decoder(DriftRequest)
        self._performance_questions = msgspec.json.Decoder(PerformanceRequest)
        self._labels = msgspec.json.Decoder(LabelsRequest)

    async def drift(self, request: Request) -> Response:
        """``POST /v1/drift``: 200 with a verdict, 400 or 503 with verdict Error."""
        try:
            question = await _read(request, self._drift_questions)
        except _UnreadableError as error:
            return _json(no_answer("InvalidRequest", str(error)), error.status)
        answer = await self._service.drift.answer(question)
        return _json(answer, _STATUSES.get(answer.reason, 200))

    async def performance(self, request: Request) -> Response:
        """``POST /v1/performance``: 200 with a verdict, 400 or 503 with verdict Error."""
        try:
            question = await _read(request, self._performance_questions)
        except _UnreadableError as error:
            return _json(unanswered("InvalidRequest", str(error)), error.status)
        answer = await self._service.performance.answer(question)
        return _json(answer, _STATUSES.get(answer.reason, 200))

    async def labels(self, request: Request) -> Response:
        """``POST /v1/labels/{namespace}/{token}``: 200 with what was joined and stored, or why not in plain text."""
        namespace, token = request.path_params["namespace"], request.path_params.get("token", "")
        if not self._service.senders.know_labels(token, namespace):
            return PlainTextResponse("the URL lacks the namespace's token; see kubectl sluice labels --help\n", 401)
        try:
            delivery = await _read(request, self._labels)
        except _UnreadableError as error:
            return PlainTextResponse(f"{error}\n", error.status)
        try:
            return _json(await self._service.labels.take(namespace, delivery.labels))
        except (BusyError, NotStoredError) as error:
            return PlainTextResponse(f"{error}; send them again\n", 503, {"retry-after": "5"})

    async def report_page(self, request: Request) -> Response:
        """``GET /v1/reports/{id}``: the page; 202 while it is rendered, 404 when there is none."""
        report_id = request.path_params["report_id"]
        record = self._service.evidence.record(report_id)
        if record is None or record.state is ReportState.FAILED:
            return PlainTextResponse("no such report\n", 404)
        if record.state is ReportState.PENDING:
            return PlainTextResponse("the report is being rendered\n", 202, {"retry-after": "5"})
        page = self._service.evidence.page(report_id)
        headers = REPORT_HEADERS | {"etag": f'"{record.digest}"'}
        return FileResponse(page, media_type="text/html; charset=utf-8", headers=headers)

    async def report_record(self, request: Request) -> Response:
        """``GET /v1/reports/{id}.json``: question, answer, state and digest."""
        record = self._service.evidence.record(request.path_params["report_id"])
        return _json(record) if record else PlainTextResponse("no such report\n", 404)

    async def healthz(self, _request: Request) -> Response:
        """Whether the event loop turns, and everything beside it."""
        return PlainTextResponse("ok\n") if self._service.healthy else PlainTextResponse("not healthy\n", 503)

    async def readyz(self, _request: Request) -> Response:
        """Whether events and questions are taken."""
        return PlainTextResponse("ok\n") if self._service.ready else PlainTextResponse("not ready\n", 503)

    async def metrics(self, _request: Request) -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(self._service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _json(value: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
