"""Where a doer and its rollout stand, from the objects alone."""

from collections.abc import Iterable, Sequence

from learnops.cli.cluster.session import Json

ENDS = ("Promoted", "RolledBack", "Inconclusive", "Aborted", "Superseded", "Error")
_REASON = {"Ready": "False", "Stalled": "True"}


def stage_of(canary: Json) -> str:
    """Its stage; one that the operator has not seen yet is Pending."""
    return str(canary.get("status", {}).get("stage") or "Pending")


def live_of(doer: str, canaries: Iterable[Json]) -> list[Json]:
    """The doer's canaries that have not ended, the one with traffic first, then oldest first."""
    found = [it for it in canaries if _belongs(it, doer) and stage_of(it) not in ENDS]
    return sorted(
        found,
        key=lambda it: (
            stage_of(it) == "Pending",
            it["metadata"]["creationTimestamp"],
            it["metadata"]["uid"],
        ),
    )


def last_of(candidate: str, canaries: Iterable[Json]) -> Json | None:
    """The newest canary that has tried a policy."""
    tried = [it for it in canaries if candidate in candidates_of(it)]
    return max(tried, key=lambda it: str(it["metadata"]["creationTimestamp"]), default=None)


def is_about_to_start(doer: Json) -> bool:
    """policyRef has been changed and the operator has not acted on it yet."""
    status = doer.get("status", {})
    return bool(status.get("handledPolicyRef") != doer["spec"]["policyRef"]["name"])


def is_ordered(canary: Json) -> bool:
    """It has an order (a Retry after its end, say) that the operator has not carried out yet."""
    action = canary["spec"].get("action")
    return bool(action) and action["id"] != canary.get("status", {}).get("handledActionID")


def asked_for(doer: Json, canaries: Iterable[Json]) -> Json | None:
    """The newest canary of the policy that policyRef names, where the operator has acted on it: a
    bad candidate may be rolled back before anybody has begun to watch."""
    if is_about_to_start(doer):
        return None
    own = [it for it in canaries if _belongs(it, name_of(doer))]
    return last_of(doer["spec"]["policyRef"]["name"], own)


def candidates_of(canary: Json) -> tuple[str, ...]:
    """The policies that it tries."""
    return tuple(it["name"] for it in canary["spec"]["candidateRefs"])


def name_of(found: Json) -> str:
    """The object's name."""
    return str(found["metadata"]["name"])


def percent_of(policy: str, doer: Json) -> int:
    """The policy's share of the doer's runs."""
    shares = (doer.get("status", {}).get("traffic") or {}).get("shares", [])
    return next((int(it["percent"]) for it in shares if it["policy"] == policy), 0)


def state(doer: Json, canary: Json | None) -> Json:
    """One doer and its rollout, as `get` and `watch` tell it; what is not known is null."""
    status = doer.get("status", {})
    told: Json = {
        "namespace": doer["metadata"]["namespace"],
        "doer": name_of(doer),
        "active": status.get("activePolicy"),
        "rollout": None,
        "stage": None,
        "candidates": [],
        "verdict": None,
        "waitingFor": _trouble(status),
    }
    if canary is None:
        return told
    about = canary.get("status", {})
    known = {it["name"]: it for it in about.get("candidates", ())}
    stage = stage_of(canary)
    # What is wrong with the doer holds up what is live: an ended rollout waits for nothing.
    others = None if stage in ENDS else told["waitingFor"]
    return told | {
        "rollout": name_of(canary),
        "stage": stage,
        "candidates": [
            _candidate(name, doer=doer, known=known.get(name, {})) for name in candidates_of(canary)
        ],
        "verdict": about.get("recommendation"),
        "waitingFor": about.get("waitingFor") or _trouble(about) or others,
    }


def shares(told: Json) -> str:
    """The candidates' shares, in the order of the candidates."""
    return ", ".join(f"{it['percent']} %" for it in told["candidates"])


def names(told: Json) -> str:
    """The candidates' names."""
    return ", ".join(it["name"] for it in told["candidates"])


def _candidate(name: str, *, doer: Json, known: Json) -> Json:
    return {
        "name": name,
        "percent": percent_of(name, doer),
        "runs": known.get("runs"),
        "controlRuns": known.get("controlRuns"),
        "runsStillNeeded": known.get("runsStillNeeded"),
        "verdict": known.get("verdict"),
    }


def _trouble(status: Json) -> str | None:
    conditions: Sequence[Json] = status.get("conditions", ())
    for kind, bad in _REASON.items():
        for it in conditions:
            if (it["type"], it["status"]) == (kind, bad):
                return str(it.get("message") or it["reason"])
    return None


def _belongs(canary: Json, doer: str) -> bool:
    return bool(canary["spec"]["doerRef"]["name"] == doer)
