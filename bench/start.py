"""How soon an operator has looked at 500 idle doers, and what it weighs then."""

import time

from bench.crowd import IDLE, Crowd
from bench.figure import Figure
from bench.rig import Measured, Rig
from testbed.waiting import wait_until

_RESTARTS = 3


def run(rig: Rig) -> list[Figure]:
    """First start: every status is still empty. Restart: all of them say what is true."""
    crowd = rig.crowd
    operator = rig.idle_operator(namespace=crowd.objects.namespace)
    try:
        first = _seconds(operator, crowd)
        memory = operator.resident_mebibytes()
        operator.process.stop()
        restarts = []
        for _ in range(_RESTARTS):
            restarts.append(_seconds(operator, crowd))
            memory = max(memory, operator.resident_mebibytes())
            operator.process.stop()
    finally:
        operator.process.stop()
    again = sorted(restarts)[_RESTARTS // 2]
    return [
        Figure(
            name=f"restart with {IDLE} doers → all looked at",
            value=again,
            unit="s",
            at_most=5,
            note=f"process start included; median of {_RESTARTS}",
        ),
        Figure(
            name=f"first start: {IDLE} new doers and policies → all statuses written",
            value=first,
            unit="s",
            note="each: 1 row in the run log, 2 status writes, 1 Event",
        ),
        Figure(
            name=f"operator's memory with {IDLE} idle doers",
            value=memory,
            unit="MiB",
            at_most=150,
            note="resident, the most of all starts",
        ),
    ]


def _seconds(operator: Measured, crowd: Crowd) -> float:
    began = time.monotonic()
    operator.start()

    def settled() -> bool:
        passes = operator.total("learnops_reconcile_total", result="done")
        return passes >= IDLE and operator.total("learnops_queue_depth") == 0

    wait_until(settled, what="all doers to be looked at", deadline_seconds=120)
    seconds = time.monotonic() - began
    # Not part of the time: a check that the queue's word can be believed.
    crowd.objects.wait_served(IDLE)
    return seconds
