"""A server in Prometheus' place that answers badly: each kind has its reason, none becomes data."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from learnops.adapters.prometheus import MAX_ANSWER_BYTES, PrometheusMetrics
from learnops.domain.unavailable import ErrorReason
from learnops.ports.metrics import MetricsUnavailableError

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """The base URL of a server that gives this answer."""
    app = web.Application()
    app.router.add_get("/api/v1/query", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def text(body: str, *, status: int = 200, kind: str = "application/json") -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type=kind)

    return answer


def result(*entries: Any, **more: Any) -> Answer:
    data = {"resultType": "vector", "result": list(entries)}
    return text(json.dumps({"status": "success", "data": data, **more}))


def series(figure: str = "learnops_evidence_runs_total", **labels: str) -> dict[str, Any]:
    names = {"process": "a1", "namespace": "agents", "doer": "coder", "policy": "coder-v2"}
    metric = {"__name__": figure, **names, "arm": "candidate", "epoch": "3", **labels}
    return {"metric": metric, "value": [1000.0, "1"]}


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)  # far beyond the deadline of the question
    return web.Response()


async def trickle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(300):
        await response.write(b" ")
        await asyncio.sleep(0.1)
    return response


async def break_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"status": "success"')
    assert request.transport is not None
    request.transport.close()
    return response


async def bomb(request: web.Request) -> web.StreamResponse:
    body = gzip.compress(b" " * (MAX_ANSWER_BYTES + 1))
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


async def login_page(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/login")


UNAVAILABLE = ErrorReason.PROMETHEUS_UNAVAILABLE
BAD = ErrorReason.PROMETHEUS_BAD_ANSWER
PARTIAL = ErrorReason.PROMETHEUS_PARTIAL
ROWS: dict[str, tuple[Answer, ErrorReason, str]] = {
    "hangs": (hang, UNAVAILABLE, "did not answer within 0.5 s"),
    "trickles": (trickle, UNAVAILABLE, "did not answer within 0.5 s"),
    "500": (text("oops", status=500), UNAVAILABLE, "answered 500"),
    "503 as HTML": (text("<html>", status=503, kind="text/html"), UNAVAILABLE, "answered 503"),
    "429": (text("{}", status=429), UNAVAILABLE, "answered 429"),
    "breaks off": (break_off, PARTIAL, "broke off"),
    "HTML": (text("<!doctype html>", kind="text/html"), BAD, "is HTML"),
    "redirect": (login_page, BAD, "302"),
    "401": (text("<html>", status=401, kind="text/html"), BAD, "credentials"),
    "no JSON": (text("up 1"), BAD, "no JSON"),
    "empty body": (text(""), BAD, "no JSON"),
    "deep JSON": (text("[" * 200_000), BAD, "no JSON"),
    "a list": (text("[]"), BAD, "no JSON object"),
    "status error": (
        text('{"status": "error", "errorType": "execution", "error": "too many samples"}'),
        BAD,
        "execution: too many samples",
    ),
    "status error with 422": (
        text('{"status": "error", "errorType": "bad_data", "error": "parse"}', status=422),
        BAD,
        "bad_data: parse",
    ),
    "no data": (text('{"status": "success"}'), BAD, "no data"),
    "a matrix": (
        text('{"status": "success", "data": {"resultType": "matrix", "result": []}}'),
        BAD,
        "a matrix",
    ),
    "a sample without a value": (result({"metric": {}}), BAD, "no sample"),
    "a value that is no number": (result({"metric": {}, "value": [1, "x"]}), BAD, "no sample"),
    "warnings": (result(series(), warnings=["store gateway is away"]), PARTIAL, "store gateway"),
    "partial": (result(series(), isPartial=True), PARTIAL, "not whole"),
    "too large": (bomb, ErrorReason.PROMETHEUS_TOO_LARGE, "over 10000000 bytes"),
    "empty": (result(), ErrorReason.NO_DATA, "no learnops_evidence"),
    "only other people's": (result(series(epoch="")), ErrorReason.NO_DATA, "no learnops_evidence"),
}


@pytest.mark.parametrize("kind", ROWS)
async def test_each_bad_answer_has_its_reason(kind: str) -> None:
    answer, reason, words = ROWS[kind]
    async with (
        serving(answer) as url,
        PrometheusMetrics(url=url, deadline_seconds=0.5 if "within" in words else 10) as metrics,
    ):
        with pytest.raises(MetricsUnavailableError, match=words) as caught:
            await metrics.evidence_counters()
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "kind", [kind for kind in ROWS if ROWS[kind][1] is not ErrorReason.NO_DATA]
)
async def test_a_guardrail_is_told_the_same(kind: str) -> None:
    answer, reason, words = ROWS[kind]
    async with (
        serving(answer) as url,
        PrometheusMetrics(url=url, deadline_seconds=0.5 if "within" in words else 10) as metrics,
    ):
        with pytest.raises(MetricsUnavailableError, match=words) as caught:
            await metrics.query("up", lookback_seconds=60)
    assert caught.value.reason is reason


async def test_an_instant_that_no_calendar_has_is_no_answer() -> None:
    sample = {"metric": {}, "value": [1e30, "1"]}
    async with serving(result(sample)) as url, PrometheusMetrics(url=url) as metrics:
        with pytest.raises(MetricsUnavailableError, match="no sample") as caught:
            await metrics.query("up", lookback_seconds=60)
    assert caught.value.reason is BAD


async def test_a_prometheus_where_nobody_listens_is_unavailable() -> None:
    async with serving(hang) as url:
        pass
    async with PrometheusMetrics(url=url) as metrics:
        with pytest.raises(MetricsUnavailableError, match="cannot be reached") as caught:
            await metrics.evidence_counters()
    assert caught.value.reason is UNAVAILABLE


@pytest.mark.parametrize("content", [None, b"", b"two words", b"a\nb", b"\xff", b"x" * 9000])
async def test_a_token_that_cannot_be_used_is_named_and_not_told(
    tmp_path: Path, content: bytes | None
) -> None:
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)
    async with serving(result()) as url, PrometheusMetrics(url=url, token_file=token_file) as it:
        with pytest.raises(MetricsUnavailableError, match="--prometheus-token-file") as caught:
            await it.evidence_counters()
    assert caught.value.reason is UNAVAILABLE
    assert not content or content.decode("latin-1") not in str(caught.value)


async def test_infos_are_no_warnings_and_the_token_is_sent(tmp_path: Path) -> None:
    """Prometheus remarks on names and units in `infos`; the answer is whole."""
    token_file = tmp_path / "token"
    token_file.write_text("t0ken\n")
    seen = []
    figures = [f"learnops_evidence_{name}_total" for name in ("runs", "loss_sum", "loss_sumsq")]
    values = [series(figure) for figure in figures]
    times = [series("", learnops_timestamp_of=figure) for figure in figures]
    whole = result(*values, *times, infos=["metric might not be a counter"])

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return await whole(request)

    async with (
        serving(answer) as url,
        PrometheusMetrics(url=url, token_file=token_file) as metrics,
    ):
        (sample,) = await metrics.evidence_counters()
        token_file.write_text("renewed")
        await metrics.evidence_counters()
    assert (sample.problem, sample.runs, sample.age_seconds) == (None, 1.0, 999.0)
    assert seen == ["Bearer t0ken", "Bearer renewed"]
