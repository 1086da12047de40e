"""What both processes expose, from their own registries, and what the docs say of it."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import make_pool
from learnops.app.metrics import OperatorMetrics
from learnops.server.app import create_app
from learnops.server.auth import DevelopmentToken
from learnops.server.services import assemble
from testbed.binaries import binary

ROOT = Path(__file__).parents[1]
RULES = ROOT / "config" / "prometheus-rules.yaml"
DASHBOARD = ROOT / "dashboards" / "learnops.json"
_NAME = re.compile(r"learnops_[a-z_0-9]+")


@dataclass(frozen=True, kw_only=True)
class Described:
    """One metric as its process declares it; a counter's name ends in _total."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which it is asked for."""
        parts = ("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",)
        return tuple(self.name + part for part in parts)

    @property
    def unit(self) -> str:
        """As the name has it."""
        words = {"seconds": "s", "usd": "US dollars", "ratio": "0 to 1", "weight": "percent"}
        found = [words[word] for word in self.name.split("_") if word in words]
        if self.name in ("learnops_crl", "learnops_crl_sum_total", "learnops_canary_difference"):
            return "loss, 0 to 1"
        return found[0] if found else ""


def described(*registries: CollectorRegistry) -> list[Described]:
    """Every metric of the registries, by name."""
    found = [
        Described(
            name=family.name + ("_total" if family.type == "counter" else ""),
            kind=family.type,
            labels=tuple(collector._labelnames),
            meaning=family.documentation,
        )
        for registry in registries
        for collector in _collectors(registry)
        for family in collector.describe()
    ]
    return sorted(found, key=lambda one: one.name)


def _collectors(registry: CollectorRegistry) -> Iterator[Any]:
    yield from registry._collector_to_names


def of_api() -> list[Described]:
    """What an api declares."""
    pool = make_pool("postgresql://", application="test")
    services = assemble(pool=pool, clock=SystemClock(), ttl_seconds=300)
    create_app(services=services, by=DevelopmentToken("t" * 16))
    return described(services.metrics.registry, services.metrics._apart)


def of_operator() -> list[Described]:
    """What an operator declares."""
    return described(OperatorMetrics(version="0").registry)


def names_in(text: str) -> set[str]:
    """Names of series that a text speaks of."""
    return set(_NAME.findall(text))


def promtool(*arguments: str, stdin: str = "") -> tuple[int, str]:
    """Exit code and all output."""
    done = subprocess.run(
        [str(binary("promtool")), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()
