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


def main():
    vectors = []
    for salt, unit in PAIRS:
        digest = hashlib.blake2b(
            unit.encode("utf-8"), key=salt.encode("utf-8"), digest_size=8
        ).digest()
        bits = "".join(f"{byte:08b}" for byte in digest)
        vectors.append({"salt": salt, "unit": unit, "position": int(bits[:53], 2) / 2**53})
    path = Path(__file__).parent / "vectors.json"
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
