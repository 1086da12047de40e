"""Act: carry out a plan in order, each write fenced and tested against what was observed.

Nothing is decided here. The first action that fails ends the plan; the next pass observes what came
of it and plans the rest.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from learnops.app.cache import ObjectCache
from learnops.app.conditions import differs, invalid, with_condition
from learnops.app.refusal import Refusal, RefusalReason
from learnops.domain.observed import Snapshot
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
from learnops.ports.clock import Clock
from learnops.ports.kube import (
    ConflictError,
    GoneError,
    Kube,
    KubeUnavailableError,
    RefusedError,
)
from learnops.ports.runlog import RunLog, RunLogUnavailableError
from learnops.ports.traffic import Route, RouteUnavailableError

log = logging.getLogger(__name__)


class End(StrEnum):
    """How a plan ended."""

    DONE = "done"
    CONFLICT = "conflict"  # something changed since it was observed
    UNAVAILABLE = "unavailable"  # a server is away
    REFUSED = "refused"  # a person must act
    NOT_ACTIVE = "not_active"  # the Lease is not (any more) ours


@dataclass(frozen=True, kw_only=True)
class Acted:
    """How a plan ended, and why if not well."""

    end: End
    message: str = ""
    retry_after: float | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Carries out plans. `may_act` tells whether this process holds the Lease."""

    kube: Kube
    runlog: RunLog
    route: Route
    cache: ObjectCache
    clock: Clock
    may_act: Callable[[], bool] = lambda: True

    async def act(self, snapshot: Snapshot, plan: Plan, *, refusal: Refusal | None) -> Acted:
        """Do the plan. `refusal` is what the last pass over this key met, if it met one."""
        doing = _Pass(actor=self, snapshot=snapshot, refusal=refusal)
        for action in plan.actions:
            if not self.may_act():
                return Acted(end=End.NOT_ACTIVE, message="the Lease is held by another")
            failed = await self._attempt(doing, action)
            if failed is not None:
                return failed
        return Acted(end=End.DONE)

    async def _attempt(self, doing: "_Pass", action: Action) -> Acted | None:
        try:
            await doing.do(action)
        except (ConflictError, GoneError) as error:
            return Acted(end=End.CONFLICT, message=str(error))
        except KubeUnavailableError as error:
            return Acted(end=End.UNAVAILABLE, message=str(error), retry_after=error.retry_after)
        except (RunLogUnavailableError, RouteUnavailableError) as error:
            return Acted(end=End.UNAVAILABLE, message=str(error))
        except RefusedError as error:
            forbidden = error.forbidden
            reason = RefusalReason.FORBIDDEN if forbidden else RefusalReason.INVALID_SPEC
            met = Refusal(reason=reason, message=str(error))
            await doing.report(met, action)
            return Acted(end=End.REFUSED, message=str(error), refusal=met)
        return None


