"""Rollouts by weights that nobody wrote down, and terms that nobody reports."""

from tests.simulation import objects
from tests.simulation.acts.beats import Beat, together
from tests.simulation.acts.mishaps import lose_status, run_log, upgrade
from tests.simulation.acts.people import apply, reweigh, start
from tests.simulation.acts.runs import learn, lose_reports, report, win
from tests.simulation.evidence import WORSE
from tests.simulation.stories.openings import STEP

NEWCOMER = apply(objects.policy("v1"), objects.doer(policy="v1", crl={}))
BOTH = {"weights": {"grounding": "1", "securityCriticals": "1"}}
GROUNDED = apply(
    objects.policy("v1"), objects.doer(policy="v1", crl={"weights": {"grounding": "1"}})
)
WEIGHED = apply(objects.policy("v1"), objects.doer(policy="v1", crl=BOTH))
GUARDED = apply(
    objects.policy("v2"),
    objects.canary(
        "try-v2",
        candidate="v2",
        analysis=objects.analysis(guardrails=[{"term": "securityCriticals"}]),
    ),
)

STORIES: dict[str, list[Beat]] = {
    "weights-decided-by-what-runs-report": [
        NEWCOMER,
        *start("v2"),
        report("v1", runs=7, grounding=7),
        report("v1", runs=24, grounding=24, contradictions=22, latencyP95=21),
        learn("v2", WORSE, "24 runs, worse"),
        STEP,
    ],
    "weights-not-decided-by-silence": [
        NEWCOMER,
        *start("v2"),
        report("v1", runs=200, grounding=100),
        lose_reports(),
        report("v1", runs=200, grounding=190),
    ],
    "guardrail-on-a-term-that-runs-do-not-report": [
        NEWCOMER,
        report("v1", runs=200, grounding=200),
        GUARDED,
        reweigh(grounding="1", securityCriticals="1"),
    ],
    "guardrail-on-a-term-that-runs-report-by-now": [
        NEWCOMER,
        report("v1", runs=20, grounding=20),
        GUARDED,
        report("v1", runs=200, grounding=200, securityCriticals=200),
    ],
    "guardrail-on-a-term-while-it-is-not-known-what-runs-report": [
        NEWCOMER,
        report("v1", runs=20, grounding=20),
        lose_reports(),
        GUARDED,
        report("v1", runs=200, grounding=200, securityCriticals=200),
    ],
    "guardrail-on-a-term-that-the-doer-weighs-later": [
        GROUNDED,
        GUARDED,
        reweigh(grounding="2"),
        reweigh(grounding="1", securityCriticals="1"),
    ],
    "guardrail-blocked-until-the-operator-has-other-defaults": [
        NEWCOMER,
        report("v1", runs=200, grounding=200, securityCriticals=170),
        GUARDED,
        upgrade(grounding="1"),
        report("v1", runs=200, grounding=200, securityCriticals=190),
    ],
    "guardrail-blocked-once-the-operator-has-other-defaults": [
        NEWCOMER,
        report("v1", runs=200, grounding=200, securityCriticals=170),
        together(upgrade(grounding="1", securityCriticals="1"), GUARDED),
        report("v1", runs=200, grounding=200, securityCriticals=170),
        reweigh(grounding="1", securityCriticals="1"),
    ],
    "guardrail-on-a-term-whose-weight-is-taken-away": [
        WEIGHED,
        GUARDED,
        reweigh(grounding="1"),
        *win("v2"),
        reweigh(grounding="1", securityCriticals="1"),
        *win("v2"),
        STEP,
        STEP,
    ],
    "weights-stay-while-a-canary-has-traffic": [
        NEWCOMER,
        report("v1", runs=40, grounding=40),
        *start("v2"),
        report("v1", runs=200, grounding=200, ragCoverage=200),
        *win("v2"),
        STEP,
        STEP,
        report("v2", runs=200, grounding=200, ragCoverage=200),
        *start("v3"),
    ],
    "weights-decided-again-for-a-restored-doer": [
        NEWCOMER,
        report("v1", runs=200, grounding=200),
        *start("v2"),
        lose_status(of_policies=False),
        *win("v2"),
    ],
    "weights-taken-out-mid-rollout": [
        WEIGHED,
        *start("v2"),
        reweigh(),
        *win("v2"),
        report("v1", runs=200, grounding=200),
        reweigh(grounding="1", securityCriticals="1"),
    ],
    "terms-nobody-reports": [
        WEIGHED,
        report("v1", runs=12, grounding=12),
        report("v1", runs=60, grounding=60),
        report("v1", runs=200, grounding=200, securityCriticals=7),
        lose_reports(),
        run_log(up=False),
        STEP,
        run_log(up=True),
        report("v1", runs=200, grounding=200, securityCriticals=7),
        report("v1", runs=200, grounding=200, securityCriticals=30),
        report("v1", runs=200, grounding=200, securityCriticals=7),
        report("v1", runs=200, grounding=200),
        reweigh(grounding="1"),
    ],
}
