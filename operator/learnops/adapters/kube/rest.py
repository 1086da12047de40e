"""One request to the API server: a timeout, a count, and errors by their meaning."""

import asyncio
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio import client

from learnops.adapters.kube.connection import REQUEST_TIMEOUT_SECONDS
from learnops.ports.kube import (
    ConflictError,
    GoneError,
    KubeUnavailableError,
    RefusedError,
)

Json = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
_MESSAGE_CHARACTERS = 512
# A wait that somebody mistyped must not stop roll-backs for a day.
_LONGEST_RETRY_AFTER_SECONDS = 60.0


class RestClient:
    """Requests as the operator's user. `count` is called with each verb and status code.

    The code is the HTTP status, or `unreachable` where there was none.
    """

    def __init__(
        self,
        *,
        api: client.ApiClient,
        count: Callable[[str, str], None] = lambda _verb, _code: None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> None:
        self._api = api
        self._count = count
        self._timeout = timeout_seconds

    async def call(
        self,
        verb: str,
        path: str,
        *,
        body: Json | list[Json] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """The JSON answer; raises only the errors of `ports.kube`."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._send(verb, path, body, query, content_type)
                data = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._count(verb, "unreachable")
            raise KubeUnavailableError(f"{verb} {path}: {_told(error)}") from error
        self._count(verb, str(answer.status))
        return _read(verb, path, answer=answer, data=data)

    async def _send(
        self,
        verb: str,
        path: str,
        body: Json | list[Json] | None,
        query: Mapping[str, str] | None,
        content_type: str,
    ) -> aiohttp.ClientResponse:
        request = await self._api.param_serialize(
            verb,
            path,
            query_params=list((query or {}).items()),
            header_params={"Content-Type": content_type, "Accept": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        sent = await self._api.call_api(*request, _request_timeout=self._timeout)
        response: aiohttp.ClientResponse = sent.response
        return response


def _read(verb: str, path: str, *, answer: aiohttp.ClientResponse, data: bytes) -> Json:
    parsed = _parse(data)
    if answer.status < HTTPStatus.BAD_REQUEST and parsed is not None:
        return parsed
    message = str((parsed or {}).get("message", "the answer is not JSON"))[:_MESSAGE_CHARACTERS]
    told = f"{verb} {path}: {answer.status} {message}"
    match answer.status:
        case HTTPStatus.CONFLICT:
            raise ConflictError(told)
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            raise GoneError(told)
        case HTTPStatus.FORBIDDEN:
            raise RefusedError(told, forbidden=True)
        case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.BAD_REQUEST:
            raise RefusedError(told, forbidden=False)
    raise KubeUnavailableError(told, retry_after=_retry_after(answer))


def _parse(data: bytes) -> Json | None:
    try:
        parsed = json.loads(data)
    except ValueError:  # truncated, or a proxy's HTML
        return None
    return parsed if isinstance(parsed, dict) else None


def _retry_after(answer: aiohttp.ClientResponse) -> float | None:
    told = answer.headers.get("Retry-After", "")
    if not (told.isascii() and told.isdigit()):
        return None
    return min(float(told), _LONGEST_RETRY_AFTER_SECONDS)


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__
