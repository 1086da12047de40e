"""The agent's side of learnops."""

import atexit
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, overload

from learnops.client.calls import Asked, answered, asked, bounded, check_plain
from learnops.client.engine import Engine
from learnops.client.given import given_policy, given_prices
from learnops.client.policy import Policy
from learnops.client.run import BaseRun, Run
from learnops.client.running import Running
from learnops.client.settings import Options, Settings
from learnops.client.shadow import Ready, always
from learnops.client.signals import Remark
from learnops.client.waiting import Steps, in_thread
from learnops.client.weak import weak
from learnops.client.workers import call_at_end

if TYPE_CHECKING:
    from learnops.client.prices import Amount

P = ParamSpec("P")
R = TypeVar("R")
_Agent = Callable[Concatenate[Run, P], R]


class Learner:
    """Routes and reports the runs of one doer. One per process and doer; thread-safe, fork-safe.

    Nothing that the api does raises into the agent or holds it up beyond the bounds of `Options`:
    in doubt a run gets the control policy, and counts as evidence for nothing.
    """

    def __init__(
        self,
        doer: str,
        *,
        api: str | None = None,
        token: str | None = None,
        token_file: str | None = None,
        namespace: str | None = None,
        serving: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        default_policy: Policy | Mapping[str, Any] | None = None,
        prices: "Mapping[str, Mapping[str, Amount]] | None" = None,
        options: Options | None = None,
    ) -> None:
        """Find the api and begin to ask it for the doer's traffic.

        Args:
            doer: name of the Doer object.
            api: base URL of the api; default: LEARNOPS_API.
            token: bearer token; default: LEARNOPS_TOKEN.
            token_file: a file with the token, read again whenever it changes; default:
                LEARNOPS_TOKEN_FILE, or /var/run/secrets/learnops.dev/token where that exists.
            namespace: where the Doer lives; default: LEARNOPS_NAMESPACE.
            serving: behind a gateway, the one policy that this process serves; it does not draw.
            spool: folder in which bundles and signals wait until the api has them, so that they
                survive this process; `off` for none; default: LEARNOPS_SPOOL, else the user's state
                folder.
            default_policy: what runs use while no snapshot was ever there: a Policy, a manifest of
                kind Policy, or its `spec` (which has no name: its runs are not reported).
            prices: US dollars for a million tokens by the name of a model, like
                {"m": {"input": "2.50", "output": "10", "cached_input": "1.25"}}; from them and the
                model calls that were recorded comes `costUSD`.
            options: bounds, where the defaults do not fit.

        Raises:
            ValueError: an argument is missing or malformed.
        """
        self._settings = Settings.resolve(
            doer=doer,
            api=api,
            token=token,
            token_file=token_file,
            namespace=namespace,
            serving=serving,
            options=options or Options(),
            spool=spool,
        )
        if isinstance(default_policy, Mapping):
            default_policy = given_policy(default_policy, field="default_policy")
        self._prices = None if prices is None else given_prices(prices)
        self._closed = self._ends_well = False
        self._engine = Engine(settings=self._settings, default_policy=default_policy)
        self._engine.start()
        # Strongly: one that its maker let go of still has to send what waits.
        atexit.register(self.close)
        os.register_at_fork(after_in_child=weak(self._after_fork))

    def start(
        self, *, tenant: str | None = None, run_id: str | None = None, session: str | None = None
    ) -> Run:
        """Begin a run: what to run with, drawn and, while a canary is live, registered.

        Args:
            tenant: for whom the run is. A doer whose unit is TenantEpoch needs it: without one a
                run gets control and is no evidence, and `runs_without_unit` counts it.
            run_id: the caller's own id, unique in the namespace; default: a random one. Started
                again with the same id, a run keeps its arm.
            session: runs of one session keep one arm for as long as a rollout lasts. A doer whose
                unit is Session needs it, like a tenant.
        """
        return Run(in_thread(self.starting(tenant=tenant, run_id=run_id, session=session)))

    @contextmanager
    def run(
        self, *, tenant: str | None = None, run_id: str | None = None, session: str | None = None
    ) -> Iterator[Run]:
        """`with learner.run() as run`: begin a run as `start` does, and report it as failed where
        the block raises; the exception goes on."""
        with self.start(tenant=tenant, run_id=run_id, session=session) as run:
            yield run

    def starting(
        self, *, tenant: str | None, run_id: str | None, session: str | None
    ) -> Steps[Running]:
        """The steps of `start`, for whoever waits in another way."""
        engine = self._in_use()
        engine.start()  # in a forked child it has not begun yet
        telemetry = engine.telemetry
        run = bounded("run_id", run_id, telemetry) if run_id else os.urandom(16).hex()
        # Whatever the agent's tenants are called, a run of one must not be refused for it.
        for_tenant = bounded("tenant", tenant, telemetry) if tenant not in (None, "") else None
        telemetry.count("runs_started")
        assignment = yield from engine.router.assign(
            run_id=run,
            session=bounded("session", session, telemetry) if session else None,
            tenant=for_tenant,
        )
        offer = engine.shadower.offer(assignment)
        return Running(
            identity={"namespace": self._settings.namespace, "doer": self._settings.doer},
            assignment=assignment,
            tenant=for_tenant,
            report=self._report,
            telemetry=telemetry,
            prices=self._prices,
            shadow=None if offer is None else offer.policy,
            signal=self._signal,
        )

    def withdraw(self, run: BaseRun) -> None:
        """The agent never began: the run is not reported and its registration is void. For an agent
        that failed, which is evidence, call `run.fail`."""
        if run.running.withdraw() and run.assignment.rollout is not None:
            self._engine.voider.void(run.id)

    def signal(
        self,
        run_id: str,
        name: str,
        value: float | bool,
        *,
        source: str = "",
        note: str = "",
        key: str | None = None,
        observed_at: datetime | None = None,
    ) -> None:
        """Tell what was found out about the work of a run of any process; never blocks or raises.

        For reward and datasets, never for the evidence of a rollout.

        Args:
            run_id: of a run of this doer that was reported, or registered while a canary is live.
            name: `compile`, `tests`, `errors` or `human` for the reward; any other camelCase word.
            value: 0 to 1, True or False; of `errors` 0 is the best, of the others 1.
            source: who says so, such as "ci" or "thumbs".
            note: a few words; personal data is taken out of it before it is stored.
            key: names this signal within its run, so that telling it twice is telling it once;
                default: a random one.
            observed_at: when it was seen; default: now.
        """
        remark = Remark(source=source, note=note, key=key, observed_at=observed_at)
        self._signal(run_id, name, value, remark)

    def shadow(self, run: Run, call: Callable[[Run], object]) -> None:
        """In the shadow stage, run the candidate on what `run` was given; returns at once.

        Args:
            run: of control; nothing happens where its `shadow` is None.
            call: the agent on the same input, with the run that it is given: one whose `dry_run` is
                True, under which tools must leave the world as it is, and which it finishes as any
                other. Called in a background thread; what it raises is the candidate's failure.
        """
        self.shadowing(run.running, lambda again: call(Run(again)))

    def shadowing(
        self, run: Running, call: Callable[[Running], object], *, ready: Ready = always
    ) -> None:
        """`shadow`, for whoever has another view of the run; see `Shadower.submit`."""
        shadower, wanted = self._engine.shadower, run.shadow
        offer = None if wanted is None else shadower.offer(run.assignment)
        if wanted is not None and offer is not None and offer.policy.name == wanted.name:
            shadower.submit(offer, run.assignment, call, prices=self._prices, ready=ready)

    @overload
    def agent(self, function: _Agent[P, R], /) -> Callable[P, R]: ...
    @overload
    def agent(
        self, function: None = None, /, *, tenant: Asked = None, session: Asked = None
    ) -> Callable[[_Agent[P, R]], Callable[P, R]]: ...
    def agent(self, function: Any = None, /, *, tenant: Asked = None, session: Asked = None) -> Any:
        """Decorate a function of a run and its input: each call is a run, beside which the
        candidate of a shadow stage runs on the same arguments (which the agent must not change).

        Args:
            function: what to decorate; without it, `agent(tenant=...)` is the decorator.
            tenant: of `start`: a value, or a function that finds it in the call's arguments.
            session: likewise.

        Raises:
            TypeError: a coroutine function (see `AsyncLearner`) or a generator; and the call raises
                it where what is returned is still to be awaited.
        """
        if function is None:
            return lambda given: self._decorated(given, tenant=tenant, session=session)
        return self._decorated(function, tenant=tenant, session=session)

    def _decorated(
        self, function: _Agent[P, R], *, tenant: Asked, session: Asked
    ) -> Callable[P, R]:
        check_plain(function)

        @wraps(function)
        def answer(*args: P.args, **kwargs: P.kwargs) -> R:
            run = self.start(**asked(tenant=tenant, session=session, call=(args, kwargs)))
            try:
                with run:
                    result = function(run, *args, **kwargs)
                    return answered(result, withdraw=lambda: self.withdraw(run))
            finally:
                # Also where control failed, or the candidate would be judged on its good days only.
                self.shadow(run, lambda again: function(again, *args, **kwargs))

        return answer

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what waits; True once the api acknowledged all of it, False after `timeout` s."""
        return self._engine.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Drain for `timeout` seconds (default: the option) and end, 2 s later at most; idempotent.

        What the api did not acknowledge in time stays on disk for the next process.
        """
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        seconds = self._settings.options.close_seconds if timeout is None else timeout
        self._engine.close(seconds)

    def stats(self) -> dict[str, int | float | None]:
        """Counters since the start, and what waits now.

        `revision` is that of the snapshot in use (None: there is none), `snapshot_seconds_left`
        what the dead-man switch leaves of it (None: turned off, or no snapshot).
        """
        return self._engine.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _report(self, bundle: bytes) -> Steps[None]:
        return self._in_use().reporter.report(bundle)

    def _signal(self, run_id: str, name: str, value: object, remark: Remark) -> None:
        self._in_use().signaler.signal(run_id, name, value, remark)

    def _in_use(self) -> Engine:
        """The engine, which is drained when this process ends."""
        if not self._ends_well:
            self._ends_well = True
            call_at_end(self.close)
        return self._engine

    def _after_fork(self) -> None:
        """In a forked child: new threads, connections and buffers, the snapshot as it was."""
        self._ends_well = False
        self._engine = self._engine.again()
