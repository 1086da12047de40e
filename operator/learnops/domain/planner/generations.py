"""Analysis generations: what follows when the doer's CRL changes while a canary has traffic.

The run log goes first: it says from which registration on the new weights hold and which attempt
that is. The status follows what is on record, so a stop in between counts nothing twice.
"""

from collections.abc import Mapping

from learnops.api.canary import Verdict
from learnops.domain.attempt import salt_of
from learnops.domain.observed import GenerationReading
from learnops.domain.plan import OpenGeneration
from learnops.domain.planner import content, ramp
from learnops.domain.planner.canary_end import remember
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.live import Live, lives_of

_WHY = "the doer's spec.crl changed"


def follow(draft: Draft) -> bool:
    """Begin a new generation where the weights are others, and say so where one has begun.

    After every rule that takes traffic away, before every rule that lets a canary go up: what the
    old weights showed to be worse is rolled back, and they promote nothing any more. Only the run
    log has generations; with counters the canary ends (`live_down.weights_changed`).
    """
    lives = lives_of(draft)
    on_record = _on_record(lives)
    if not on_record:
        return False
    newest = on_record[lives[0].candidate]
    if newest.number > lives[0].status.generation:
        _begun(lives, on_record)
        return True
    _mirror(lives, on_record)
    if draft.scoring.weights is None:
        return False  # they were taken out; `terms.decide_weights` decides what takes their place
    if newest.crl_digest == content.crl_digest(draft.scoring):
        return False
    _open(lives, number=newest.number + 1)
    return True


def _on_record(lives: tuple[Live, ...]) -> dict[str, GenerationReading]:
    """Of each candidate its attempt in the newest generation; none until all of them are known to
    be in the same one, so that all begin anew together."""
    known = {
        live.candidate: live.reading.generation
        for live in lives
        if live.reading is not None and live.reading.generation is not None
    }
    together = len({it.number for it in known.values()}) == 1
    return known if together and len(known) == len(lives) else {}


def _open(lives: tuple[Live, ...], *, number: int) -> None:
    live = lives[0]
    draft, name = live.draft, live.canary.metadata.name
    draft.before.append(
        OpenGeneration(
            rollout=salt_of(live.canary, live.status),
            number=number,
            crl=draft.scoring.to_wire(),
            candidates=tuple(it.candidate for it in lives),
        )
    )
    draft.fire("open-generation", f"{name}: {_WHY}")
    draft.settled.add(name)


def _begun(lives: tuple[Live, ...], on_record: Mapping[str, GenerationReading]) -> None:
    """The share stays; the step interval and all that was shown start over."""
    live = lives[0]
    draft, name = live.draft, live.canary.metadata.name
    _mirror(lives, on_record)
    draft.set_canary(
        name,
        step_time=None if live.status.step_time is None else draft.now,
        recommendation=Verdict.CONTINUE,
        candidates=tuple(
            it.model_copy(update={"verdict": Verdict.CONTINUE}) if it.name in on_record else it
            for it in live.status.candidates
        ),
    )
    message = _told(lives, on_record)
    remember(draft, name, percent=live.percent, reason="WeightsChanged", message=message)
    draft.fire("begin-generation", f"{name}: {message}")
    draft.event(live.canary, "WeightsChanged", message)
    draft.settled.add(name)
    draft.look_again()


def _told(lives: tuple[Live, ...], on_record: Mapping[str, GenerationReading]) -> str:
    first = on_record[lives[0].candidate]
    attempts, stay = (
        f"attempt {first.attempt}",
        f"{lives[0].candidate} stays at {lives[0].percent} %",
    )
    if lives[0].several:
        attempts = ", ".join(f"attempt {it.attempt} of {name}" for name, it in on_record.items())
        stay = f"shares stay: {ramp.in_words(lives[0])}"
    return f"{_WHY}: generation {first.number} ({attempts}) is judged by its own runs, {stay}"


def _mirror(lives: tuple[Live, ...], on_record: Mapping[str, GenerationReading]) -> None:
    """As it is on record, which an older database that was restored may have set back."""
    live, newest = lives[0], on_record[lives[0].candidate]
    live.draft.set_canary(
        live.canary.metadata.name,
        generation=newest.number,
        crl_digest=newest.crl_digest or None,
        candidates=tuple(
            it.model_copy(update={"attempt": on_record[it.name].attempt})
            if it.name in on_record
            else it
            for it in live.status.candidates
        ),
    )
