"""Payloads of crl_computed: complete, by doer, and within what Postgres takes."""

import json
from itertools import pairwise

import pytest

from learnops.adapters.postgres.announcements import MAX_PAYLOAD_BYTES, Computed, payloads


def computed(run_id: str, *, doer: str = "planner") -> Computed:
    return Computed(namespace="agents", doer=doer, run_id=run_id, crl=0.6, loss=0.15)


def told(payload: str) -> list[tuple[str, str]]:
    parsed = json.loads(payload)
    return [(parsed["doer"], run["runId"]) for run in parsed["runs"]]


def test_one_payload_a_doer() -> None:
    made = payloads([computed("a"), computed("b", doer="judge"), computed("c")])
    assert [json.loads(it) for it in made] == [
        {
            "namespace": "agents",
            "doer": "planner",
            "runs": [
                {"runId": "a", "crl": 0.6, "loss": 0.15},
                {"runId": "c", "crl": 0.6, "loss": 0.15},
            ],
        },
        {
            "namespace": "agents",
            "doer": "judge",
            "runs": [{"runId": "b", "crl": 0.6, "loss": 0.15}],
        },
    ]
    assert payloads([]) == []


@pytest.mark.parametrize("letter", ["r", "é", "\U0001f600", '"'])
def test_many_are_split_so_that_each_fits(letter: str) -> None:
    ids = [f"{letter * 190}{number}" for number in range(500)]
    made = payloads([computed(run_id) for run_id in ids])
    assert max(len(it.encode()) for it in made) <= MAX_PAYLOAD_BYTES
    assert [name for it in made for name in told(it)] == [("planner", it) for it in ids]
    # No more of them than are needed: two neighbours would not fit into one.
    for first, second in pairwise(made):
        assert len(first) + len(second) > MAX_PAYLOAD_BYTES
