"""The bearer token: fixed, or in a file that is written anew before the token in it expires."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

# Where the examples mount a service account's token for the api.
PROJECTED: Final = "/var/run/secrets/learnops.dev/token"
_MAX_BYTES: Final = 16_384


class Token:
    """Gives the header of each request. Thread-safe; a file costs one stat per request."""

    def __init__(self, *, value: str | None = None, file: str | None = None) -> None:
        """A value, or a file; neither: requests carry no token."""
        self._file = file
        self._seen: tuple[tuple[int, ...], str | None] = ((), value)

    def check(self) -> None:
        """Raises ValueError where there is a file and no token in it."""
        if self._file is not None:
            self._read(self._file)

    def headers(self) -> dict[str, str]:
        """`Authorization`, with what is in the file now. Never raises."""
        # Somebody may be writing the file at this moment: what was there goes on being used.
        with suppress(ValueError):
            self.check()
        token = self._seen[1]
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _read(self, file: str) -> None:
        try:
            # Follows links: the kubelet changes a link and leaves the old file as it was.
            state = Path(file).stat()
            version = (state.st_ino, state.st_mtime_ns, state.st_size)
            if version == self._seen[0]:
                return
            with Path(file).open("rb") as opened:
                content = opened.read(_MAX_BYTES + 1)
        except OSError as error:
            raise ValueError(_unusable(file, error.strerror or "cannot be read")) from error
        self._seen = (version, _token(content, file=file))


def found_file() -> str | None:
    """LEARNOPS_TOKEN_FILE, or where a pod has its projected token, if it has one."""
    named = os.environ.get("LEARNOPS_TOKEN_FILE")
    return named or (PROJECTED if Path(PROJECTED).exists() else None)


def given(value: str) -> str:
    """A token that was given as a value, without the blanks around it.

    Raises:
        ValueError: it can be no token; what it is, the message does not tell.
    """
    content = value.encode(errors="surrogatepass")
    if why := _flaw(content):
        raise ValueError(f"token {why}; pass token= or set LEARNOPS_TOKEN to the token alone")
    return value.strip()


def _token(content: bytes, *, file: str) -> str:
    if why := _flaw(content):
        raise ValueError(_unusable(file, why))
    return content.strip().decode("ascii")


def _flaw(content: bytes) -> str | None:
    token = content.strip()
    if not token:
        return "is empty"
    # Anything else would end the header, or begin another one.
    if len(content) > _MAX_BYTES or not all(33 <= byte <= 126 for byte in token):
        return "holds no token"
    return None


def _unusable(file: str, why: str) -> str:
    return f"token_file is {file!r}: {why}; mount a projected service account token there"
