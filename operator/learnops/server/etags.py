"""Answers that a client may keep and ask for again (RFC 9110, If-None-Match)."""

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

_ETAG_BYTES = 16


def revalidated(body: Mapping[str, Any], *, if_none_match: str | None) -> Response:
    """The body with its ETag; 304 without it where the caller has that one.

    The ETag is a hash of what is answered, so that all replicas tell the same one.
    """
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    etag = f'"{hashlib.blake2b(canonical, digest_size=_ETAG_BYTES).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and etag in _listed(if_none_match):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return JSONResponse(dict(body), headers=headers)


def _listed(header: str) -> set[str]:
    """The ETags that a header lists; a weak one names the same answer."""
    return {part.strip().removeprefix("W/") for part in header.split(",")}
