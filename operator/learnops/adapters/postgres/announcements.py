"""The event `crl-computed`: NOTIFY on `crl_computed`, for whoever listens on the database.

The payload is JSON, `{"namespace", "doer", "runs": [{"runId", "crl", "loss"}, …]}`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.notifications import notify

CHANNEL: Final = "crl_computed"
# Postgres refuses payloads of 8000 bytes and more. A run id has at most 200 characters, as JSON in
# ASCII at most 2400 bytes, so that every run fits into one of its own.
MAX_PAYLOAD_BYTES: Final = 7900


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A run that was scored and stored; `crl` is the weighted sum L, `loss` L divided by Σw."""

    namespace: str
    doer: str
    run_id: str
    crl: float
    loss: float


def payloads(computed: Iterable[Computed]) -> list[str]:
    """As few payloads as hold these runs, by doer, each in ASCII and within the bound."""
    by_doer: dict[tuple[str, str], list[str]] = {}
    for it in computed:
        told = {"runId": it.run_id, "crl": it.crl, "loss": it.loss}
        run = json.dumps(told, separators=(",", ":"))
        by_doer.setdefault((it.namespace, it.doer), []).append(run)
    made: list[str] = []
    for (namespace, doer), runs in by_doer.items():
        whose = json.dumps({"namespace": namespace, "doer": doer}, separators=(",", ":"))
        head = f'{whose[:-1]},"runs":['
        made += [f"{head}{','.join(part)}]}}" for part in _parts(runs, over=len(head) + 2)]
    return made


async def announce(pool: Pool, *, computed: Sequence[Computed]) -> None:
    """Tell all who listen. Raises DatabaseUnavailableError, also where Postgres' queue of
    notifications is full."""
    await notify(pool, channel=CHANNEL, payloads=payloads(computed))


def _parts(runs: Sequence[str], *, over: int) -> list[list[str]]:
    parts: list[list[str]] = []
    size = MAX_PAYLOAD_BYTES
    for run in runs:
        if size + len(run) + 1 > MAX_PAYLOAD_BYTES:
            parts.append([])
            size = over
        parts[-1].append(run)
        size += len(run) + 1
    return parts
