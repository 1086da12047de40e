"""However a log is cut into generations and read in pieces, each is judged as a log of its own."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from learnops.app.evidence.columns import columns_of
from learnops.app.evidence.generations import plan_for
from learnops.app.evidence.runlog import _Progress
from learnops.domain.evidence import anytime
from learnops.domain.evidence.standing import Evidence
from learnops.ports.runlog import Generation, LogRows
from tests.unit.app.models import canary

CANARY = canary(source="RunLog")
_RUNS = 240
CANDIDATE = CANARY.spec.candidate_refs[0].name


def log(*, seed: int, worse: float, starts: list[int]) -> LogRows:
    """Runs of both arms, the candidate's losses `worse` above control's on average."""
    random = np.random.default_rng(seed)
    mine = random.random(_RUNS) < 0.5
    loss = np.clip(random.normal(0.4, 0.2, _RUNS) + worse * mine, 0.0, 1.0)
    generations = [
        Generation(number=number, first_seq=first, attempt=number, crl={"n": number})
        for number, first in enumerate([1, *sorted(starts)], start=1)
    ]
    return LogRows(
        seq=list(range(1, _RUNS + 1)),
        is_candidate=mine.tolist(),
        is_other=[False] * _RUNS,
        propensity=[0.5] * _RUNS,
        control_propensity=[0.5] * _RUNS,
        loss=loss.tolist(),
        void=(random.random(_RUNS) < 0.05).tolist(),
        timed_out=[False] * _RUNS,
        total=_RUNS,
        overdue=0,
        next_timeout_seconds=None,
        generations=generations,
    )


def cut(rows: LogRows, first: int, last: int) -> LogRows:
    """The runs numbered from `first` to `last`."""
    drawn = ("is_candidate", "is_other", "propensity", "control_propensity")
    names = ("seq", *drawn, "loss", "void", "timed_out")
    return replace(rows, **{name: getattr(rows, name)[first - 1 : last] for name in names})


def alone(rows: LogRows, generation: Generation) -> Evidence:
    """The evidence of one generation, from nothing but its own runs."""
    later = [it.first_seq for it in rows.generations if it.number == generation.number + 1]
    own = cut(rows, generation.first_seq, later[0] - 1 if later else _RUNS)
    plan = plan_for(CANARY, CANDIDATE, generation)
    state = anytime.start(plan, watermark=generation.first_seq - 1)
    return anytime.advance(state, columns_of(own, plan)).evidence()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    worse=st.sampled_from([-0.4, 0.0, 0.4]),
    starts=st.lists(st.integers(1, _RUNS + 1), max_size=4),
    pieces=st.lists(st.integers(10, 90), min_size=30, max_size=30),
)
def test_each_generation_is_a_log_of_its_own(
    seed: int, worse: float, starts: list[int], pieces: list[int]
) -> None:
    rows = log(seed=seed, worse=worse, starts=starts)
    progress = _Progress.begun(CANARY, CANDIDATE, rows.generations[0])
    for piece in pieces:
        after = progress.state.watermark
        progress = progress.over(CANARY, cut(rows, after + 1, after + piece))
    judged = progress.judged(CANARY, rows.generations[-1])
    found = [(it, alone(rows, it)) for it in rows.generations]
    worst = [(it, one) for it, one in found if one.rollback.crossed_at is not None]
    generation, expected = worst[0] if worst else found[-1]
    assert judged.generation == generation
    assert judged.state.evidence() == expected
