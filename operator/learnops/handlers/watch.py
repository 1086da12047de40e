"""kopf: login, watching, reconnecting. A handler hands on what it got and does nothing else.

kopf runs in a thread with an event loop of its own: it takes every task that began after it for its
own and cancels them all when it ends, and it takes over the signals of the main thread.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import aiohttp
import kopf
from kopf._cogs.structs.references import Insights  # the type of a parameter of kopf.operator

from learnops.adapters.kube.connection import Credentials
from learnops.api.canary import CanaryDeployment
from learnops.api.common import GROUP, VERSION
from learnops.api.doer import Doer
from learnops.api.policy import Policy
from learnops.domain.backoff import Delays

Receive = Callable[[str | None, dict[str, Any]], None]
Login = Callable[[], Awaitable[Credentials]]
_DELAYS: Final = Delays(first_seconds=0.5, most_seconds=30.0)
_STOP_SECONDS = 10.0
# From kopf's first sign of its end until it is cancelled, and between two cancellations.
_END_SECONDS = 1.0
# A watch whose peer vanished looks like one without news. The server ends each after the first
# time, so one that is silent for longer than the second is dead. kopf's own 70 s would leave an
# order to abort unheard for as long.
_WATCH_SECONDS = 25  # whole seconds, as the API server asks
_SILENT_SECONDS = 30.0


_MODELS = (Doer, Policy, CanaryDeployment)
_PLURALS = frozenset(model.plural for model in _MODELS)


class UnwatchedError(Exception):
    """kopf looks once which CRDs there are. One was gone just then: kopf would stay deaf to it."""


class EndlessDelays:
    """In seconds, from 0.5 up to 30, for ever.

    kopf gives up after the last delay of the iterable, and being deaf is worse than being late.
    """

    def __init__(self, *, chance: Callable[[], float]) -> None:
        self._chance = chance

    def __iter__(self) -> Iterator[float]:
        for failures in count(1):
            yield _DELAYS.after(failures, chance=self._chance())


def make_settings(*, chance: Callable[[], float] = random.random) -> kopf.OperatorSettings:
    """kopf's settings, all of them explicit."""
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None  # it would kill the process, not the thread
    settings.networking.error_backoffs = EndlessDelays(chance=chance)
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 5.0
    settings.watching.connect_timeout = 5.0
    settings.watching.server_timeout = _WATCH_SECONDS
    settings.watching.inactivity_timeout = _SILENT_SECONDS
    settings.watching.chunk_size = 500
    settings.posting.enabled = False  # its Events are core/v1 and unaggregated
    settings.scanning.disabled = True
    settings.queueing.worker_limit = None  # a limit is slow, and deadlocks with an index
    settings.persistence.consistency_timeout = 10.0
    return settings


def make_registry(
    *, receive: Receive, login: Login, listed: Callable[[], None]
) -> kopf.OperatorRegistry:
    """The handlers: one login, and one handler of raw events per kind; `listed` as KopfSession."""
    registry = kopf.OperatorRegistry()

    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return _session(await login(), listed=listed)

    async def hand_on(event: kopf.RawEvent, **_: Any) -> None:
        receive(event["type"], dict(event["object"]))

    # A login that fails ends the session; the supervisor tries again sooner than kopf would.
    kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(log_in)
    for model in _MODELS:
        kopf.on.event(GROUP, VERSION, model.plural, registry=registry)(hand_on)
    return registry