@dataclass(kw_only=True)
class _Pass:
    """One plan being carried out."""

    actor: Actor
    snapshot: Snapshot
    refusal: Refusal | None
    _versions: dict[tuple[str, str], str] = field(default_factory=dict)

    async def do(self, action: Action) -> None:
        """Carry out one action; raises the errors of the ports."""
        match action:
            case RecordPromotions() | OpenRollout() | OpenGeneration() | CloseRollout():
                await self._put_on_record(action)
            case EmitEvent():
                namespace = self.snapshot.key.namespace
                await self.actor.kube.emit(namespace=namespace, event=action)
            case PatchRoute():
                await self._patch_route(action)
            case CreateCanary():
                await self._create(action)
            case SetFinalizer():
                await self._set_finalizer(action)
            case WriteStatus():
                await self._write_status(action)
            case WriteInvalidStatus():
                await self._write_invalid(action)

    async def _put_on_record(
        self, action: RecordPromotions | OpenRollout | OpenGeneration | CloseRollout
    ) -> None:
        runlog, key = self.actor.runlog, self.snapshot.key
        match action:
            case RecordPromotions():
                await runlog.record_promotions(key=key, rows=action.rows)
            case OpenRollout():
                await runlog.open_rollout(key=key, rollout=action)
            case OpenGeneration():
                await runlog.open_generation(key=key, generation=action)
            case CloseRollout():
                await runlog.close_rollout(key=key, rollout=action)

    async def report(self, refusal: Refusal, action: Action) -> None:
        """Tell a person what was refused: an Event, and the doer's status where it is not that."""
        doer = self.snapshot.doer
        log.error("refused", extra={"key": str(self.snapshot.key), "error": refusal.message})
        if doer is None:
            return
        event = EmitEvent(
            kind="Doer",
            name=doer.metadata.name,
            uid=doer.metadata.uid,
            type="Warning",
            reason=refusal.reason.value,
            note=refusal.message,
        )
        await self.actor.kube.emit(namespace=self.snapshot.key.namespace, event=event)
        if isinstance(action, WriteStatus) and action.kind == "Doer":
            return
        self.refusal = refusal
        status = self._cached_status("Doer", event.name)  # as an earlier action left it
        version = doer.metadata.resource_version
        try:
            await self._put_status("Doer", event.name, event.uid, version, status)
        except (ConflictError, GoneError, KubeUnavailableError, RefusedError) as error:
            log.warning("refusal not reported", extra={"error": str(error)})

    async def _patch_route(self, action: PatchRoute) -> None:
        assert self.snapshot.doer is not None
        await self.actor.route.patch(doer=self.snapshot.doer, action=action)

    async def _create(self, action: CreateCanary) -> None:
        raw = await self.actor.kube.create(
            kind="CanaryDeployment",
            namespace=self.snapshot.key.namespace,
            manifest=action.manifest,
        )
        self.actor.cache.put(raw)

    async def _set_finalizer(self, action: SetFinalizer) -> None:
        raw = await self.actor.kube.set_finalizer(
            namespace=self.snapshot.key.namespace, action=action
        )
        self._stored(raw, planned=action.resource_version)

    async def _write_status(self, action: WriteStatus) -> None:
        status = action.status.to_wire()
        await self._put_status(
            action.kind, action.name, action.uid, action.resource_version, status
        )

    async def _write_invalid(self, action: WriteInvalidStatus) -> None:
        status = invalid(
            self._cached_status(action.kind, action.name),
            message=action.message,
            generation=action.generation,
            now=self.snapshot.now,
        )
        await self._put_status(
            action.kind, action.name, action.uid, action.resource_version, status
        )

    async def _put_status(
        self, kind: str, name: str, uid: str, planned: str, status: dict[str, Any]
    ) -> None:
        """One fenced status write, left out when it would say nothing new."""
        if kind == "Doer" and self.refusal is not None:
            status = self._with_refusal(status, self.refusal)
        if not differs(status, self._cached_status(kind, name)):
            return
        raw = await self.actor.kube.replace_status(
            kind=kind,
            namespace=self.snapshot.key.namespace,
            name=name,
            uid=uid,
            resource_version=self._versions.get((uid, planned), planned),
            status={**status, "fence": self.snapshot.fence},
        )
        self._stored(raw, planned=planned)

    def _with_refusal(self, status: dict[str, Any], refusal: Refusal) -> dict[str, Any]:
        return with_condition(
            status,
            kind="Stalled",
            value="True",
            reason=refusal.reason.value,
            message=refusal.message,
            now=self.snapshot.now,
        )

    def _stored(self, raw: dict[str, Any], *, planned: str) -> None:
        """An own write is known at once, and later writes of this plan build on it."""
        metadata = raw["metadata"]
        self._versions[metadata["uid"], planned] = metadata["resourceVersion"]
        self.actor.cache.put(raw)

    def _cached_status(self, kind: str, name: str) -> dict[str, Any]:
        namespace = self.snapshot.key.namespace
        raw = self.actor.cache.get(kind=kind, namespace=namespace, name=name)
        status: dict[str, Any] = (raw or {}).get("status", {})
        return status
