"""`python -m testbed.binaries`: build what is missing, print where each binary is."""

import sys

from testbed.binaries.locate import ensure
from testbed.errors import TestbedError


def main() -> int:
    """Exit code 0 if every binary is there, 1 with one message if not."""
    try:
        found = ensure()
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    for name, path in found.items():
        print(f"{name}\t{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
