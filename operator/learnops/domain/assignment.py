"""Which arm a unit gets: a keyed hash, the same in the SDK, the api and any other implementation.

Normative (test vectors: tests/golden/assignment/vectors.json):

    position = (top 53 bits of BLAKE2b(key = salt, digest 8 bytes, message = unit id)) / 2^53

with salt and unit id in UTF-8 and the digest read big-endian. Each candidate has a region that
begins at its start; a unit gets the candidate where ``start <= position < start + share``, and
control outside all of them. So raising a share only widens the candidate's region: nobody who had
the candidate loses it. The only candidate of a canary starts at 0. Standard library only, because
every agent imports this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

MAX_SALT_BYTES = blake2b.MAX_KEY_SIZE
MAX_UNIT_BYTES = 1024


class Arm(StrEnum):
    """Which policy a run was assigned to."""

    CONTROL = "control"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What a candidate gets of the hash line: from `start`, `percent` wide, both 0 to 100."""

    policy: str
    percent: float
    start: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.percent <= 100.0 and 0.0 <= self.start <= 100.0 - self.percent):
            raise ValueError(
                f"the region of {self.policy} is {self.percent} percent from {self.start}; "
                "use 0 to 100 within 0 to 100"
            )


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


def choose(salt: str, unit_id: str, regions: Sequence[Region]) -> str | None:
    """The candidate that a unit gets, None for control. Regions must not overlap."""
    at = position(salt, unit_id)
    for region in regions:
        if region.start / 100.0 <= at < (region.start + region.percent) / 100.0:
            return region.policy
    return None


def draw(salt: str, unit_id: str, candidate_percent: float) -> Arm:
    """The arm of a unit at a share of ``candidate_percent`` (0 to 100)."""
    if not 0.0 <= candidate_percent <= 100.0:
        raise ValueError(f"candidate_percent is {candidate_percent}; use 0 to 100")
    only = Region(policy=Arm.CANDIDATE, percent=candidate_percent)
    return Arm.CONTROL if choose(salt, unit_id, (only,)) is None else Arm.CANDIDATE


def _encode(name: str, value: str, *, limit: int) -> bytes:
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form, and another implementation could not follow us.
        raise ValueError(f"{name} is not valid Unicode text") from None
    if not 1 <= len(encoded) <= limit:
        raise ValueError(f"{name} has {len(encoded)} bytes; use 1 to {limit}")
    return encoded
