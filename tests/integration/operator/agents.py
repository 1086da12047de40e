"""Agents in one line: draw from what the Doer serves, register, report a loss."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from learnops.adapters.postgres.wakeups import CHANNEL
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.objects import Objects

_REGISTER = """
WITH numbered AS (
    UPDATE shadow_deployments SET next_seq = next_seq + %(count)s
    WHERE id = %(rollout)s AND ended_at IS NULL RETURNING next_seq - %(count)s AS first
)
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, propensities, resolved_at, resolution,
                                 loss)
SELECT %(rollout)s, first + position - 1, %(namespace)s, %(doer)s,
       %(rollout)s || '-' || (first + position), %(rollout)s || '-' || (first + position),
       arm, policy, %(propensity)s, %(revision)s, %(propensities)s::jsonb, clock_timestamp(),
       'Bundle', loss
FROM numbered, unnest(%(arm)s::text[], %(policy)s::text[], %(loss)s::float8[])
    WITH ORDINALITY AS i (arm, policy, loss, position)
RETURNING seq, run_id
"""

_SCORE = """
WITH run AS (
    INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, bundle,
                      content_hash, cost_usd)
    SELECT namespace, run_id, doer, policy, arm, propensity, revision, rollout, '{}', '',
           (%(costs)s::jsonb ->> policy)::float8
    FROM deployment_routings
    WHERE namespace = %(namespace)s AND run_id = ANY(%(runs)s::text[])
    RETURNING namespace, run_id
)
INSERT INTO crl_results (namespace, run_id, loss_value, loss, partial, contradictions)
SELECT namespace, run_id, 0, 0, false, found
FROM run JOIN unnest(%(runs)s::text[], %(contradictions)s::int[]) AS i (run_id, found)
    USING (run_id)
"""


@dataclass(kw_only=True)
class Agents:
    """Runs of one doer. `losses` gives the mean loss of each policy, its truth; `contradictions`
    how often an answer of each has any, where they tell; `costs` what a run of each costs."""

    objects: Objects
    database: str
    losses: dict[str, float]
    doer: str = "planner"
    deadline_seconds: float = 90.0
    drawn_percent: int | None = None  # where it is not what is logged
    contradictions: dict[str, float] | None = None
    costs: dict[str, float] | None = None
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    def work(self, *, runs: int = 50) -> Json:
        """Some runs on what is served now; the traffic that they saw."""
        traffic = self.traffic()
        pi = {share["policy"]: share["percent"] / 100 for share in traffic["shares"]}
        control = pi[traffic["active"]]
        if not 0 < control < 1:
            return traffic
        truly = {name: value for name, value in pi.items() if name != traffic["active"]}
        if self.drawn_percent is not None:
            truly = dict.fromkeys(truly, self.drawn_percent / 100)
        policies = [self._drawn(truly, otherwise=traffic["active"]) for _ in range(runs)]
        self._report(traffic, pi, policies, [self._loss(one) for one in policies])
        return traffic

    def _drawn(self, candidates: dict[str, float], *, otherwise: str) -> str:
        left = self._random.random()
        for name, probability in candidates.items():
            if left < probability:
                return name
            left -= probability
        return otherwise

    def until(self, expected: Callable[[Json], bool], *, what: str, runs: int = 50) -> Json:
        """Work until the Doer's status is as expected; the status."""

        def tried() -> Json | None:
            self.work(runs=runs)
            status: Json = self.objects.get("doers", self.doer).get("status", {})
            return status if expected(status) else None

        return wait_until(tried, what=what, deadline_seconds=self.deadline_seconds)

    def traffic(self) -> Json:
        """What the Doer serves."""
        found: Json = self.objects.get("doers", self.doer)["status"]["traffic"]
        return found

    def _report(
        self, traffic: Json, pi: dict[str, float], policies: list[str], losses: list[float]
    ) -> None:
        values = {
            "rollout": traffic["salt"],
            "namespace": self.objects.namespace,
            "doer": self.doer,
            "propensity": sum(it for name, it in pi.items() if name != traffic["active"]),
            "propensities": json.dumps(pi),
            "revision": traffic["revision"],
            "count": len(policies),
            "arm": ["control" if one == traffic["active"] else "candidate" for one in policies],
            "policy": policies,
            "loss": losses,
        }
        with psycopg.connect(self.database) as connection:
            runs = sorted(connection.execute(_REGISTER, values).fetchall())
            if runs and (self.contradictions is not None or self.costs is not None):
                told = {
                    "runs": [run_id for _, run_id in runs],
                    "contradictions": [self._contradicts(one) for one in policies],
                    "costs": json.dumps(self.costs or {}),
                }
                connection.execute(_SCORE, {**values, **told})
            key = f"{self.objects.namespace}/{self.doer}"
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, key))

    def _contradicts(self, policy: str) -> int:
        """How many contradictions an answer has; seeded as all the rest."""
        return int(self._random.random() < (self.contradictions or {}).get(policy, 0.0))

    def _loss(self, policy: str) -> float:
        return min(max(self._random.gauss(self.losses[policy], 0.1), 0.0), 1.0)
