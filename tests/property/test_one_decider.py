"""What `judge` says of a log is what the planner does with it: verdict, reason, and at which run.

Random logs go block by block through a whole world of `decide`, and their prefixes through `judge`.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from learnops.api.canary import CanaryDeployment, CanaryStage, Verdict
from learnops.app.evidence.reading import plan_of, to_reading
from learnops.cli.evaluation.judging import judge_of
from learnops.domain.evidence import anytime, sample_ratio
from learnops.domain.evidence import types as evidence_types
from learnops.domain.evidence.anytime import EngineState
from learnops.domain.evidence.blocks import BLOCK_RUNS
from learnops.domain.evidence.ruling import Reason
from learnops.domain.evidence.sample_ratio import SampleRatioState
from learnops.domain.evidence.types import Observations
from learnops.domain.evidence.verdict import judge
from learnops.domain.planner.conditions import RECONCILING, reason_of
from tests.simulation import objects
from tests.simulation.acts.people import apply, begin
from tests.simulation.world import World

RUNS, SHARE = 400, 20
AGAINST = (Reason.GUARDRAIL_BREACHED, Reason.WORSE, Reason.FUTILE)
HELD = (Reason.SAMPLE_RATIO_MISMATCH, Reason.INCONCLUSIVE)
NAME = "try"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A canary's analysis, and the log of each of its candidates."""

    names: tuple[str, ...]
    analysis: dict[str, object]
    logs: dict[str, Observations]


def case(seed: int, *, candidates: int) -> Case:
    rng = np.random.default_rng((seed, candidates))
    names = tuple(f"v{number}" for number in range(2, 2 + candidates))
    analysis: dict[str, object] = {
        "minCandidateRuns": int(rng.choice([5, 20, 40])),
        "maxRuns": int(rng.choice([95, 150, 250, 5000])),
        "onInconclusive": str(rng.choice(["Rollback", "Hold"])),
    }
    if rng.random() < 0.4:
        analysis["futility"] = {"minImprovement": "0.1", "level": "0.3"}
    guarded = rng.random() < 0.5
    if guarded:
        most = int(rng.choice([3, 10]))
        guardrail = {"term": "grounding", "tolerance": "0.1", "immediate": {"maxCount": most}}
        analysis["guardrails"] = [guardrail]
    return Case(names=names, analysis=analysis, logs=logs(rng, names=names, guarded=guarded))


def logs(
    rng: np.random.Generator, *, names: tuple[str, ...], guarded: bool
) -> dict[str, Observations]:
    """One draw of arms and losses, as each candidate sees it."""
    planned = np.full(len(names), SHARE / 100)
    real = planned * rng.choice([1.0, 1.0, 0.4, 1.6], len(names))
    drawn = rng.choice(len(names) + 1, RUNS, p=[1.0 - real.sum(), *real])
    differences = np.array([0.0, *rng.choice([-0.25, -0.1, 0.0, 0.1, 0.25], len(names))])
    loss = np.clip(rng.beta(2.5, 35 / 6, RUNS) + differences[drawn], 0.0, 1.0)
    bad = np.array([0.02, *rng.choice([0.02, 0.4], len(names))])
    term = np.where(rng.random(RUNS) < bad[drawn], 0.5, 0.05)
    void = rng.random(RUNS) < 0.02
    several = len(names) > 1
    return {
        name: Observations(
            seq=np.arange(1, RUNS + 1),
            is_candidate=drawn == number,
            propensity=np.full(RUNS, SHARE / 100),
            loss=loss,
            void=void,
            terms=term[:, None] if guarded else None,
            is_other=(drawn != number) & (drawn != 0) if several else None,
            control_propensity=np.full(RUNS, 1.0 - planned.sum()) if several else None,
        )
        for number, name in enumerate(names, start=1)
    }


def cut(log: Observations, first: int, last: int) -> Observations:
    columns = (getattr(log, name) for name in Observations.__slots__)
    return Observations(
        **{
            name: None if column is None else column[first:last]
            for name, column in zip(Observations.__slots__, columns, strict=True)
        }
    )


def quick(plan: evidence_types.TestPlan) -> evidence_types.TestPlan:
    """Without the interval, which decides nothing and has more tests than all else."""
    return replace(plan, interval=False)


