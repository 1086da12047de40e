"""A signal on its way: as it waits in memory, on disk, and among what was refused."""

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from learnops.client.frames import Record
from learnops.client.parcel import Parcel

# By this the spool tells records of signals. Their run's id is in the body: escaped, it would not
# always fit into a record's path.
SIGNALS_PATH: Final = "/v1/runs/{runId}/signals"


@dataclass(slots=True, kw_only=True, eq=False)
class Outgoing:
    """One signal of a run; the body of its parcel is the JSON of the signal.

    `unknown_since`: the api did not know the run then (monotonic seconds); `done`: answered.
    """

    run_id: str
    parcel: Parcel
    unknown_since: float | None = None
    done: bool = False


def record_of(signal: Outgoing) -> Record:
    """As it waits on disk. The key is in it, so that sent twice it is stored once."""
    run_id = json.dumps(signal.run_id).encode()
    body = b'{"runId": ' + run_id + b', "signal": ' + signal.parcel.body + b"}"
    return Record(path=SIGNALS_PATH, body=body)


def from_disk(parcel: Parcel) -> Outgoing:
    """What `record_of` wrote; raises ValueError where it is something else."""
    try:
        told = json.loads(parcel.body)
        run_id, body = told["runId"], json.dumps(told["signal"]).encode()
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no signal of a run: {type(error).__name__}") from error
    if not isinstance(run_id, str):
        raise ValueError("no signal of a run: runId is no string")
    return Outgoing(run_id=run_id, parcel=Parcel(body=body, segment=parcel.segment))


def letter_of(signal: Outgoing, *, namespace: str, doer: str) -> Record:
    """As it can be posted again."""
    body = request_body([signal], namespace=namespace, doer=doer)
    return Record(path=path_of(signal.run_id), body=body)


def request_body(signals: list[Outgoing], *, namespace: str, doer: str) -> bytes:
    """Signals of one run as they are posted."""
    head = json.dumps({"namespace": namespace, "doer": doer})
    bodies = b",".join(it.parcel.body for it in signals)
    return head[:-1].encode() + b', "signals": [' + bodies + b"]}"


def path_of(run_id: str) -> str:
    """Where a run's signals are posted. Dots as well: a path of dots alone means another one."""
    return f"/v1/runs/{quote(run_id, safe='').replace('.', '%2E')}/signals"
