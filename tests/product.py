"""The whole product on the session's stack, in a namespace of one test."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import yaml

from testbed.kubeapi import Json
from testbed.product import Product
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.changes import Changes
from tests.databases import migrated_database
from tests.integration.objects import Objects

ROOT = Path(__file__).parents[1]
# The product's own. An operator with a shorter one that stands still for a second ends itself, and
# nobody here starts it again.
LEASE_SECONDS = 15
TICK_SECONDS = 0.5
_ENDS = ("Promoted", "RolledBack", "Inconclusive", "Aborted", "Superseded", "Error")


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What must be found nowhere: planted in the environment of every process of the product."""

    token: str = field(default_factory=lambda: f"planted-{secrets.token_hex(12)}")
    password: str = field(default_factory=lambda: f"planted-{secrets.token_hex(12)}")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A running product, and what a user does to it with kubectl."""

    product: Product
    objects: Objects
    changes: Changes
    planted: Secrets
    folder: Path

    def doer(self, name: str, *, rollout: Mapping[str, Any]) -> None:
        """A doer with its first policy, NAME-v1; returns when that is served."""
        self.objects.doer(name, policy=f"{name}-v1", rollout=dict(rollout))
        self.objects.policy(f"{name}-v1", doer=name)
        self.wait(lambda: self.status("doers", name).get("traffic"), f"{name}-v1 to be served")

    def roll_out(self, doer: str) -> None:
        """What a merge does that adds NAME-v2 and sets policyRef to it."""
        name = f"{doer}-v2"
        self.objects.policy(name, doer=doer, version="2.0.0", parentRef={"name": f"{doer}-v1"})
        path = self.objects.path("doers", doer)
        self.objects.api.merge(path, {"spec": {"policyRef": {"name": name}}})

    def truth(self, **losses: float) -> Path:
        """A truth file: policy (`_` for `-`) to mean loss."""
        told = {name.replace("_", "-"): {"loss": loss} for name, loss in losses.items()}
        path = self.folder / f"truth-{secrets.token_hex(4)}.yaml"
        path.write_text(yaml.safe_dump({"policies": told}))
        return path

    def status(self, plural: str, name: str) -> Json:
        """The status of an object, empty where there is none yet."""
        found: Json = self.objects.get(plural, name).get("status", {})
        return found

    def canary(self, doer: str) -> Json | None:
        """The doer's only canary."""
        listed = self.objects.api.get(self.objects.path("canarydeployments"))["items"]
        return next((one for one in listed if one["spec"]["doerRef"]["name"] == doer), None)

    def share(self, doer: str) -> int:
        """The percentage of NAME-v2."""
        shares = self.status("doers", doer)["traffic"]["shares"]
        return next((one["percent"] for one in shares if one["policy"] == f"{doer}-v2"), 0)

    def wait_share(self, doer: str, percent: int) -> None:
        """Wait until NAME-v2 has at least such a share."""
        self.wait(lambda: self.share(doer) >= percent, f"{percent} % for {doer}-v2")

    def wait_end(self, doer: str, *, deadline_seconds: float = 180) -> str:
        """Wait until the doer's canary has ended; its stage."""

        def stage() -> str | None:
            canary = self.canary(doer)
            found = None if canary is None else canary.get("status", {}).get("stage")
            return found if found in _ENDS else None

        return self.wait(stage, f"the canary of {doer} to end", deadline_seconds=deadline_seconds)

    def wait_reason(self, doer: str, reason: str) -> Json:
        """Wait until the canary's Reconciling condition has a reason; the canary's status."""

        def told() -> Json | None:
            status: Json = (self.canary(doer) or {}).get("status", {})
            return status if self.reasons(status).get("Reconciling") == reason else None

        return self.wait(told, f"the canary of {doer} to say {reason}")

    @staticmethod
    def reasons(status: Json) -> dict[str, str]:
        """The reason of each condition."""
        return {one["type"]: one["reason"] for one in status.get("conditions", [])}

    def wait_stages(self, expected: Mapping[str, str]) -> None:
        """Wait until each policy is in its stage."""
        for policy, stage in expected.items():
            self.wait(
                lambda policy=policy, stage=stage: (
                    self.status("policies", policy).get("stage") == stage
                ),
                f"{policy} to be {stage}",
            )

    def wait(self, check: Any, what: str, *, deadline_seconds: float = 60) -> Any:
        """`wait_until`, with what the operator says of itself where it fails."""
        return wait_until(check, what=what, deadline_seconds=deadline_seconds, explain=self.explain)

    def explain(self) -> str:
        """The operator's phase, its queue and passes, the end of its log, and the doers."""
        operator = self.product.operator
        said = (operator.get("/metrics") or "no metrics").splitlines()
        told = [line for line in said if re.match("learnops_(queue|reconcile_total|api_req)", line)]
        doers = self.objects.api.get(self.objects.path("doers"))["items"]
        states = [f"{one['metadata']['name']}: {one.get('status')}" for one in doers]
        phase = operator.get("/readyz") or "not ready"
        return "\n".join([phase, *told, operator.process.log_tail(), *states])

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the run log."""
        with psycopg.connect(self.product.database_url) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def metric(self, service: str, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels; service: api or operator."""
        told: float = getattr(self.product, service).total(name, **labels)
        return told

    def passes(self) -> float:
        """How many passes over a doer ended well."""
        return self.metric("operator", "learnops_reconcile_total", result="done")

    def wait_passes(self, count: int) -> None:
        """Wait until so many more passes were made."""
        before = self.passes()
        self.wait(lambda: self.passes() >= before + count, f"{count} passes")

    def leaks(self) -> list[str]:
        """Where a planted secret is found: logs, objects with their statuses, Events, metrics."""
        texts = {path.name: path.read_text() for path in sorted(self.product.logs.glob("*.log"))}
        for kind in ("doers", "policies", "canarydeployments"):
            texts[kind] = str(self.objects.api.get(self.objects.path(kind)))
        namespace = self.objects.namespace
        events = self.objects.api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
        texts["events"] = str(events)
        for name in ("api", "operator"):
            texts[f"metrics of {name}"] = getattr(self.product, name).get("/metrics") or ""
        planted = (self.planted.token, self.planted.password)
        return [where for where, text in texts.items() if any(one in text for one in planted)]


