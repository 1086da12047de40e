"""Which terms count where nobody said it: those that runs report."""

from collections.abc import Mapping

from learnops.domain.crl.terms import Term

WINDOW_RUNS = 200
"""The last runs of the active policy that are looked at."""
MIN_RUNS = 20
"""Fewer of them tell nothing."""
OFTEN_PERCENT = 90
SELDOM_PERCENT = 10


def default_weights(*, runs: int, reported: Mapping[str, int]) -> dict[str, str] | None:
    """Weight "1" for each of the nine terms that at least 90 % of the runs report.

    None: there are fewer than MIN_RUNS, or no term is reported that often.
    """
    if runs < MIN_RUNS:
        return None
    often = [term.value for term in Term if _percent(reported, term, runs) >= OFTEN_PERCENT]
    return dict.fromkeys(often, "1") or None


def missing(
    in_use: tuple[str, ...], before: tuple[str, ...], *, runs: int, reported: Mapping[str, int]
) -> tuple[str, ...]:
    """Terms in use that none of the runs reports.

    One that was missing `before` is reported again when at least 10 % of the runs have it: between
    never and seldom nothing goes back and forth.
    """
    return tuple(
        term
        for term in in_use
        if not reported.get(term, 0)
        or (term in before and _percent(reported, term, runs) < SELDOM_PERCENT)
    )


def bands(*, runs: int, reported: Mapping[str, int]) -> Mapping[str, int]:
    """Of each term how often it is reported, as far as it matters: seldom 0, 1, often 2."""
    found = {}
    for term in sorted(reported):
        percent = _percent(reported, term, runs)
        found[term] = (percent >= SELDOM_PERCENT) + (percent >= OFTEN_PERCENT)
    return found


def _percent(reported: Mapping[str, int], term: str, runs: int) -> float:
    return 100 * reported.get(term, 0) / runs
