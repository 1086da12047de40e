"""Which arm a unit gets: a keyed hash, the same in the SDK, the api and any other implementation.

Normative (test vectors: tests/golden/assignment/vectors.json):

    position = (top 53 bits of BLAKE2b(key = salt, digest 8 bytes, message = unit id)) / 2^53

with salt and unit id in UTF-8 and the digest read big-endian. A unit gets the candidate where
``position < candidate share``, so raising the share only widens the candidate's region: nobody who
had the candidate loses it. Standard library only, because every agent imports this.
"""

from enum import StrEnum
from hashlib import blake2b

MAX_SALT_BYTES = blake2b.MAX_KEY_SIZE
MAX_UNIT_BYTES = 1024


class Arm(StrEnum):
    """Which policy a run was assigned to."""

    CONTROL = "control"
    CANDIDATE = "candidate"


def position(salt: str, unit_id: str) -> float:
    """Where the unit lies in [0, 1), uniform over units, independent between salts.

    Args:
        salt: 1 to 64 bytes; the canary's UID and its number of retries, so that two canaries never
            share a split.
        unit_id: 1 to 1024 bytes; the run id, session or tenant.

    Raises:
        ValueError: naming the argument that is empty, too long or not valid Unicode.
    """
    key = _encode("salt", salt, limit=MAX_SALT_BYTES)
    message = _encode("unit_id", unit_id, limit=MAX_UNIT_BYTES)
    digest = blake2b(message, key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def draw(salt: str, unit_id: str, candidate_percent: float) -> Arm:
    """The arm of a unit at a share of ``candidate_percent`` (0 to 100)."""
    if not 0.0 <= candidate_percent <= 100.0:
        raise ValueError(f"candidate_percent is {candidate_percent}; use 0 to 100")
    inside = position(salt, unit_id) < candidate_percent / 100.0
    return Arm.CANDIDATE if inside else Arm.CONTROL


def _encode(name: str, value: str, *, limit: int) -> bytes:
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form, and another implementation could not follow us.
        raise ValueError(f"{name} is not valid Unicode text") from None
    if not 1 <= len(encoded) <= limit:
        raise ValueError(f"{name} has {len(encoded)} bytes; use 1 to {limit}")
    return encoded
