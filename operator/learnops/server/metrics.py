"""Prometheus metrics of the api: bounded labels, series that go when their policy is archived."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from learnops.adapters.exposition import exposition
from learnops.adapters.postgres.prefix import Counted
from learnops.adapters.postgres.runs import RunRow
from learnops.domain.redaction.patterns import BUILT_IN

_ARM: Final = ("namespace", "doer", "policy", "arm")
# `process`: this life of this process. By it a restart is not a counter that drops, and a process
# that two targets expose is not two.
_EVIDENCE: Final = (*_ARM, "epoch", "process")
_PREFIX: Final = ("namespace", "doer", "process")
_LOSS_BUCKETS: Final = tuple(step / 20 for step in range(1, 20))
_SECONDS_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

ArmLabels = tuple[str, str, str, str]
DoerLabels = tuple[str, str]


@dataclass
class _Arm:
    """The series of one arm: looked up once, for looking up costs more than counting."""

    assignments: Counter
    runs: Counter
    crl_sum: Counter
    cost: Counter
    crl: Histogram
    duration: Histogram
    make_term: Callable[[str], Counter]
    terms: dict[str, Counter] = field(default_factory=dict)

    def term(self, name: str) -> Counter:
        """The term's sum."""
        series = self.terms.get(name)
        if series is None:
            series = self.terms[name] = self.make_term(name)
        return series