@contextmanager
def running(
    stack: Stack,
    *,
    operator_kubeconfig: Path,
    objects: Objects,
    folder: Path,
    api_flags: tuple[str, ...] = (),
    operator_flags: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Installation]:
    """The product started in the namespace of `objects`; at its end no secret may have leaked.

    `environment` is added to that of each process, over what is there.
    """
    planted = Secrets()
    database = migrated_database(stack.postgres)
    product = Product(
        stack,
        root=ROOT,
        namespace=objects.namespace,
        logs=folder,
        database_url=_with_password(database, planted.password),
        token=planted.token,
        environment={
            "LEARNOPS_NAMESPACES": objects.namespace,
            "LEARNOPS_LEASE_NAMESPACE": "learnops-system",
            **(environment or {}),
        },
        operator_kubeconfig=operator_kubeconfig,
        forked=True,
        operator_flags=(
            *("--tick-seconds", str(TICK_SECONDS), "--lease-seconds", str(LEASE_SECONDS)),
            *("--log-format", "json", *operator_flags),
        ),
        api_flags=api_flags,
    )
    changes = Changes(objects)
    with ExitStack() as ended:  # all of it, whatever of it fails: an operator would keep the Lease
        ended.callback(product.stop)
        ended.callback(changes.stop)
        product.start()
        changes.start()
        installed = Installation(
            product=product, objects=objects, changes=changes, planted=planted, folder=folder
        )
        yield installed
        assert installed.leaks() == []


def _with_password(url: str, password: str) -> str:
    """The server trusts everybody on loopback and ignores it."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.partition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))
