"""The api killed with SIGKILL under agents that work through the SDK: no run is lost or doubled."""

import threading
from dataclasses import dataclass, field

from learnops.client import Learner, Options
from tests.product import Installation

KILLS = 3
THREADS = 4
ROLLOUT = {
    # Nothing is decided meanwhile: no step to go to, and no promotion.
    "strategy": {"canary": {"steps": [50], "stepSeconds": 0}},
    "analysis": {"maturationSeconds": 30, "minCandidateRuns": 100_000, "maxRuns": 1_000_000},
}


@dataclass
class Agents:
    """Threads of one process that share a learner."""

    learner: Learner
    finished: dict[str, tuple[str, float]] = field(default_factory=dict)  # run to arm and π
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Agents":
        self._threads += [threading.Thread(target=self._work) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Begin no more runs; idempotent."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def registered(self) -> int:
        """Runs that ended and that the api had registered."""
        with self._lock:
            return sum(pi > 0 for _arm, pi in self.finished.values())

    def _work(self) -> None:
        # About 100 runs a second of each thread: an api that is away would make them spin.
        while not self._stop.wait(0.01):
            run = self.learner.start()
            run.finish(gates=[{"name": "done", "passed": True}])
            with self._lock:
                self.finished[run.id] = (run.arm, run.propensity)


def test_killed_three_times_under_agents(installed: Installation) -> None:
    installed.doer("planner", rollout=ROLLOUT)
    installed.roll_out("planner")
    installed.wait_share("planner", 50)
    options = Options(first_snapshot_seconds=20.0, registration_seconds=1.0, close_seconds=20.0)
    learner = Learner(
        "planner",
        api=installed.product.api.url,
        token=installed.product.token,
        namespace=installed.objects.namespace,
        options=options,
    )
    with learner, Agents(learner) as agents:
        counted = 0.0
        for _ in range(KILLS):
            wait_registered(installed, agents)
            counted += installed.metric("api", "learnops_evidence_runs_total")
            installed.product.api.process.kill()
            installed.product.api.start()
        wait_registered(installed, agents)
        agents.stop()
        assert learner.flush(60), learner.stats()
        check_log(installed, agents)
        check_evidence(installed, counted)


def wait_registered(installed: Installation, agents: Agents) -> None:
    """Wait until the api has registered some more runs."""
    before = agents.registered()
    installed.wait(lambda: agents.registered() > before + 150, "runs to be registered")


def check_log(installed: Installation, agents: Agents) -> None:
    """All that was finished is there once; registered runs with the arm and π they ran with."""
    reported = [run for (run,) in installed.sql("SELECT run_id FROM runs")]
    assert sorted(reported) == sorted(agents.finished)
    scored = [run for (run,) in installed.sql("SELECT run_id FROM crl_results")]
    assert sorted(scored) == sorted(agents.finished)
    rows = installed.sql(
        "SELECT seq, run_id, arm, propensity, resolution FROM deployment_routings ORDER BY seq"
    )
    assert [seq for seq, *_ in rows] == list(range(1, len(rows) + 1))
    routed = {run: (arm, pi) for _seq, run, arm, pi, _how in rows}
    for run, (arm, pi) in agents.finished.items():
        if pi > 0:
            assert routed[run] == (arm, pi)
    # A registration whose answer never came is no evidence: its run went with control, π 0.
    unknown = {how for _seq, run, _arm, _pi, how in rows if agents.finished[run][1] == 0}
    assert unknown <= {"Void"}


def check_evidence(installed: Installation, counted: float) -> None:
    """No run was counted by two lives of the api, and the operator saw no more than there is."""
    # Those whose time was up on a slow machine are evidence as well.
    (resolved,) = installed.sql(
        "SELECT count(*) FROM deployment_routings WHERE resolution IN ('Bundle', 'Timeout')"
    )
    total = counted + installed.metric("api", "learnops_evidence_runs_total")
    assert 0 < total <= resolved[0]

    def whole() -> bool:
        (candidate,) = (installed.canary("planner") or {})["status"]["candidates"]
        seen: int = candidate["runs"] + candidate["controlRuns"]
        assert seen <= resolved[0]
        return seen > resolved[0] - 10  # the last block is not full

    installed.wait(whole, "the evidence to hold every whole block")
