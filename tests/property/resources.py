"""Strategies for the three resources as a user writes them (camelCase), valid by construction.

`test_schema_and_model.py` spoils them one field at a time.
"""

from typing import Any

from hypothesis import strategies as st

Spec = dict[str, Any]

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
refs = st.builds(lambda name: {"name": name}, names)
decimals = st.sampled_from(["0", "0.5", "1", "2.25", "999999999.999999"])
fractions = st.sampled_from(["0", "0.05", "0.999999", "1", "1.0"])
levels = st.sampled_from(["0.05", "0.1", "0.000001", "0.999999"])
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=40)
weights_of = (
    "gatePassRate",
    "contradictions",
    "grounding",
    "costOverBudget",
    "latencyP95",
    "securityCriticals",
    "apiBreakages",
    "dbMigrationFail",
    "ragCoverage",
)


def prompts() -> st.SearchStrategy[Spec]:
    """Prompts with one variant."""
    few_shot = st.lists(st.fixed_dictionaries({"input": texts, "output": texts}), max_size=3)
    variant = st.fixed_dictionaries(
        {"name": names, "system": texts.filter(bool)}, optional={"fewShot": few_shot}
    )
    return st.fixed_dictionaries({"variants": st.lists(variant, min_size=1, max_size=1)})


def policy_specs() -> st.SearchStrategy[Spec]:
    """Policy.spec."""
    model = st.fixed_dictionaries({"name": names, "model": texts.filter(bool)})
    hparams = {
        "temperature": decimals,
        "topP": fractions,
        "topK": st.integers(1, 1_000_000),
        "maxTokens": st.integers(1, 10_000_000),
    }
    return st.fixed_dictionaries(
        {"doerRef": refs, "version": st.sampled_from(["1.0.0", "0.2.13", "2.0.0-rc.1"])},
        optional={
            "parentRef": refs,
            "prompts": prompts(),
            "models": st.fixed_dictionaries({"variants": st.lists(model, min_size=1, max_size=1)}),
            "hparams": st.fixed_dictionaries({}, optional=hparams),
            "toolsAllowlist": st.lists(texts.filter(bool), max_size=4, unique=True),
        },
    )


def strategies() -> st.SearchStrategy[Spec]:
    """The strategy of a rollout."""
    steps = st.lists(st.integers(1, 50), min_size=1, max_size=10, unique=True).map(sorted)
    canary = {
        "steps": steps,
        "gate": st.sampled_from(["Evidence", "Timed"]),
        "stepSeconds": st.integers(0, 604_800),
    }
    return st.fixed_dictionaries(
        {}, optional={"canary": st.fixed_dictionaries({}, optional=canary)}
    )


def _with_shadow(spec: Spec, shadow: Spec | None) -> Spec:
    """Pairs are told by the run log alone."""
    source = spec.get("analysis", {}).get("source", "RunLog")
    if shadow is None or source != "RunLog":
        return spec
    return {**spec, "strategy": {**spec.get("strategy", {}), "shadow": shadow}}


def shadows() -> st.SearchStrategy[Spec | None]:
    """The shadow stage of a rollout, or none."""
    bounds = {
        "minRuns": st.integers(10, 100_000),
        "maxDurationSeconds": st.integers(1, 31_536_000),
    }
    return st.none() | st.fixed_dictionaries({}, optional=bounds)


def analyses(*sources: str) -> st.SearchStrategy[Spec]:
    """The analysis of a rollout from one of these sources."""
    methods = {"RunLog": "Anytime", "Prometheus": "Counters"}
    judges = st.sampled_from(
        [{"source": each} for each in sources]
        + [{"source": each, "method": methods[each]} for each in sources]
        + [{} for each in sources if each == "RunLog"]
    )
    return st.builds(_judged, judges, _other_analysis())


def _judged(judge: Spec, rest: Spec) -> Spec:
    """Counters tell no terms."""
    if judge.get("source") == "Prometheus":
        rest.pop("guardrails", None)
    return {**judge, **rest}


