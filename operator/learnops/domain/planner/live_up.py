"""Rules that hold a canary or let it go up, in order, once nothing asks for its end."""

from datetime import timedelta

from learnops.api.canary import CanaryStage, Verdict
from learnops.api.rollout import OnInconclusive, Source
from learnops.domain.evidence.ruling import Reason
from learnops.domain.observed import EvidenceReading
from learnops.domain.planner import queries, ramp, reports, slots
from learnops.domain.planner.candidate import CANARIES_DISABLED, find_policy, unweighed
from learnops.domain.planner.decision import Decision, End, Promote, Stay
from learnops.domain.planner.live import Live
from learnops.domain.planner.numbers import crossed, e_value_short, fraction
from learnops.domain.planner.outlook import in_a_sentence
from learnops.domain.unavailable import ErrorReason, Unavailable

MOST_CONTROL_TIMEOUTS = 0.05


def step_not_counted(live: Live) -> Decision | None:
    """The shares moved and the canary's status did not say so yet: count that step, take none.

    So a stop between the two writes neither skips a step nor takes one twice.
    """
    traffic, stored = live.draft.status.traffic, live.canary.status
    if traffic is None or live.overdue:
        return None
    if live.status.step_time is None:
        return _progress(_take_over(live))
    if stored.shares == traffic.shares and stored.step_time is not None:
        return None
    return _progress(f"the step interval at {ramp.in_words(live)}")


def not_scraped_yet(live: Live) -> Decision | None:
    """Prometheus has no series of a rollout before its first runs: that is no Error yet.

    It becomes one after maxStalenessSeconds, and at once where there had been series before.
    """
    known, analysis = live.evidence, live.canary.spec.analysis
    if not isinstance(known, Unavailable) or known.reason is not ErrorReason.NO_DATA:
        return None
    if analysis.source is not Source.PROMETHEUS or live.status.evidence_state is not None:
        return None
    since = live.status.start_time or live.draft.now
    until = since + timedelta(seconds=analysis.max_staleness_seconds)
    if live.draft.now >= until:
        return None
    live.draft.wake(until)
    return data_doubtful(live) or paused(live) or _progress("the first runs in Prometheus")


def evidence_unavailable(live: Live) -> Decision | None:
    """Error: unknown is never good, and it is not bad either; everything stays as it is."""
    if not isinstance(live.evidence, Unavailable):
        return None
    return _hold(live.evidence.reason, f"evidence: {live.evidence.message}")


def data_doubtful(live: Live) -> Decision | None:
    """A data check stands in the way of going up; the deadline still counts."""
    found = _doubt(live)
    if found is None or live.overdue:
        return None
    return _progress(found[1]) if found[0] == queries.AWAITED else _hold(*found)


def paused(live: Live) -> Decision | None:
    """A person said so, of this one or of all: shares stay, also past the deadline."""
    if not live.paused:
        return None
    if not live.draft.snap.canaries_enabled:
        return _hold("FeatureDisabled", CANARIES_DISABLED)
    return _hold("Paused", "spec.run is Paused: set it to Running to go on")


def shown_better(live: Live) -> Decision | None:
    """Promote: the test decided, enough runs were seen, and the newest are among them."""
    reading = live.reading
    if reading is None or live.ruling is not Reason.BETTER or _doubt(live) is not None:
        return None
    loss, control = fraction(reading.candidate_loss), fraction(reading.control_loss)
    return Promote(
        candidate=live.candidate,
        message=f"{live.candidate} is better: mean loss {loss or 'unknown'} against "
        f"{control or 'unknown'} of control after {reading.candidate_runs} candidate runs "
        f"(e-value {e_value_short(reading.promote)})",
    )


def undecided(live: Live) -> Decision | None:
    """The deadline or maxRuns is reached without a verdict."""
    analysis = live.canary.spec.analysis
    exhausted = live.ruling in (Reason.NO_VERDICT, Reason.INCONCLUSIVE)
    if not live.overdue and not exhausted:
        return None
    what = "the deadline" if live.overdue else f"maxRuns ({analysis.max_runs})"
    found = _doubt(live)
    because = f" ({found[1]})" if found else ""
    if analysis.on_inconclusive is OnInconclusive.HOLD:
        text = f"{what} is reached without a verdict{because}: order Abort, or let it run on"
        return Stay(
            verdict=Verdict.HOLD,
            reason=Reason.INCONCLUSIVE,
            waiting_for=text,
            hold=True,
            needs_person=True,
        )
    message = f"{what} is reached without a verdict{because}"
    return End(stage=CanaryStage.INCONCLUSIVE, reason=Reason.NO_VERDICT, message=message)


