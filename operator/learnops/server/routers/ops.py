"""Operations: metrics and probes; no token needed."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from learnops.server.health import State as Overall
from learnops.server.report_models import Alive, HealthReport, Readiness
from learnops.server.routers import Use

router = APIRouter(tags=["operations"])


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(use: Use) -> Response:
    """The text exposition format."""
    # In a thread: the series of some hundred doers take a tenth of a second and more to write, in
    # which no agent would be answered.
    text = await asyncio.to_thread(use.metrics.exposition)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@router.get("/livez", summary="Whether the process answers")
async def livez() -> Alive:
    """That it answers is the answer; what it depends on is told by /readyz."""
    return Alive(status="ok")


@router.get(
    "/health",
    summary="How each part is",
    responses={
        200: {"model": HealthReport},
        503: {
            "model": HealthReport,
            "description": "`status` is down: requests are refused; the part says why",
        },
    },
)
async def health(use: Use) -> JSONResponse:
    """As the parts were last seen, a second or so ago; nothing is asked for it.

    ok; degraded: it works, but somebody should look (200 too); down (503).
    """
    worst, body = use.health.report()
    down = worst is Overall.DOWN
    return JSONResponse(body, status_code=HTTPStatus.SERVICE_UNAVAILABLE if down else HTTPStatus.OK)


@router.get(
    "/readyz",
    summary="Whether each part is ready",
    responses={
        200: {"model": Readiness},
        503: {"model": Readiness, "description": "a part is not ready; `components` says why"},
    },
)
async def readyz(use: Use) -> JSONResponse:
    """503 names the part that is not ready."""
    parts: dict[str, Any] = {"postgres": use.gate.reason or "ok"}
    for kind, synced in use.watches.synced.items():
        parts[kind] = "ok" if synced() else "not listed yet"
    ready = all(told == "ok" for told in parts.values())
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    ttl = use.heartbeat.remaining()
    return JSONResponse(
        {"status": "ok" if ready else "not ready", "components": parts, "ttlSeconds": ttl},
        status_code=status,
    )