def _other_analysis() -> st.SearchStrategy[Spec]:
    promote = st.fixed_dictionaries({}, optional={"level": levels, "margin": fractions})
    rollback = st.fixed_dictionaries({}, optional={"level": levels, "tolerance": fractions})
    futility = st.fixed_dictionaries({"minImprovement": levels}, optional={"level": levels})
    immediate = st.fixed_dictionaries({"maxCount": st.integers(0, 1_000_000)})
    guardrail = st.fixed_dictionaries(
        {"term": st.sampled_from(weights_of)},
        optional={"tolerance": fractions, "margin": levels, "immediate": immediate},
    )
    guardrails = st.lists(guardrail, max_size=4, unique_by=lambda it: it["term"])
    return st.fixed_dictionaries(
        {},
        optional={
            "promote": promote,
            "rollback": rollback,
            "futility": futility,
            "guardrails": guardrails,
            "maturationSeconds": st.integers(1, 604_800),
            "minCandidateRuns": st.integers(1, 10_000),
            "onInconclusive": st.sampled_from(["Rollback", "Hold"]),
            "maxRuns": st.integers(10_000, 10_000_000),
            "deadlineSeconds": st.integers(604_800, 31_536_000),
            "maxStalenessSeconds": st.integers(1, 86_400),
        },
    ).map(_without_futility_at_a_margin)


def _without_futility_at_a_margin(analysis: Spec) -> Spec:
    if float(analysis.get("promote", {}).get("margin", "0")) > 0.0:
        analysis.pop("futility", None)
    return analysis


def doer_specs() -> st.SearchStrategy[Spec]:
    """Doer.spec."""
    weights = st.fixed_dictionaries(
        {"grounding": st.just("1")}, optional={term: decimals for term in weights_of[3:]}
    )
    budget = {"costUSD": decimals, "latencyMilliseconds": st.integers(1, 86_400_000)}
    crl = st.fixed_dictionaries(
        {"weights": weights}, optional={"budget": st.fixed_dictionaries({}, optional=budget)}
    )
    gateway = st.fixed_dictionaries(
        {
            "router": st.just("GatewayAPI"),
            "routeRef": refs,
            "backends": st.lists(names, min_size=2, max_size=2, unique=True),
        },
        optional={"settleSeconds": st.integers(0, 3600)},
    )

    def rollouts(analysis: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
        revert = st.sampled_from(["Immediate", "Canary"])
        optional = {"strategy": strategies(), "revert": revert}
        whole = st.fixed_dictionaries({"analysis": analysis}, optional=optional)
        return st.builds(_with_shadow, whole, shadows())

    drawn_by_sdk = st.fixed_dictionaries(
        {"policyRef": refs, "crl": crl},
        optional={
            "traffic": st.just({"router": "SDK"}) | st.just({}),
            "rollout": rollouts(analyses("RunLog", "Prometheus")) | st.just({}),
        },
    )
    by_gateway = st.fixed_dictionaries(
        {
            "policyRef": refs,
            "crl": crl,
            "traffic": gateway,
            "rollout": rollouts(analyses("Prometheus")),
        }
    )
    return drawn_by_sdk | by_gateway


def canary_specs() -> st.SearchStrategy[Spec]:
    """CanaryDeployment.spec."""
    action = st.fixed_dictionaries(
        {"type": st.sampled_from(["Abort", "Retry"]), "id": texts.filter(bool)}
    )
    whole = st.fixed_dictionaries(
        {"doerRef": refs, "candidateRefs": st.lists(refs, min_size=1, max_size=1)},
        optional={
            "strategy": strategies(),
            "analysis": analyses("RunLog", "Prometheus"),
            "run": st.sampled_from(["Running", "Paused"]),
            "action": action,
        },
    )
    return st.builds(_with_shadow, whole, shadows())