class Metrics:
    """All series of one process, in registries of their own.

    `process` is unlike that of every other process, an earlier one at the same address included.
    """

    def __init__(self, *, process: str) -> None:
        self._process = process
        self.registry = CollectorRegistry()
        # `learnops_crl_sum_total` beside the histogram `learnops_crl`: distinct in the text format,
        # but one registry takes the counter's family name for the histogram's sum.
        self._apart = CollectorRegistry()
        self._arms: dict[ArmLabels, _Arm] = {}
        self._evidence: dict[str, set[tuple[str, ...]]] = {}  # label sets per rollout
        self._prefixes: set[DoerLabels] = set()
        self._make_runs()
        self._make_evidence()
        self._redactions = self._counter(
            "redactions", "Places in bundles where personal data was taken out", ("kind",)
        )
        self._unnotified = self._counter(
            "notifications_dropped",
            "Wake-ups of the operator and events of runs that Postgres could not be given",
            ("channel",),
        )
        info = Gauge(
            "learnops_build_info",
            "What is running",
            ("version", "component"),
            registry=self.registry,
        )
        info.labels(version=version("learnops"), component="api").set(1)

    def _make_runs(self) -> None:
        """What was asked for and reported, by arm."""
        self._assignments = self._counter("assignments", "Runs that were given a policy", _ARM)
        self._runs = self._counter("runs", "Runs reported and stored", _ARM)
        self._crl_sum = Counter(
            "learnops_crl_sum", "Sum of the losses of all runs", _ARM, registry=self._apart
        )
        self._term_sum = self._counter(
            "crl_term_sum", "Sum of a term's normalised values, where reported", (*_ARM, "term")
        )
        self._cost = self._counter("run_cost_usd", "What the runs cost, in US dollars", _ARM)
        self._crl = self._histogram("crl", "Loss of a run, 0 best, 1 worst", _LOSS_BUCKETS)
        self._duration = self._histogram(
            "run_duration_seconds", "Duration of a run as its agent tells it", _SECONDS_BUCKETS
        )

    def _make_evidence(self) -> None:
        """What a canary with `source: Prometheus` is judged from."""
        self._evidence_runs = self._counter(
            "evidence_runs", "Runs in the resolved prefix of a rollout", _EVIDENCE
        )
        self._evidence_loss = self._counter(
            "evidence_loss_sum",
            "Sum of the evidence losses of runs in the resolved prefix",
            _EVIDENCE,
        )
        self._evidence_square = self._counter(
            "evidence_loss_sumsq", "Sum of the squares of these losses", _EVIDENCE
        )
        self._evidence_timeouts = self._counter(
            "evidence_timeouts",
            "Runs in the resolved prefix that reported nothing in time, with loss 1",
            _EVIDENCE,
        )
        self._prefix_lag = Gauge(
            "learnops_evidence_prefix_lag_seconds",
            "How long the first run outside the resolved prefix of a live rollout is late",
            _PREFIX,
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """All series in the text format."""
        return exposition(self.registry, self._apart)

    def assigned(self, labels: ArmLabels) -> None:
        """A run was given a policy."""
        self._arm(labels).assignments.inc()

    def redacted(self, found: Mapping[str, int]) -> None:
        """Personal data was taken out: places per kind. A doer's own patterns are one kind."""
        for name, count in found.items():
            self._redactions.labels(kind=name if name in BUILT_IN else "own").inc(count)

    def unnotified(self, channel: str, *, count: int) -> None:
        """So many notifications on a channel of Postgres were left out."""
        self._unnotified.labels(channel=channel).inc(count)

    def stored(self, row: RunRow, *, policy: str) -> None:
        """A run was stored; `policy` is its name, or "other" for one that nobody knows."""
        arm = self._arm((row.namespace, row.doer, policy, row.arm))
        arm.runs.inc()
        arm.crl.observe(row.loss)
        arm.crl_sum.inc(row.loss)
        for term, value in row.terms.items():
            arm.term(term).inc(value)
        if row.cost_usd is not None:
            arm.cost.inc(row.cost_usd)
        if row.duration_milliseconds is not None:
            arm.duration.observe(row.duration_milliseconds / 1000)

    def _arm(self, labels: ArmLabels) -> "_Arm":
        arm = self._arms.get(labels)
        if arm is None:
            arm = self._arms[labels] = _Arm(
                assignments=self._assignments.labels(*labels),
                runs=self._runs.labels(*labels),
                crl_sum=self._crl_sum.labels(*labels),
                cost=self._cost.labels(*labels),
                crl=self._crl.labels(*labels),
                duration=self._duration.labels(*labels),
                make_term=lambda name: self._term_sum.labels(*labels, name),
            )
        return arm

    def counted(self, part: Counted) -> None:
        """Runs entered the resolved prefix of their rollout."""
        labels = (
            part.namespace,
            part.doer,
            part.policy,
            part.arm,
            str(part.revision),
            self._process,
        )
        self._evidence.setdefault(part.rollout, set()).add(labels)
        self._evidence_runs.labels(*labels).inc(part.runs)
        self._evidence_loss.labels(*labels).inc(part.loss_sum)
        self._evidence_square.labels(*labels).inc(part.loss_sumsq)
        self._evidence_timeouts.labels(*labels).inc(part.timeouts)

    def prefix_lags(self, lags: Mapping[DoerLabels, Callable[[], float]]) -> None:
        """What every doer with a live rollout exposes, in seconds; asked at each scrape.

        It has to grow by itself: where the database cannot be asked, nothing is known to be in.
        """
        for gone in self._prefixes - lags.keys():
            self._prefix_lag.remove(*gone, self._process)
        for doer, lag in lags.items():
            self._prefix_lag.labels(*doer, self._process).set_function(lag)
        self._prefixes = set(lags)

    def arms(self) -> list[ArmLabels]:
        """Every (namespace, doer, policy, arm) that has series."""
        return list(self._arms)

    def forget_arm(self, labels: ArmLabels) -> None:
        """Remove the series of an arm, those of evidence excepted."""
        arm = self._arms.pop(labels, None)
        if arm is None:
            return
        for term in arm.terms:
            self._term_sum.remove(*labels, term)
        for metric in (
            self._assignments,
            self._runs,
            self._crl_sum,
            self._cost,
            self._crl,
            self._duration,
        ):
            metric.remove(*labels)

    def evidence_rollouts(self) -> set[str]:
        """Rollouts that have evidence series."""
        return set(self._evidence)

    def forget_rollout(self, rollout: str) -> None:
        """Remove the evidence series of an ended rollout."""
        for labels in self._evidence.pop(rollout, set()):
            for metric in (
                self._evidence_runs,
                self._evidence_loss,
                self._evidence_square,
                self._evidence_timeouts,
            ):
                metric.remove(*labels)

    def _counter(self, name: str, help_text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"learnops_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"learnops_{name}", help_text, _ARM, buckets=buckets, registry=self.registry
        )