@dataclass(frozen=True, kw_only=True)
class KopfSession:
    """One run of kopf. `receive` and `listed` are called in the event loop that calls `run`.

    `listed` tells that kopf has read a list: it begins to watch, or begins anew after a gap (410).
    It hands on what is in the list, but of what was deleted before that nobody tells.
    `namespaces` are the ones to watch; empty: all of them.
    """

    receive: Receive
    login: Login
    listed: Callable[[], None] = lambda: None
    namespaces: tuple[str, ...] = ()

    async def run(self) -> BaseException | None:
        """Watch until kopf ends by itself; why it did. Cancelled, it stops kopf and waits."""
        loop = asyncio.get_running_loop()

        def hand_over(event: str | None, raw: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(self.receive, event, raw)

        def tell_listed() -> None:
            loop.call_soon_threadsafe(self.listed)

        stopper = _Stopper()
        registry = make_registry(receive=hand_over, login=self.login, listed=tell_listed)
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kopf")
        running = pool.submit(asyncio.run, self._watch(registry, stopper))
        pool.shutdown(wait=False)
        ended = asyncio.wrap_future(running)
        try:
            await asyncio.wait([ended])
        finally:
            stopper.stop()
            await asyncio.wait([ended], timeout=_STOP_SECONDS)
        return ended.exception()

    async def _watch(self, registry: kopf.OperatorRegistry, stopper: "_Stopper") -> None:
        """Run kopf to its end, which it does not always find by itself.

        When one watch fails it leaves the others running and closes their connections. They ask for
        a new login that nobody gives any more, and may swallow the cancellation that would end
        them: kopf would wait for them for ever, and the operator would be deaf.
        """
        ending, insights = asyncio.Event(), Insights()

        async def note_end(**_: Any) -> None:
            ending.set()

        kopf.on.cleanup(registry=registry)(note_end)
        running = asyncio.create_task(
            kopf.operator(
                registry=registry,
                settings=make_settings(),
                insights=insights,
                clusterwide=not self.namespaces,
                namespaces=self.namespaces,
                stop_flag=stopper.arm(),
            )
        )
        await _first(running, insights.ready_resources.wait())
        unwatched = _unwatched(insights)
        if not unwatched:
            await _first(running, ending.wait())
        while not running.done():
            await asyncio.wait([running], timeout=_END_SECONDS)
            running.cancel()
        if not running.cancelled():
            running.result()
        if unwatched:
            raise UnwatchedError(f"kopf found no {', '.join(unwatched)}")


def _unwatched(insights: Insights) -> list[str]:
    """What kopf will not watch, once it has looked which CRDs there are; empty before."""
    if not insights.ready_resources.is_set():
        return []
    return sorted(_PLURALS - {one.plural for one in insights.watched_resources})


async def _first(running: asyncio.Task[None], news: Coroutine[Any, Any, Any]) -> None:
    """Wait until the task has ended or the news is there."""
    waiting = asyncio.create_task(news)
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


class _Stopper:
    """A flag of kopf's loop that another thread may raise, before that loop is there too."""

    def __init__(self) -> None:
        self._wanted = False
        self._armed: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def arm(self) -> asyncio.Event:
        """The flag; called in kopf's loop."""
        flag = asyncio.Event()
        self._armed = (asyncio.get_running_loop(), flag)
        if self._wanted:
            flag.set()
        return flag

    def stop(self) -> None:
        """Raise the flag; a loop that has ended needs none."""
        self._wanted = True
        if self._armed is not None and not self._armed[0].is_closed():
            loop, flag = self._armed
            loop.call_soon_threadsafe(flag.set)


def _session(found: Credentials, *, listed: Callable[[], None]) -> kopf.AiohttpSession:
    """kopf's own kind of session, and an ear for its lists, which it tells no handler of."""
    connection = _connection(found)

    async def on_answer(
        _session: aiohttp.ClientSession, _context: Any, told: aiohttp.TraceRequestEndParams
    ) -> None:
        if told.url.name in _PLURALS and "watch" not in told.url.query:
            listed()

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(on_answer)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=connection.as_ssl_context()),
        headers=connection.as_http_headers(),
        trace_configs=[trace],
    )
    return kopf.AiohttpSession(server=found.server, aiohttp_session=session)


def _connection(found: Credentials) -> kopf.ConnectionInfo:
    scheme, _, token = (found.authorization or "").partition(" ")
    return kopf.ConnectionInfo(
        server=found.server,
        ca_path=found.ca_file,
        insecure=not found.verify,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.certificate_file,
        private_key_path=found.key_file,
    )
