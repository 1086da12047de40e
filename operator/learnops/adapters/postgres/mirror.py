"""What the api sees on the API server, mirrored into tables that people query."""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from learnops.adapters.postgres.connection import Pool, transaction
from learnops.api.policy import Policy, Stage

# An unchanged row is not written again: several replicas mirror the same objects.
_UPSERT = """
INSERT INTO policies AS p (namespace, id, doer, version, status, prompts, models, hparams,
                           tools_allowlist, parent_policy_id, lineage, signature, identity)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (namespace, id) DO UPDATE SET
    doer = excluded.doer, version = excluded.version, status = excluded.status,
    prompts = excluded.prompts, models = excluded.models, hparams = excluded.hparams,
    tools_allowlist = excluded.tools_allowlist, parent_policy_id = excluded.parent_policy_id,
    lineage = excluded.lineage, signature = excluded.signature, identity = excluded.identity
WHERE (p.doer, p.version, p.status, p.prompts, p.models, p.hparams, p.tools_allowlist,
       p.parent_policy_id, p.lineage, p.signature, p.identity)
    IS DISTINCT FROM
      (excluded.doer, excluded.version, excluded.status, excluded.prompts, excluded.models,
       excluded.hparams, excluded.tools_allowlist, excluded.parent_policy_id, excluded.lineage,
       excluded.signature, excluded.identity)
"""

_ALLOCATION = """
UPDATE shadow_deployments SET allocation_pct = %s, mode = 'canary'
WHERE id = %s AND ended_at IS NULL AND allocation_pct <> %s
"""


async def mirror_policies(pool: Pool, *, policies: Sequence[Policy]) -> None:
    """Write the rows of these policies; each name at most once. DatabaseUnavailableError."""
    ordered = sorted(policies, key=lambda policy: (policy.metadata.namespace, policy.metadata.name))
    async with transaction(pool) as connection, connection.cursor() as cursor:
        await cursor.executemany(_UPSERT, [_policy_values(policy) for policy in ordered])


async def mirror_share(pool: Pool, *, rollout: str, percent: int) -> None:
    """Write the candidates' present share to their rollout. Raises DatabaseUnavailableError."""
    async with transaction(pool) as connection:
        await connection.execute(_ALLOCATION, (percent, rollout, percent))


def _policy_values(policy: Policy) -> tuple[object, ...]:
    spec = policy.spec.to_wire()
    status = policy.status
    return (
        policy.metadata.namespace,
        policy.metadata.name,
        policy.spec.doer_ref.name,
        policy.spec.version,
        (status.stage or Stage.DRAFT).value.lower(),
        Jsonb(spec.get("prompts", {})),
        Jsonb(spec.get("models", {})),
        Jsonb(spec.get("hparams", {})),
        Jsonb(spec.get("toolsAllowlist", [])),
        None if policy.spec.parent_ref is None else policy.spec.parent_ref.name,
        Jsonb(list(status.lineage)),
        status.digest,
        status.identity,
    )
