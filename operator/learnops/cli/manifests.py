"""A manifest from a file, for commands that work without a cluster."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

_MAX_BYTES = 1_000_000


class ManifestError(Exception):
    """A file that is not what the command needs; the message names the place and the field."""


def document(path: Path, *, kind: str) -> dict[str, Any]:
    """The one object of this kind that a file holds.

    Raises:
        ManifestError: it cannot be read, is too large, no YAML, or another kind.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    if len(text) > _MAX_BYTES:
        raise ManifestError(f"{path}: has over {_MAX_BYTES:,} bytes")
    try:
        found = [it for it in yaml.safe_load_all(text) if it is not None]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: is not YAML") from error
    if len(found) != 1 or not isinstance(found[0], dict):
        raise ManifestError(f"{path}: must hold one {kind}")
    if found[0].get("kind", kind) != kind:
        raise ManifestError(f"{path}: kind: {found[0]['kind']!r:.80} is not {kind}")
    return dict(found[0])


def first_of(error: ValidationError) -> str:
    """Place and message of the first thing that is wrong."""
    first = error.errors()[0]
    place = ".".join(str(it) for it in first["loc"])
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
