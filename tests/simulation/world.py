"""A world to play rollouts in: it makes snapshots, applies plans, and can be stopped anywhere."""

import random
from datetime import datetime, timedelta
from typing import Any

from learnops.api.canary import CanaryDeployment, CanaryStage
from learnops.api.doer import Doer
from learnops.api.guardrails import on_queries
from learnops.api.policy import Policy
from learnops.api.rollout import Source
from learnops.domain.arms import candidates_of, steps_of
from learnops.domain.attempt import salt_of
from learnops.domain.observed import (
    DriftReading,
    FiguresReading,
    InvalidObject,
    Key,
    QueryAnswer,
    ShadowReading,
    Snapshot,
)
from learnops.domain.plan import (
    Action,
    CloseRollout,
    CreateCanary,
    EmitEvent,
    OpenGeneration,
    OpenRollout,
    PatchRoute,
    Plan,
    RecordPromotions,
    SetFinalizer,
    WriteInvalidStatus,
    WriteStatus,
)
from learnops.domain.planner import content, decide, needs
from learnops.domain.planner.traffic import in_shadow
from learnops.domain.unavailable import ErrorReason, Unavailable
from tests.simulation import evidence, journal, laws
from tests.simulation.objects import NAMESPACE, START
from tests.simulation.queries import NO_ANSWER, evaluated
from tests.simulation.route import Route
from tests.simulation.runlog import RunLog, RunLogDownError
from tests.simulation.store import ConflictError, Obj, Store

KEY = Key(namespace=NAMESPACE, doer="planner")
_MOST_PASSES = 60


