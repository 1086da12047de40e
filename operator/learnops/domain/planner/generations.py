"""Analysis generations: what follows when the doer's CRL changes while a canary has traffic.

The run log goes first: it says from which registration on the new weights hold and which attempt
that is. The status follows what is on record, so a stop in between counts nothing twice.
"""

from learnops.api.canary import Verdict
from learnops.domain.observed import GenerationReading
from learnops.domain.plan import OpenGeneration
from learnops.domain.planner import content
from learnops.domain.planner.canary_end import remember
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.live import Live, live_of
from learnops.domain.planner.traffic import salt_of

_WHY = "the doer's spec.crl changed"


def follow(draft: Draft) -> bool:
    """Begin a new generation where the weights are others, and say so where one has begun.

    After every rule that takes traffic away, before every rule that lets a canary go up: what the
    old weights showed to be worse is rolled back, and they promote nothing any more. Only the run
    log has generations; with counters the canary ends (`live_down.weights_changed`).
    """
    live = live_of(draft)
    reading = None if live is None else live.reading
    if live is None or reading is None or reading.generation is None:
        return False
    on_record = reading.generation
    if on_record.number > live.status.generation:
        _begun(live, on_record)
        return True
    _mirror(live, on_record)
    if on_record.crl_digest == content.crl_digest(draft.doer.spec.scoring):
        return False
    _open(live, number=on_record.number + 1)
    return True


def _open(live: Live, *, number: int) -> None:
    draft, name = live.draft, live.canary.metadata.name
    draft.before.append(
        OpenGeneration(
            rollout=salt_of(live.canary, live.status),
            number=number,
            crl=draft.doer.spec.scoring.to_wire(),
        )
    )
    draft.fire("open-generation", f"{name}: {_WHY}")
    draft.settled.add(name)


def _begun(live: Live, on_record: GenerationReading) -> None:
    """The share stays; the step interval and all that was shown start over."""
    draft, name = live.draft, live.canary.metadata.name
    _mirror(live, on_record)
    draft.set_canary(
        name,
        step_time=None if live.status.step_time is None else draft.now,
        recommendation=Verdict.CONTINUE,
        candidates=tuple(
            it.model_copy(update={"verdict": Verdict.CONTINUE}) for it in live.status.candidates
        ),
    )
    message = (
        f"{_WHY}: generation {on_record.number} (attempt {on_record.attempt}) is judged by its own "
        f"runs, {live.candidate} stays at {live.percent} %"
    )
    remember(draft, name, percent=live.percent, reason="WeightsChanged", message=message)
    draft.fire("begin-generation", f"{name}: {message}")
    draft.event(live.canary, "WeightsChanged", message)
    draft.settled.add(name)
    draft.look_again()


def _mirror(live: Live, on_record: GenerationReading) -> None:
    """As it is on record, which an older database that was restored may have set back."""
    live.draft.set_canary(
        live.canary.metadata.name,
        generation=on_record.number,
        crl_digest=on_record.crl_digest or None,
        candidates=tuple(
            it.model_copy(update={"attempt": on_record.attempt}) for it in live.status.candidates
        ),
    )
