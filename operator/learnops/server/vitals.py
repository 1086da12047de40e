"""The same that `/health` tells, for Prometheus; looked up at each scrape."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from learnops.server.health import Health


class Vitals:
    """Gauges that ask the parts themselves, so that a loop that stands still cannot hide it."""

    def __init__(self, *, health: Health, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._gauge(
            "database_up",
            "1 while the database answers with this version's schema, else 0",
            lambda: float(health.gate.reason is None),
        )
        self._gauge(
            "operator_heartbeat_age_seconds",
            "Since the operator last renewed its Lease, as the api sees it; +Inf: never seen",
            lambda: _or_inf(health.heartbeat.age()),
        )
        self._gauge(
            "snapshot_age_seconds",
            "Since the watch of the API server that is silent for longest was last heard of; "
            "+Inf: one never was",
            lambda: _or_inf(health.watches.age_seconds()),
        )
        self._gauge(
            "access_reviews_failing",
            "1 while the API server does not tell who is asking and what they may do, else 0",
            lambda: float(health.reviews.failing),
        )
        self._queues(health)

    def _queues(self, health: Health) -> None:
        depth = Gauge(
            "learnops_waiting_items",
            "What was let in and waits to be written: runs, bytes of bodies, registrations of one "
            "rollout, runs with signals",
            ("queue",),
            registry=self._registry,
        )
        limit = Gauge(
            "learnops_waiting_items_limit",
            "How much may wait before the answer is 429",
            ("queue",),
            registry=self._registry,
        )
        for name, queue in health.queues.items():
            depth.labels(name).set_function(queue.waiting)
            limit.labels(name).set(queue.limit)

    def _gauge(self, name: str, help_text: str, told: Callable[[], float]) -> None:
        Gauge(f"learnops_{name}", help_text, registry=self._registry).set_function(told)


def _or_inf(value: float | None) -> float:
    return math.inf if value is None else value