class World:
    """`chance` (None: ordered play) decides where passes are stopped and what is seen late."""

    def __init__(self, *, chance: random.Random | None = None) -> None:
        self.now: datetime = START
        self.store, self.log, self.route = Store(), RunLog(), Route()
        self.gateway = False
        self.canaries_enabled = True
        self.truth: dict[str, Any] = {}  # evidence by candidate
        self.drift: dict[str, Any] = {}  # what the watch over a policy finds
        self.terms: Any = None  # which terms the active policy's runs report
        self.figures: dict[str, FiguresReading] = {}  # by candidate as well
        self.answers: dict[str, float | QueryAnswer] = {}  # of p95 by candidate
        self.query_spacing = timedelta(seconds=9)
        self.invalid: list[InvalidObject] = []
        self.chance = chance
        self.lines: list[str] = []
        self.events: list[EmitEvent] = []

    def say(self, text: str) -> None:
        """What people, time or the agents do, as a heading of the log."""
        self.lines += ["", f"{self.now:%H:%M:%S} {text}"]

    def observe(self, late: frozenset[tuple[str, str]] = frozenset()) -> Snapshot:
        """What the operator sees; objects in `late` as before people's last changes."""
        self.store.catch_up(late=late)
        doers = [it for it in self.store.all("Doer", late=late) if isinstance(it, Doer)]
        doer = doers[0] if doers else None
        policies = [it for it in self.store.all("Policy", late=late) if isinstance(it, Policy)]
        canaries = [
            it
            for it in self.store.all("CanaryDeployment", late=late)
            if isinstance(it, CanaryDeployment) and not self._is_broken(it)
        ]
        canaries.sort(key=lambda it: (it.metadata.creation_timestamp, it.metadata.uid))
        asked = needs(doer, policies, canaries)
        return Snapshot(
            key=KEY,
            now=self.now,
            fence=1,
            doer=doer,
            policies={it.metadata.name: it for it in policies},
            canaries=tuple(canaries),
            invalid=tuple(self.invalid),
            # At every look, so that the record is seen to be right wherever nothing is under way.
            history=self.log.history() if asked.history or (asked.record and self.log.up) else None,
            attempts=self.log.attempts() if asked.attempts else None,
            evidence={
                name: self._evidence(it, name)
                for it in canaries
                if it.metadata.name == asked.evidence
                for name in candidates_of(it)
            },
            drift=self._drift(doer) if asked.drift else None,
            terms=self.terms,
            figures=dict(self.figures),
            queries={
                name: self._queries(it, name) for it in canaries for name in candidates_of(it)
            },
            query_spacing=self.query_spacing,
            route=self.route.read() if self.gateway else None,
            canaries_enabled=self.canaries_enabled,
        )

    def settle(self) -> None:
        """Look and act until there is nothing left to do now."""
        promised = True
        for _ in range(_MOST_PASSES):
            plan = decide(self.observe(self._late()))
            if plan.actions and self.chance is None:
                found = [type(it).__name__ for it in plan.actions]
                assert promised, f"nobody asked for this look: {plan.rules}, {found}"
                promised = plan.requeue_after == timedelta(0)
            if not plan.actions:
                if self._late_possible():
                    self.store.see_all()
                    continue
                break
            if not self.act(plan):
                break
        else:
            raise AssertionError(f"no end in {_MOST_PASSES} passes: {plan.rules}")
        self.store.see_all()
        if self.log.up:
            assert not decide(self.observe()).actions, "the plan of an applied plan is not empty"
            laws.check_settled(self.objects())

    def stopped_after(self, actions: int) -> None:
        """A single pass that is killed after some of its actions."""
        plan = decide(self.observe())
        for rule in plan.rules:
            self.lines.append(f"  · {rule}")
        for action in plan.actions[:actions]:
            self._do(action)
        self.lines.append("    the operator is killed")

    def one_pass(self) -> None:
        """A single look and act, stopped anywhere."""
        self.act(decide(self.observe(self._late())))

    def act(self, plan: Plan) -> bool:
        """Do the actions in order, up to where chance stops; false when the run log is down."""
        for rule in plan.rules:
            self.lines.append(f"  · {rule}")
        upto = len(plan.actions)
        if self.chance is not None and self.chance.random() < 0.5:
            upto = self.chance.randint(0, upto)
        try:
            for action in plan.actions[:upto]:
                self._do(action)
        except ConflictError:
            self.store.see_all()
        except RunLogDownError:
            self.lines.append("    the run log does not answer; the rest waits")
            return False
        return True

    def objects(self) -> list[Obj]:
        """Everything there is."""
        return [stored.now for stored in self.store.items.values()]

    def _do(self, action: Action) -> None:
        before = None
        if isinstance(action, WriteStatus | SetFinalizer):
            stored = self.store.items.get((action.kind, action.name))
            before = stored.now if stored else None
        told = journal.tell(action, before)
        self._apply(action, before)
        if told is not None:
            self.lines.append(f"    {told}")
        laws.check_world(self.objects())

    def _apply(self, action: Action, before: Obj | None) -> None:
        match action:
            case RecordPromotions() | OpenRollout() | OpenGeneration() | CloseRollout():
                self._put_on_record(action)
            case PatchRoute():
                self.route.patch(action)
            case CreateCanary(manifest=manifest):
                self._create_canary(manifest)
            case EmitEvent():
                self.events.append(action)
            case SetFinalizer() as it:
                self.store.set_finalizer(
                    kind=it.kind,
                    name=it.name,
                    uid=it.uid,
                    version=it.resource_version,
                    present=it.present,
                )
            case WriteInvalidStatus() as it:
                self._report_invalid(it)
            case WriteStatus() as it:
                self._write(it, before)

    def _put_on_record(
        self, action: RecordPromotions | OpenRollout | OpenGeneration | CloseRollout
    ) -> None:
        match action:
            case RecordPromotions(rows=rows):
                self.log.record(rows)
            case OpenRollout():
                self.log.open(action)
                for candidate, told in self.truth.items():
                    if told is evidence.RESTORED:  # it is read again from its first run
                        self.truth[candidate] = evidence.NOTHING_YET
            case OpenGeneration():
                if self.log.open_generation(action):  # no run of it yet
                    for candidate in action.candidates:
                        self.truth[candidate] = evidence.NOTHING_YET
            case CloseRollout():
                self.log.close(action)

    def _write(self, it: WriteStatus, before: Obj | None) -> None:
        type(it.status).model_validate(it.status.to_wire())  # within the schema's bounds
        self.store.write_status(
            kind=it.kind,
            name=it.name,
            uid=it.uid,
            version=it.resource_version,
            status=it.status,
        )
        assert before is not None
        rows = [(row.policy, row.to_stage) for row in self.log.ever.values()]
        after = self.store.get(it.kind, it.name)
        steps = self._steps(after)
        laws.check_write(before, after, evidence=self._all_evidence(), rows=rows, steps=steps)

    def _steps(self, doer: Obj) -> tuple[int, ...]:
        """The shares of the canary that has traffic; the doer's own where it has none."""
        if not isinstance(doer, Doer):
            return ()
        traffic = doer.status.traffic
        found = self.store.items.get(("CanaryDeployment", (traffic and traffic.canary) or ""))
        if found is not None and isinstance(found.now, CanaryDeployment):
            return steps_of(found.now)
        return doer.spec.rollout.strategy.canary.steps

    def _create_canary(self, manifest: dict[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        if ("CanaryDeployment", name) in self.store.items:
            return
        metadata = {**manifest["metadata"], "uid": name, "creationTimestamp": self.now}
        made = CanaryDeployment.model_validate({**manifest, "metadata": metadata})
        self.store.create(made, at=self.now, by_operator=True)

    def _report_invalid(self, report: WriteInvalidStatus) -> None:
        self.invalid = [
            InvalidObject(
                kind=it.kind,
                name=it.name,
                uid=it.uid,
                generation=it.generation,
                resource_version=it.resource_version,
                message=it.message,
                reported=it.reported or it.name == report.name,
            )
            for it in self.invalid
        ]

    def _is_broken(self, canary: CanaryDeployment) -> bool:
        return any(it.uid == canary.metadata.uid for it in self.invalid)

    def _evidence(self, canary: CanaryDeployment, candidate: str) -> Any:
        found = self.truth.get(candidate, evidence.NOTHING_YET)
        doers = [it for it in self.objects() if isinstance(it, Doer)]
        paired = isinstance(found, ShadowReading)
        if paired and not any(in_shadow(it.status.traffic) for it in doers):
            found = evidence.NOTHING_YET  # pairs are told of the shadow stage alone
        generations = self.log.generations.get((salt_of(canary, canary.status), candidate))
        if canary.spec.analysis.source is Source.PROMETHEUS or not generations:
            return found
        return evidence.of_generation(found, generations[-1])

    def _drift(self, doer: Doer | None) -> Any:
        assert doer is not None
        if not self.log.up:
            return Unavailable(reason=ErrorReason.RUN_LOG_UNAVAILABLE, message="run log: gone")
        return self.drift.get(doer.status.active_policy or "", DriftReading(runs=0))

    def _queries(self, canary: CanaryDeployment, candidate: str) -> dict[str, QueryAnswer]:
        told = self.answers.get(candidate, NO_ANSWER)
        guardrails = on_queries(canary.spec.analysis.guardrails)
        return {it.name: evaluated(told, at=self.now) for it in guardrails}

    def _all_evidence(self) -> dict[str, object]:
        names = {it.metadata.name for it in self.objects() if isinstance(it, Policy)}
        return {name: self.truth.get(name, evidence.NOTHING_YET) for name in names}

    def _late(self) -> frozenset[tuple[str, str]]:
        if self.chance is None:
            return frozenset()
        known = [*self.store.items, *self.store.gone]
        return frozenset(key for key in known if self.chance.random() < 0.3)

    def _late_possible(self) -> bool:
        if self.chance is None:
            return False
        behind = any(stored.seen is not stored.now for stored in self.store.items.values())
        return behind or bool(self.store.gone)

    def advance(self, **delta: float) -> None:
        """Time passes."""
        self.now += timedelta(**delta)

    def digest_of(self, name: str) -> str:
        """What pods that serve a policy report."""
        policy = self.store.get("Policy", name)
        assert isinstance(policy, Policy)
        return content.digest(policy.spec)

    def live_canary(self) -> str:
        """The name of the only canary that has not ended."""
        live = (None, CanaryStage.PENDING, CanaryStage.SHADOW, CanaryStage.CANARY)
        names = [
            it.metadata.name
            for it in self.objects()
            if isinstance(it, CanaryDeployment) and it.status.stage in live
        ]
        assert len(names) == 1, names
        return names[0]
