"""A real Prometheus that scrapes what a test or the demo tells it to."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import urllib3
import yaml

from testbed.binaries import binary
from testbed.errors import TestbedError
from testbed.ports import LOOPBACK, free_port
from testbed.process import ManagedProcess
from testbed.waiting import wait_until
from testbed.workdir import WorkDir


@dataclasses.dataclass(frozen=True)
class Sample:
    """One series of an instant query's answer; ``value`` may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """One server; its port and data stay the same over stop and start.

    ``scrape_interval_seconds`` may be below one second. Configuration is one file, rewritten and
    reloaded by each change, so a change that returns is in force.
    """

    def __init__(self, work: WorkDir, *, scrape_interval_seconds: float = 1.0) -> None:
        self._folder = work.path / "prometheus"
        self._folder.mkdir()
        self._config = self._folder / "prometheus.yml"
        self._interval = f"{round(scrape_interval_seconds * 1000)}ms"
        self._jobs: dict[str, dict[str, Any]] = {}
        self._rules: dict[str, Path] = {}
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        flags = {
            "config.file": self._config,
            "storage.tsdb.path": self._folder / "data",
            "web.listen-address": f"{LOOPBACK}:{port}",
            # A hidden flag: how soon changed targets count. The default is 5 s.
            "scrape.discovery-reload-interval": "100ms",
            "log.level": "warn",
        }
        self.process = ManagedProcess(
            name="prometheus",
            command=[
                binary("prometheus"),
                "--web.enable-lifecycle",
                *(f"--{name}={value}" for name, value in flags.items()),
            ],
            log=work.logs / "prometheus.log",
        )

    def start(self) -> "Prometheus":
        """Start and wait until it answers queries; raises TestbedError with the log's tail."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start without waiting."""
        self._write_config()
        self.process.start()

    def wait_ready(self, *, deadline_seconds: float = 60) -> None:
        """Wait until it answers queries."""
        self.process.wait_ready(self._is_ready, deadline_seconds=deadline_seconds)

    def stop(self) -> None:
        """Stop it in order; the data stays. Idempotent."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL it, as a crash; the data stays."""
        self.process.kill()

    def scrape(
        self,
        job: str,
        targets: Sequence[str],
        *,
        labels: Mapping[str, str] | None = None,
        path: str = "/metrics",
        bearer_token: str | None = None,
    ) -> None:
        """Scrape ``targets`` (host:port) as ``job`` from now on, in place of its old targets."""
        static = {"targets": list(targets), "labels": dict(labels or {})}
        self._jobs[job] = {"job_name": job, "metrics_path": path, "static_configs": [static]}
        if bearer_token is not None:
            self._jobs[job]["authorization"] = {"credentials": bearer_token}
        self._reload()

    def stop_scraping(self, job: str) -> None:
        """Leave a job's targets; KeyError for an unknown one. Their series go stale."""
        # The job stays, without targets: Prometheus marks no series of a removed job as stale.
        self._jobs[job]["static_configs"] = []
        self._reload()

    def load_rules(self, name: str, rules: Mapping[str, Any]) -> None:
        """Load recording and alerting rules (the content of a rules file) under a name."""
        path = self._folder / f"{name}.rules.yml"
        path.write_text(yaml.safe_dump(dict(rules)))
        self._rules[name] = path
        self._reload()

    def query(self, expression: str) -> list[Sample]:
        """An instant query for a vector or a scalar; raises TestbedError when refused."""
        answer = urllib3.request(
            "GET",
            f"{self.url}/api/v1/query",
            fields={"query": expression},
            timeout=10,
            retries=False,
        )
        told = json.loads(answer.data)
        if told["status"] != "success":
            raise TestbedError(f"Prometheus refused {expression!r}: {told['error']}")
        data = told["data"]
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(r["metric"], float(r["value"][1])) for r in data["result"]]

    def wait_for(self, expression: str, *, deadline_seconds: float = 30) -> list[Sample]:
        """Wait until a query has an answer that is not empty, and return that."""
        return wait_until(
            lambda: self.query(expression),
            what=f"an answer to {expression!r}",
            deadline_seconds=deadline_seconds,
            explain=self.process.log_tail,
        )

    def _is_ready(self) -> bool:
        try:
            answer = urllib3.request("GET", f"{self.url}/-/ready", timeout=2, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200

    def _reload(self) -> None:
        self._write_config()
        if not self.process.running:
            return  # read at the next start
        answer = urllib3.request("POST", f"{self.url}/-/reload", timeout=30, retries=False)
        if answer.status != 200:
            raise TestbedError(f"Prometheus refused its configuration: {answer.data.decode()}")

    def _write_config(self) -> None:
        config = {
            "global": {
                "scrape_interval": self._interval,
                "scrape_timeout": self._interval,
                "evaluation_interval": self._interval,
            },
            "rule_files": [str(path) for path in self._rules.values()],
            "scrape_configs": list(self._jobs.values()),
        }
        self._config.touch(mode=0o600)  # it may hold a token
        self._config.write_text(yaml.safe_dump(config))
