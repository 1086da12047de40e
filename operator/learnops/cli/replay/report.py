"""What a replay found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from learnops.cli.replay.rejudge import Rejudged
from learnops.domain.crl.whatif import Tally

Progress = Callable[[str], None]
"""Told, now and then, how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Sums per policy and arm, the verdicts, and what could not be known.

    Attributes:
        groups: (policy, arm) of each tally.
        silent: of each term in use by the other yardstick, how many runs did not report it.
        notes: sentences for a person.
    """

    groups: Sequence[tuple[str, str]]
    tallies: Sequence[Tally]
    canaries: Sequence[Rejudged] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def runs(self) -> int:
        """All of them."""
        return sum(it.runs for it in self.tallies)

    @property
    def silent(self) -> dict[str, int]:
        """Of each term in use that not every run reported, how many did not."""
        found: dict[str, int] = {}
        for tally in self.tallies:
            for name, count in tally.silent.items():
                found[name] = found.get(name, 0) + count
        return {name: count for name, count in found.items() if count}


def silence(report: Report) -> list[str]:
    """What the past does not tell of the terms in use."""
    return [
        f"{name}: {'no run' if count == report.runs else f'{count:,} of {report.runs:,} runs'} "
        f"{'reported it' if count == report.runs else 'did not report it'}; "
        "it counts 1, the worst, there: what it would have been cannot be known"
        for name, count in report.silent.items()
    ]
