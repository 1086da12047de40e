"""What `learnops operator` is told; apart from the command, so that its process can import it."""

from dataclasses import dataclass, field
from pathlib import Path

FEATURES = ("canaries",)


@dataclass(frozen=True, kw_only=True)
class OperatorSettings:
    """All that the operator is told from outside."""

    database_url: str = field(repr=False)
    kubeconfig: Path | None
    namespaces: tuple[str, ...]  # empty: all
    prometheus_url: str | None
    prometheus_token_file: Path | None
    lease_namespace: str
    lease_name: str
    identity: str
    lease_seconds: int
    tick_seconds: float
    workers: int
    probe_host: str
    probe_port: int
    disabled: frozenset[str] = frozenset()  # of FEATURES
