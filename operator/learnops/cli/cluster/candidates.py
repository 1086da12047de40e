"""Whether a policy can be rolled out, and why not: told at once instead of in a condition."""

from learnops.cli.cluster import states
from learnops.cli.cluster.session import Cluster, CommandError, Json


async def candidate(cluster: Cluster, name: str, *, doer: Json) -> Json:
    """The policy; raises CommandError where no rollout of this doer could try it."""
    policy = await cluster.get("Policy", name)
    owner, wanted = policy["spec"]["doerRef"]["name"], states.name_of(doer)
    if owner != wanted:
        raise CommandError(f"policy {name} is one of doer {owner}, not of {wanted}")
    if policy.get("status", {}).get("stage") == "Rejected":
        raise CommandError(await _rejected(cluster, name))
    return policy


async def _rejected(cluster: Cluster, name: str) -> str:
    last = states.last_of(name, await cluster.items("CanaryDeployment"))
    why = f"policy {name} was Rejected"
    if last is None:
        return f"{why}: make a new policy"
    told = last.get("status", {}).get("history") or [{}]
    said = told[-1].get("message", "")
    reason = f"{why} by canary {states.name_of(last)}" + (f" ({said})" if said else "")
    return f"{reason}: make a new policy, or `learnops canary retry {states.name_of(last)}`"


async def others(cluster: Cluster, doer: str) -> list[str]:
    """Names of the doer's live canaries: a new one waits for them."""
    canaries = await cluster.items("CanaryDeployment")
    return [states.name_of(it) for it in states.live_of(doer, canaries)]
