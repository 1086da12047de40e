"""Where the api is, as a person has written it down."""

import os
from urllib.parse import SplitResult, urlsplit

_WAY_OUT = "pass api= or set LEARNOPS_API, like http://learnops-api:8080"


def base_url(given: str | None) -> str:
    """`given`, else LEARNOPS_API, without blanks around it and without slashes at its end.

    Raises:
        ValueError: it is no base URL, or holds what nothing would read.
    """
    # A variable that was written with `echo` ends with a line feed.
    told = (given or os.environ.get("LEARNOPS_API", "")).strip()
    if "@" in told:  # not repeated: it would be in every log
        raise ValueError(
            f"api holds a user or a password; it must hold none: {_WAY_OUT}, and the "
            "token with token= or LEARNOPS_TOKEN"
        )
    parts = _split(told)
    if parts is None:
        raise ValueError(f"api is {told!r}; {_WAY_OUT}")
    if parts.query or parts.fragment:
        raise ValueError(f"api is {told!r} and must end with its path: {_WAY_OUT}")
    return told.rstrip("/")


def _split(url: str) -> SplitResult | None:
    """None where no request could be sent there."""
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0  # an impossible port raises
    except ValueError:
        return None
    blank = any(one.isspace() for one in url)
    return parts if parts.scheme in ("http", "https") and has_place and not blank else None
