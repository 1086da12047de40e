"""What is scraped: the text format without the series that only repeat a series' birth."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

# One more series for each counter and histogram, of a time that no query here asks for.
_BIRTH: Final = "_created"


class _Lean(Collector):
    def __init__(self, registries: tuple[CollectorRegistry, ...]) -> None:
        self._registries = registries

    def collect(self) -> Iterator[Metric]:
        for registry in self._registries:
            for family in registry.collect():
                family.samples = [it for it in family.samples if not it.name.endswith(_BIRTH)]
                yield family


def exposition(*registries: CollectorRegistry) -> bytes:
    """All series of the registries in Prometheus' text format."""
    return generate_latest(_Lean(registries))
