"""What the runs of a story tell, through whatever source of evidence."""

from typing import Any

from learnops.domain.observed import TermsReading
from learnops.domain.unavailable import ErrorReason, Unavailable
from tests.simulation.acts.beats import Beat
from tests.simulation.evidence import BETTER, reading
from tests.simulation.world import World


def learn(candidate: str, reading: Any, what: str) -> Beat:
    """Runs come in, or the source goes away."""

    def beat(world: World) -> None:
        world.say(f"{candidate}: {what}")
        world.sources.truth[candidate] = reading

    return beat


def watch(active: str, reading: Any, what: str) -> Beat:
    """Runs of the active policy come in, outside canaries."""

    def beat(world: World) -> None:
        world.say(f"{active}: {what}")
        world.sources.drift[active] = reading

    return beat


def report(active: str, *, runs: int, **reported: int) -> Beat:
    """Runs of the active policy tell these terms, so many of them."""

    def beat(world: World) -> None:
        told = ", ".join(f"{term} in {number}" for term, number in reported.items())
        world.say(f"{active}: of the last {runs} runs {told or 'none tells a term'}")
        world.sources.terms = TermsReading(policy=active, runs=runs, reported=reported)

    return beat


def lose_reports() -> Beat:
    """Nobody can tell any more which terms runs report."""

    def beat(world: World) -> None:
        world.say("what runs report cannot be read")
        reason = ErrorReason.RUN_LOG_UNAVAILABLE
        world.sources.terms = Unavailable(reason=reason, message="run log: gone")

    return beat


def answer(candidate: str, told: float | Unavailable) -> Beat:
    """What the guardrail's query on a candidate says from now on."""

    def beat(world: World) -> None:
        text = told.message if isinstance(told, Unavailable) else f"p95 is {told}"
        world.say(f"{candidate}: {text}")
        world.sources.answers[candidate] = told

    return beat


def busy(candidate: str, *, passes: int) -> Beat:
    """The run log is back, and whenever the operator looks there are new runs."""

    def beat(world: World) -> None:
        world.say(f"the run log is back, and {candidate} has new runs at every look")
        world.log.up = True
        for number in range(passes):
            world.sources.truth[candidate] = reading(
                promote=1 + number / 10, runs=100 + 10 * number
            )
            world.one_pass()

    return beat


def win(candidate: str) -> list[Beat]:
    """The evidence says better."""
    return [learn(candidate, BETTER, "300 runs, better")]
