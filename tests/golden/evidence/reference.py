"""An independent, plain reading of the formulas: one float at a time, ``math`` only.

It shares no line with the engine. ``python -m tests.golden.evidence.reference`` writes the golden
vectors next to this file; they are normative for the engine version that they name.
"""

import json
import math
import random
from pathlib import Path

ENGINE_VERSION = 1
HERE = Path(__file__).parent
FRACTIONS = [0.02 * (0.95 / 0.02) ** (j / 5) for j in range(6)]
WEIGHTS = [(j + 1) / 21 for j in range(6)]


def tests_of(plan):
    """(betting on worse?, margin) in the order rollback, promote, ramp."""
    return [(True, plan["tolerance"]), (False, plan["margin"])] + [
        (False, margin) for margin in plan["ramp_margins"]
    ]


def centre(sums, pi):
    n_c, s_c, n_0, s_0 = sums
    pooled = (1 + s_c + s_0) / (2 + n_c + n_0)
    w = n_c / (n_c + 20)
    mean_c = w * (0.5 + s_c) / (1 + n_c) + (1 - w) * pooled
    return (1 - pi) * mean_c + pi * (0.5 + s_0) / (1 + n_0)


def bound(worse, margin, m, pi):
    if worse:
        return max(m / pi, (1 - m) / (1 - pi)) + margin
    return max((1 - m) / pi, m / (1 - pi)) - margin


def log_sum(weighted):
    top = max(value for _, value in weighted)
    return top + math.log(math.fsum(w * math.exp(value - top) for w, value in weighted))


def anytime(plan, runs):
    """Log e-values per complete block: a list of lists in the order of ``tests_of``."""
    tests = tests_of(plan)
    sums = [0, 0.0, 0, 0.0]
    books = [{"g": 0.0, "g2": 0.0, "fixed": [0.0] * 6, "own": 0.0} for _ in tests]
    answer = []
    for first in range(0, len(runs) - 9, 10):
        frozen = list(sums)
        bets = [(book["g"], book["g2"]) for book in books]
        for run in runs[first : first + 10]:
            if run.get("void"):
                continue
            loss, pi, candidate = run["loss"], run["propensity"], run["candidate"]
            m = centre(frozen, pi)
            xi = (loss - m) / pi if candidate else -(loss - m) / (1 - pi)
            for (worse, margin), book, (total, squares) in zip(tests, books, bets, strict=True):
                g = xi - margin if worse else margin - xi
                b = bound(worse, margin, m, pi)
                stake = min(max(2 + total, 0) / (4 / (pi * (1 - pi)) + squares), 0.8 / b)
                for j, c in enumerate(FRACTIONS):
                    book["fixed"][j] += math.log(1 + c * g / b)
                book["own"] += math.log(1 + stake * g)
                book["g"] += g
                book["g2"] += g * g
            at = 0 if candidate else 2
            sums[at] += 1
            sums[at + 1] += loss
        answer.append(
            [
                log_sum(
                    [(w / 2, v) for w, v in zip(WEIGHTS, book["fixed"], strict=True)]
                    + [(0.5, book["own"])]
                )
                for book in books
            ]
        )
    return answer


def counters(plan, increments):
    """Log e-values per increment; squares are summed run by run, not from formulas of sums."""
    tests = tests_of(plan)
    sums = [0, 0.0, 0, 0.0]
    books = [[0.0] * 6 for _ in tests]
    answer = []
    for increment in increments:
        pi = increment["propensity"]
        m = centre(sums, pi)
        scores = [(x - m) / pi for x in increment["candidate"]]
        scores += [-(x - m) / (1 - pi) for x in increment["control"]]
        for (worse, margin), book in zip(tests, books, strict=True):
            b = bound(worse, margin, m, pi)
            for xi in scores:
                y = (xi - margin if worse else margin - xi) / b
                for j, c in enumerate(FRACTIONS):
                    book[j] += c * y + y * y * (c + math.log(1 - c))
        for at, arm in ((0, "candidate"), (2, "control")):
            sums[at] += len(increment[arm])
            sums[at + 1] += math.fsum(increment[arm])
        answer.append([log_sum(list(zip(WEIGHTS, book, strict=True))) for book in books])
    return answer


PLAN = {"margin": 0.0, "tolerance": 0.0, "ramp_margins": [0.10, 0.07, 0.04]}
LOOSE = {"margin": 0.02, "tolerance": 0.05, "ramp_margins": [0.04]}


def _beta(rng, shift):
    return min(max(rng.betavariate(2.5, 5.8) + shift, 0.0), 1.0)


def _runs(seed, count, *, share, loss, void=0.0):
    rng = random.Random(seed)
    runs = []
    for index in range(count):
        pi = share(index)
        candidate = rng.random() < pi
        run = {"candidate": candidate, "propensity": pi, "loss": loss(rng, candidate)}
        if rng.random() < void:
            run["void"] = True
        runs.append(run)
    return runs


def scenarios():
    """Name -> (method, plan, input)."""
    ramp = [0.05, 0.10, 0.25, 0.50]
    return {
        "better-on-a-ramp": (
            "Anytime",
            PLAN,
            _runs(
                1,
                250,
                share=lambda i: ramp[min(i // 60, 3)],
                loss=lambda rng, c: _beta(rng, -0.08 * c),
            ),
        ),
        "worse-at-ten-percent": (
            "Anytime",
            PLAN,
            _runs(2, 205, share=lambda i: 0.1, loss=lambda rng, c: _beta(rng, 0.2 * c)),
        ),
        "all-or-nothing-with-void-runs": (
            "Anytime",
            LOOSE,
            _runs(
                3, 200, share=lambda i: 0.5, loss=lambda rng, c: float(rng.random() < 0.3), void=0.1
            ),
        ),
        "propensity-changes-inside-a-block": (
            "Anytime",
            LOOSE,
            _runs(
                4,
                120,
                share=lambda i: [0.01, 0.3, 0.99][i % 3],
                loss=lambda rng, c: rng.choice([0.0, 0.5, 1.0]),
            ),
        ),
        "counters-over-two-epochs": ("Counters", PLAN, _increments(5)),
    }


def _increments(seed):
    rng = random.Random(seed)
    increments = []
    for index in range(20):
        pi = 0.1 if index < 10 else 0.5
        arms = {"candidate": [], "control": []}
        for _ in range(rng.randrange(1, 30)):
            candidate = rng.random() < pi
            arms["candidate" if candidate else "control"].append(_beta(rng, -0.2 * candidate))
        increments.append({"epoch": 1 + index // 10, "propensity": pi, **arms})
    return increments


def vectors():
    """Every golden file as it must be."""
    answer = {}
    for name, (method, plan, given) in scenarios().items():
        expected = anytime(plan, given) if method == "Anytime" else counters(plan, given)
        answer[name] = {
            "engineVersion": ENGINE_VERSION,
            "method": method,
            "plan": plan,
            "input": given,
            "logE": expected,
        }
    return answer


def main():
    for name, vector in vectors().items():
        lines = json.dumps(vector, indent=1).replace("\n   ", " ").replace("\n  }", " }")
        (HERE / f"{name}.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
