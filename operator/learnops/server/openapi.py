"""`python -m learnops.server.openapi [--check]`: write docs/reference/openapi.json, or compare."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import make_pool
from learnops.server.app import create_app
from learnops.server.auth import DevelopmentToken
from learnops.server.services import assemble

PATH: Final = Path("docs/reference/openapi.json")


def document() -> dict[str, Any]:
    """What the api answers at /openapi.json. It depends on the routes alone: nothing is opened."""
    pool = make_pool("postgresql://", application="learnops-openapi")
    services = assemble(pool=pool, clock=SystemClock(), ttl_seconds=300)
    return create_app(services=services, by=DevelopmentToken("never-asked-for-it")).openapi()


def main() -> int:
    """0: written, or nothing differs; 1: `--check` found a difference."""
    parser = argparse.ArgumentParser(prog="python -m learnops.server.openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: here)")
    arguments = parser.parse_args()
    told = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
    target = arguments.root / PATH
    if not arguments.check:
        target.write_text(told, encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == told:
        return 0
    sys.stderr.write(f"{PATH} is not what the routes say; run `make crds` and commit\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
