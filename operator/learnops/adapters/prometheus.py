"""Evidence counters and guardrails, asked of Prometheus or of anything with its HTTP API.

The counters are one instant query for all canaries. Such a query tells the time of the question and
not that of the sample, so it asks for the samples' own timestamps beside them: age is then counted
on one clock, Prometheus' own, and the figures can be told to be of one scrape. A guardrail's query
is somebody else's expression, so how old a sample may be is told to Prometheus instead.
"""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from learnops.adapters.prometheus_answer import ALL_FIGURES, TIMESTAMP_OF, read_answer
from learnops.adapters.prometheus_query import read_samples
from learnops.domain.unavailable import ErrorReason
from learnops.ports.metrics import CounterSample, MetricsUnavailableError, QuerySample

MAX_ANSWER_BYTES = 10_000_000
_MAX_TOKEN = 8192
_CHUNK_BYTES = 2**16
_PATH = "/api/v1/query"
_RAW = f'{{__name__=~"{"|".join(ALL_FIGURES)}"}}'
# The added label keeps `or` from taking a timestamp for another value of the same series.
QUERY = " or ".join(
    [
        _RAW,
        *(f'label_replace(timestamp({f}), "{TIMESTAMP_OF}", "{f}", "", "")' for f in ALL_FIGURES),
    ]
)


class PrometheusMetrics:
    """The `Metrics` port. Use it as an async context manager, or call `close`."""

    def __init__(
        self, *, url: str, deadline_seconds: float = 5.0, token_file: Path | None = None
    ) -> None:
        """`url` is the base of the API, without `/api/v1`; the deadline covers a whole question.

        `token_file` holds a bearer token. It is read for each question, so a token may be renewed.
        """
        self._url = url.rstrip("/") + _PATH
        self._deadline_seconds = deadline_seconds
        self._token_file = token_file
        self._session: aiohttp.ClientSession | None = None

    async def evidence_counters(self) -> list[CounterSample]:
        """See the port; no answer that is not whole and understood becomes data."""
        status, body = await self._answer({"query": QUERY})
        # Up to 10 MB of JSON would hold up the event loop.
        return await asyncio.to_thread(read_answer, status, body)

    async def query(self, promql: str, *, lookback_seconds: int) -> list[QuerySample]:
        """See the port; no answer that is not whole and understood becomes data."""
        asked = {"query": promql, "lookback_delta": f"{lookback_seconds}s"}
        status, body = await self._answer(asked)
        return await asyncio.to_thread(read_samples, status, body)

    async def close(self) -> None:
        """Close the connections; idempotent."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _answer(self, asked: dict[str, str]) -> tuple[int, bytes]:
        """Status and body within the deadline and the cap; raises MetricsUnavailableError."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._ask(asked)
        except TimeoutError:
            raise MetricsUnavailableError(
                ErrorReason.PROMETHEUS_UNAVAILABLE,
                f"Prometheus did not answer within {self._deadline_seconds:g} s",
            ) from None
        except aiohttp.ClientPayloadError as error:
            raise MetricsUnavailableError(
                ErrorReason.PROMETHEUS_PARTIAL, "Prometheus' answer broke off"
            ) from error
        except aiohttp.ClientError as error:
            raise MetricsUnavailableError(
                ErrorReason.PROMETHEUS_UNAVAILABLE,
                f"Prometheus cannot be reached ({type(error).__name__})",
            ) from error

    async def _ask(self, asked: dict[str, str]) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"Accept": "application/json"})
        headers = await asyncio.to_thread(_authorization, self._token_file)
        # A redirect leads to a login page and never to an answer.
        async with self._session.get(
            self._url, params=asked, headers=headers, allow_redirects=False
        ) as response:
            return response.status, await _read(response)


def _authorization(token_file: Path | None) -> dict[str, str]:
    """The header; errors name the file and never what stands in it."""
    if token_file is None:
        return {}
    try:
        token = token_file.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        what = f"cannot be read ({type(error).__name__})"
    else:
        if 0 < len(token) <= _MAX_TOKEN and token.isprintable() and " " not in token:
            return {"Authorization": f"Bearer {token}"}
        what = f"holds no token of at most {_MAX_TOKEN} characters on one line"
    raise MetricsUnavailableError(
        ErrorReason.PROMETHEUS_UNAVAILABLE, f"--prometheus-token-file {token_file} {what}"
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, decompressed, within the cap; no Content-Length is believed."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise MetricsUnavailableError(
                ErrorReason.PROMETHEUS_TOO_LARGE,
                f"Prometheus' answer has over {MAX_ANSWER_BYTES} bytes; "
                "drop series of ended rollouts, or give this operator fewer namespaces",
            )
    return bytes(body)