def carry_on(lives: tuple[Live, ...]) -> Stay:
    """Nothing to do but wait; say for what."""
    verdict = Verdict.PROMOTE if any(live.better for live in lives) else Verdict.CONTINUE
    texts = [(live, _waiting_for(live)) for live in lives]
    told = "; ".join(f"{live.candidate}: {text}" if live.several else text for live, text in texts)
    return Stay(verdict=verdict, reason=Reason.PROGRESSING, waiting_for=told)


def _doubt(live: Live) -> tuple[str, str] | None:
    draft, reading = live.draft, live.reading
    if draft.doer.metadata.deletion_timestamp is not None:
        return "DoerDeleting", "the doer is being deleted"
    for name in (draft.active, live.candidate):
        if (broken := find_policy(draft, name)) is not None:
            return broken.reason, broken.message
    if draft.scoring.weights is None:  # taken out of the spec: what was judged by is void
        return "WeightsUnknown", f"weights: {reports.still_needed(draft)}"
    if terms := unweighed(draft, live.canary):
        return (
            "GuardrailUnweighed",
            f"spec.analysis.guardrails names {terms[0]}, which the weights of doer "
            f"{draft.snap.key.doer} leave out by now: give it one in spec.crl.weights, or abort",
        )
    if reading is not None and (found := _split(live, reading)) is not None:
        return found
    if reading is not None and (found := _timeouts(live, reading)) is not None:
        return found
    traffic = draft.status.traffic
    behind = slots.trouble(draft.snap, traffic, live.candidate) if traffic else None
    return behind or queries.trouble(live)


def _split(live: Live, reading: EvidenceReading) -> tuple[str, str] | None:
    ratio = reading.sample_ratio
    if ratio is None or live.ruling is not Reason.SAMPLE_RATIO_MISMATCH:
        return None
    which = live.candidate if live.several else "the candidate"
    return (
        Reason.SAMPLE_RATIO_MISMATCH,
        f"{which} got {fraction(ratio.observed_share)} of the runs where "
        f"{fraction(ratio.expected_share)} was meant, or loses more of them than control: "
        "find what treats the arms differently",
    )


def _timeouts(live: Live, reading: EvidenceReading) -> tuple[str, str] | None:
    fraction_ = reading.control_timeout_fraction
    if fraction_ is None:
        return (
            "TimeoutsUnknown",
            "the counters do not tell how many of control's runs timed out: "
            "is every replica of the api of this version?",
        )
    if fraction_ <= MOST_CONTROL_TIMEOUTS:
        return None
    seconds = live.canary.spec.analysis.maturation_seconds
    return (
        "MaturationTooShort",
        f"{round(100 * fraction_)} % of control's runs were not resolved within {seconds} s: "
        "raise maturationSeconds",
    )


def _progress(text: str) -> Stay:
    return Stay(verdict=Verdict.CONTINUE, reason=Reason.PROGRESSING, waiting_for=text)


def _hold(reason: str, text: str) -> Stay:
    return Stay(verdict=Verdict.HOLD, reason=reason, waiting_for=text, hold=True)


def _take_over(live: Live) -> str:
    """What the gateway has still to do before the step counts, and what stands against it."""
    traffic = live.draft.status.traffic
    found = slots.trouble(live.draft.snap, traffic, live.candidate) if traffic else None
    return f"the gateway to take over {ramp.in_words(live)}" + (f" ({found[1]})" if found else "")


def _waiting_for(live: Live) -> str:
    reading, analysis = live.reading, live.canary.spec.analysis
    if reading is None:
        return ""
    needed = analysis.min_candidate_runs
    parts = [
        f"e-value {e_value_short(reading.promote)} of {reading.promote.threshold:.1f} to promote",
        f"{min(reading.candidate_runs, needed)} of {needed} candidate runs",
    ]
    missing = [it.term for it in reading.guardrails if not crossed(it.promote)]
    if forecast := in_a_sentence(live):
        parts.append(forecast)
    if missing:
        parts.append(f"{', '.join(missing)} to be shown not worse")
    if not reading.prefix_current:
        parts.append("older runs still to be resolved")
    following = ramp.next_step(live)
    if following is not None:
        parts.append(ramp.waiting(live, following))
    return "; ".join(parts)
