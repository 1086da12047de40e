"""Writes the normative vectors of the assignment hash from the definition in plain words."""

import hashlib
import json
from pathlib import Path

PAIRS = [
    ("6f0c2a1e-8d5b-4f5e-9a31-0c7f6c7c1a11.0", "run-1"),
    ("6f0c2a1e-8d5b-4f5e-9a31-0c7f6c7c1a11.1", "run-1"),
    ("6f0c2a1e-8d5b-4f5e-9a31-0c7f6c7c1a11.0", "run-2"),
    ("s", "tenant-äöü-東京"),
    ("k" * 64, "x" * 1024),
    ("a.0", "0"),
    ("a.0", " "),
]


# Two candidates as they grow, and after the first was dropped: (policy, percent, start).
REGIONS = [
    [("v2", 5, 0), ("v3", 5, 33)],
    [("v2", 5, 0), ("v3", 25, 33)],
    [("v2", 33, 0), ("v3", 33, 33)],
    [("v3", 33, 33)],
]


def place(salt, unit):
    """The position, as a whole number of 1/2^53."""
    digest = hashlib.blake2b(unit.encode("utf-8"), key=salt.encode("utf-8"), digest_size=8).digest()
    bits = "".join(f"{byte:08b}" for byte in digest)
    return int(bits[:53], 2)


def arm(salt, unit, regions):
    """The policy whose region holds the position; null: control."""
    at = place(salt, unit) * 100
    for policy, percent, start in regions:
        if start * 2**53 <= at < (start + percent) * 2**53:
            return policy
    return None


def main():
    vectors = [
        {"salt": salt, "unit": unit, "position": place(salt, unit) / 2**53} for salt, unit in PAIRS
    ]
    write("vectors.json", vectors)
    salt = PAIRS[0][0]
    several = [
        {
            "salt": salt,
            "unit": f"run-{number}",
            "arms": [arm(salt, f"run-{number}", it) for it in REGIONS],
        }
        for number in range(40)
    ]
    write("regions.json", {"regions": REGIONS, "vectors": several})


def write(name, content):
    path = Path(__file__).parent / name
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