class Operator:
    """The planner's side: the engine's states, told to a world block by block."""

    def __init__(self, given: Case) -> None:
        self.case, self.world = given, World()
        for beat in begin():
            beat(self.world)
        self.world.settle()
        policies = (objects.policy(name) for name in given.names)
        made = objects.canary(
            NAME,
            candidate=given.names[0],
            candidateRefs=[{"name": name} for name in given.names],
            strategy={"canary": {"steps": [SHARE]}},
            analysis=objects.analysis(**given.analysis),
        )
        apply(*policies, made)(self.world)
        self.world.settle()
        self.states: dict[str, EngineState] = {
            name: anytime.start(quick(plan_of(self.canary, candidate=name))) for name in given.names
        }
        self.ratios = dict.fromkeys(given.names, SampleRatioState())

    @property
    def canary(self) -> CanaryDeployment:
        found = self.world.store.get("CanaryDeployment", NAME)
        assert isinstance(found, CanaryDeployment)
        return found

    def look(self, upto: int) -> None:
        """One more block of every candidate's log, then the planner until it is done."""
        for name, log in self.case.logs.items():
            block = cut(log, upto - BLOCK_RUNS, upto)
            self.states[name] = anytime.advance(self.states[name], block)
            told = np.ones(len(block), dtype=np.bool_)
            self.ratios[name] = sample_ratio.advance(self.ratios[name], block, completed=told)
            self.world.sources.truth[name] = to_reading(
                self.states[name].evidence(),
                percent=SHARE,
                prefix_current=True,
                control_timeout_fraction=0.0,
                breaches=breaches(log, upto),
                ratio=self.ratios[name].result(),
            )
        self.world.settle()

    def dropped(self) -> dict[str, tuple[Verdict, str]]:
        """Of each candidate that the evidence is against: the verdict, and the reason on record."""
        reasons = {row.policy: row.reason for row in self.world.log.rows.values() if row.reason}
        against = (Verdict.ROLLBACK, Verdict.FUTILE)
        told = self.canary.status.candidates
        return {it.name: (it.verdict, reasons[it.name]) for it in told if it.verdict in against}

    def state(self) -> tuple[CanaryStage | None, Verdict | None, str | None]:
        """Where the canary is, what is recommended, and the reason that its conditions have."""
        status = self.canary.status
        return status.stage, status.recommendation, reason_of(status.conditions, RECONCILING)

    def ended_for(self) -> str:
        """The reason of the last line of its history."""
        return self.canary.status.history[-1].reason


def breaches(log: Observations, upto: int) -> tuple[int, ...]:
    """As they are counted for the operator: reported ones of the candidate."""
    if log.terms is None or log.void is None:
        return ()
    mine = log.is_candidate[:upto] & ~log.void[:upto]
    return (int((mine & (log.terms[:upto, 0] > 0.1)).sum()),)


class Compared:
    """A log on both sides; `seen` counts what they agreed on."""

    def __init__(self, given: Case, seen: Counter[Reason]) -> None:
        self.operator, self.logs, self.seen = Operator(given), given.logs, seen
        asked = judge_of(self.operator.canary, attempt=1)
        self.plan, self.limits = quick(asked.plan), asked.limits
        self.racing, self.fell, self.at = list(given.names), dict[str, int](), 0

    def play(self) -> None:
        for upto in range(BLOCK_RUNS, RUNS + 1, BLOCK_RUNS):
            self.at = upto
            self.operator.look(upto)
            if self._agreed(upto):
                break
        for name, at in self.fell.items():  # whatever the log has behind it changes nothing
            found = judge(self.plan, self.limits, self.logs[name])
            assert -(-found.runs // BLOCK_RUNS) * BLOCK_RUNS == at

    def _agreed(self, upto: int) -> bool:
        """At this look, whether the canary is over with it (or held, for another's sake)."""
        found = {name: self._reason(name, upto) for name in self.racing}
        against = {name: reason for name, reason in found.items() if reason in AGAINST}
        dropped = self.operator.dropped()
        assert {name: dropped[name] for name in dropped if name in self.racing} == {
            name: (reason.verdict, reason) for name, reason in against.items()
        }
        self._count(against, upto)
        self.racing = [name for name in self.racing if name not in against]
        left = {name: reason for name, reason in found.items() if name in self.racing}
        if not left:
            assert self.operator.state()[0] is CanaryStage.ROLLED_BACK
            return True
        return self._agreed_on_the_rest(left, upto)

    def _agreed_on_the_rest(self, left: dict[str, Reason], upto: int) -> bool:
        """The order of the rules is that of `Reason`, over all candidates."""
        first = next(reason for reason in Reason if reason in left.values())
        named = {name: reason for name, reason in left.items() if reason is first}
        stage, recommended, why = self.operator.state()
        if first in HELD:
            assert (stage, recommended, why) == (CanaryStage.CANARY, first.verdict, first)
            self.seen[first] += 1
            return any(reason.ends for reason in left.values())  # alone it would be over
        if first is Reason.PROGRESSING:
            assert (stage, why) == (CanaryStage.CANARY, first)
            better = any(self.operator.states[name].evidence().better for name in left)
            assert recommended is (Verdict.PROMOTE if better else first.verdict)
            return False
        if first is Reason.BETTER:
            winner = self.operator.world.store.get("Doer", "planner").status.active_policy
            assert (stage, recommended) == (CanaryStage.PROMOTED, first.verdict)
            assert winner in named
            named = {winner: first}
        else:
            assert (stage, self.operator.ended_for()) == (CanaryStage.INCONCLUSIVE, first)
        self._count(named, upto)
        return True

    def _reason(self, name: str, upto: int) -> Reason:
        found = judge(self.plan, self.limits, cut(self.logs[name], 0, upto))
        assert found.verdict is found.reason.verdict
        return found.reason

    def _count(self, reasons: dict[str, Reason], upto: int) -> None:
        self.seen.update(reasons.values())
        self.fell |= dict.fromkeys(reasons, upto)


@pytest.mark.parametrize("candidates", [1, 2, 3])
def test_the_planner_and_judge_come_to_the_same(candidates: int) -> None:
    seen: Counter[Reason] = Counter()
    for seed in range(30):
        compared = Compared(case(seed, candidates=candidates), seen)
        try:
            compared.play()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, run {compared.at}: {error}") from error
    assert set(seen) == set(Reason) - {Reason.PROGRESSING}, seen
