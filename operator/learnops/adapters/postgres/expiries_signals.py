"""Expiry of signals whose run was never reported; those of a reported run go with it."""

from typing import Final, LiteralString

SCOPES: Final = """
WITH RECURSIVE known AS (
    (SELECT namespace FROM run_rewards WHERE sent_apart ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT n.namespace FROM known k CROSS JOIN LATERAL (
        SELECT namespace FROM run_rewards WHERE sent_apart AND namespace > k.namespace
        ORDER BY 1 LIMIT 1
    ) n
)
SELECT * FROM known
"""

# Still needed: a rollout that is live holds the signals of its assignments, and so does a run that
# has time to report yet.
_NEEDED: LiteralString = (
    "(d.ended_at IS NULL OR d.ended_at > now() - interval '1 day'"
    " OR t.registered_at + make_interval(secs => d.maturation_seconds) > now())"
)

# A page is of runs, with a row for each of their signals: a run loses all of them or none, so that
# its reward is always that of what is stored. Its age is that of the newest. Whoever adds one now
# holds the row of the reward: that run is left for the next time.
PAGE: Final[LiteralString] = f"""
SELECT w.rewarded_at AS at, w.run_id AS id, w.free, s.id AS signal
FROM (
    SELECT run_id, rewarded_at,
           CASE WHEN NOT EXISTS (SELECT FROM runs r
                                 WHERE r.namespace = %(namespace)s AND r.run_id = w.run_id)
           THEN NOT EXISTS (
                   SELECT FROM deployment_routings t JOIN shadow_deployments d ON d.id = t.rollout
                   WHERE t.namespace = %(namespace)s AND t.run_id = w.run_id AND {_NEEDED})
               AND NOT EXISTS (
                   SELECT FROM unit_runs t JOIN shadow_deployments d ON d.id = t.rollout
                   WHERE t.namespace = %(namespace)s AND t.run_id = w.run_id AND {_NEEDED})
           END AS free
    FROM run_rewards w
    WHERE namespace = %(namespace)s AND sent_apart
      AND rewarded_at >= %(at)s::timestamptz AND rewarded_at < %(cutoff)s
      AND (rewarded_at, run_id) > (%(at)s::timestamptz, %(id)s)
    ORDER BY rewarded_at, run_id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) w LEFT JOIN LATERAL (
    SELECT id FROM signals WHERE namespace = %(namespace)s AND run_id = w.run_id OFFSET 0
) s ON true
"""  # noqa: S608 - constants of this file

WRITE: Final = "DELETE FROM signals s USING page p WHERE p.free AND s.id = p.signal"

REWARDS: Final = """
DELETE FROM run_rewards w USING page p
WHERE p.free AND w.namespace = %(namespace)s AND w.run_id = p.id
"""

# Reported since: from now on they go with their run.
MATCHED: Final = """
UPDATE run_rewards w SET sent_apart = false FROM page p
WHERE p.free IS NULL AND w.namespace = %(namespace)s AND w.run_id = p.id
"""
