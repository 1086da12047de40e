"""Every call of the Postgres adapters that a running product makes, once, on a long log."""

from dataclasses import replace

from learnops.adapters.postgres.announcements import Computed, announce
from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.figures import PostgresFigures
from learnops.adapters.postgres.generations import frozen_crl
from learnops.adapters.postgres.mirror import mirror_policies, mirror_share
from learnops.adapters.postgres.notifications import tidy
from learnops.adapters.postgres.pair_terms import term_means
from learnops.adapters.postgres.pairs import Told, open_pairs, pairs_of, tell
from learnops.adapters.postgres.prefix import extend, open_prefixes, time_out
from learnops.adapters.postgres.registration import Draw, RolloutRef, register, void
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import RunRow, registrations, store, stored
from learnops.adapters.postgres.signals import RunSignals, Signal, append, of_run
from learnops.adapters.postgres.terms import PostgresTerms
from learnops.api.assignment import Unit
from learnops.api.policy import Policy, Stage
from learnops.domain.observed import Key, Promotion
from learnops.domain.plan import CloseRollout, OpenGeneration, OpenRollout, Tried
from learnops.ports.runlog import DriftWatch
from learnops.ports.terms import Watched
from tests.integration.postgres.helpers import draw, row
from tests.scale.explained import Recorder
from tests.scale.long_log import LIVE, NAMESPACE, SHADOW, UNITS
from tests.unit.app.models import META

PLANNER, TALKER, SHADOWER, CODER = (
    Key(namespace=NAMESPACE, doer=name) for name in ("planner", "talker", "shadower", "coder")
)
_BATCH = 20
_CHUNK = 1_000


class HotPaths:
    """`tag` keeps the run ids of one walk apart from those of another."""

    def __init__(self, *, recorder: Recorder, pool: Pool, runs: int, tag: str) -> None:
        self._recorder = recorder
        self._pool = pool
        self._runs = runs
        self._tag = tag
        self._log = PostgresRunLog(pool, deadline_seconds=60)

    async def begin(self) -> None:
        """What is stored of runs, in a log that is empty: triggers and the checks of foreign keys
        make the plans then that they keep."""
        units = replace(_opening(UNITS), unit=Unit.SESSION)
        await self._log.open_rollout(key=PLANNER, rollout=_opening(LIVE))
        await self._log.open_rollout(key=TALKER, rollout=units)
        await self._register_and_report()
        await self._units()

    async def walk(self) -> None:
        """All of them."""
        await self._register_and_report()
        await self._signals()
        await self._units()
        await self._pairs()
        await self._prefixes()
        await self._evidence()
        await self._figures()
        await self._drift()
        await self._rollouts()
        await self._mirror()

    async def _register_and_report(self) -> None:
        rollout = RolloutRef(rollout=LIVE, namespace=NAMESPACE, doer="planner")
        names = [f"{self._tag}-{number}" for number in range(_BATCH)]
        keys = [(NAMESPACE, name) for name in names]
        with self._recorder.asking(rows=_BATCH):
            await register(self._pool, rollout=rollout, draws=[_draw(it) for it in names])
            await registrations(self._pool, keys=keys)
            await frozen_crl(self._pool, generations=[(LIVE, 1)])
            rows = [_run(it, doer="planner", rollout=LIVE) for it in names[:-4]]
            rows += [_run(f"{it}-free", doer="coder", rollout=None) for it in names]
            await store(self._pool, rows=rows)
            await stored(self._pool, keys=keys)
            late = [*names[-4:], f"{self._tag}-unknown"]
            await void(self._pool, namespace=NAMESPACE, doer="planner", run_ids=late)

    async def _signals(self) -> None:
        name = f"{self._tag}-0"
        told = RunSignals(
            namespace=NAMESPACE,
            run_id=name,
            doer="planner",
            signals=[Signal(name="tests", value=0.9, key="ci")],
            weights={"tests": 1.0},
        )
        event = Computed(namespace=NAMESPACE, doer="planner", run_id=name, crl=0.2, loss=0.1)
        with self._recorder.asking(rows=1):
            for _ in range(2):  # the second time it is there
                await append(self._pool, run=told)
            await of_run(self._pool, key=(NAMESPACE, name))
            await announce(self._pool, computed=[event])
            await tidy(self._pool)

    async def _units(self) -> None:
        rollout = RolloutRef(rollout=UNITS, namespace=NAMESPACE, doer="talker")
        names = [f"{self._tag}-talk-{number}" for number in range(_BATCH)]
        draws = [_draw(it, unit=f"{self._tag}-{number % 5}") for number, it in enumerate(names)]
        with self._recorder.asking(rows=_BATCH):
            await register(self._pool, rollout=rollout, draws=draws)
            await store(self._pool, rows=[_run(it, doer="talker", rollout=UNITS) for it in names])
            await void(self._pool, namespace=NAMESPACE, doer="talker", run_ids=names)

    async def _pairs(self) -> None:
        rollout = RolloutRef(rollout=SHADOW, namespace=NAMESPACE, doer="shadower")
        names = [f"{self._tag}-pair-{number}" for number in range(_BATCH)]
        with self._recorder.asking(rows=_BATCH):
            await open_pairs(self._pool, rollout=rollout, run_ids=names)
            await pairs_of(self._pool, namespace=NAMESPACE, run_ids=names)
            for _ in range(2):  # the second time it is there
                await tell(self._pool, told=[_told(it) for it in names])
        after = self._runs * 5 // 100 - _CHUNK
        with self._recorder.asking(rows=_CHUNK):
            for at in (0, after):
                await self._log.shadow_pairs(
                    key=SHADOWER,
                    rollout=SHADOW,
                    after=at,
                    limit=_CHUNK,
                    reader=_reader(at, self._tag),
                )
        with self._recorder.asking(rows=10_000):
            await term_means(self._pool, rollout=SHADOW)

    async def _prefixes(self) -> None:
        found = await open_prefixes(self._pool, recent_seconds=600)
        with self._recorder.asking(rows=5_000):  # timeouts at once, of each rollout
            await time_out(self._pool, rollouts=[it.rollout for it in found])
        with self._recorder.asking(rows=10_000):
            for each in found:
                await extend(self._pool, rollout=each)

    async def _evidence(self) -> None:
        last = self._runs * 10 // 100
        with self._recorder.asking(rows=_CHUNK):
            for after in (0, last - 6_000):
                await self._prefix(PLANNER, LIVE, after=after, terms=())
                await self._prefix(
                    PLANNER, LIVE, after=after, terms=("grounding", "costOverBudget")
                )
            for after in (0, self._runs * 2 // 100 - 6_000):
                await self._prefix(TALKER, UNITS, after=after, terms=("grounding",))

    async def _prefix(self, key: Key, rollout: str, *, after: int, terms: tuple[str, ...]) -> None:
        after = max(after, 0)
        await self._log.resolved_prefix(
            key=key,
            rollout=rollout,
            candidate=f"{key.doer}-v2",
            after=after,
            limit=_CHUNK,
            grace_seconds=120,
            terms=terms,
            reader=_reader(after, self._tag),
        )

    async def _figures(self) -> None:
        figures = PostgresFigures(self._pool, deadline_seconds=60)
        terms = PostgresTerms(self._pool, deadline_seconds=60)
        watched = [Watched(key=it, policy=f"{it.doer}-v1", since=None) for it in (PLANNER, CODER)]
        with self._recorder.asking(rows=1_000):
            await terms.reported_terms(watched=watched, runs=100)
        with self._recorder.asking(rows=20_000):
            for key in (PLANNER, CODER, TALKER):
                await figures.runs_per_day(key=key)
        with self._recorder.asking(rows=_CHUNK):
            for after in (0, self._runs * 10 // 100 - 6_000):
                await figures.pairs(
                    key=PLANNER,
                    rollout=LIVE,
                    candidate="planner-v2",
                    after=max(after, 0),
                    limit=_CHUNK,
                )

    async def _drift(self) -> None:
        watch = DriftWatch(id="uid.2.x", policy="coder-v1", since_revision=2)
        # Of a doer that was made again, so that it takes the place whatever its revision is.
        newer = DriftWatch(id=f"{self._tag}.2.x", policy="coder-v1", since_revision=2)
        with self._recorder.asking(rows=_CHUNK):
            rows = await self._log.drift_rows(key=CODER, watch=watch, limit=_CHUNK)
            if rows is not None:
                await self._log.save_drift(key=CODER, watch=watch, state="{}", watermark=1)
            await self._log.drift_rows(key=CODER, watch=newer, limit=_CHUNK)

    async def _rollouts(self) -> None:
        opened = f"{self._tag}.0"
        with self._recorder.asking(rows=50):
            await self._log.history(key=PLANNER)
            await self._log.attempts(key=Key(namespace=NAMESPACE, doer="idle7"))
        await self._log.record_promotions(key=PLANNER, rows=[_promotion(self._tag)])
        await self._log.open_rollout(key=PLANNER, rollout=_opening(opened))
        with self._recorder.asking(rows=50):
            again = OpenGeneration(rollout=opened, number=2, crl={}, candidates=("planner-v2",))
            await self._log.open_generation(key=PLANNER, generation=again)
        await mirror_share(self._pool, rollout=opened, percent=25)
        closing = CloseRollout(rollout=opened, outcome="Promoted")
        await self._log.close_rollout(key=PLANNER, rollout=closing)

    async def _mirror(self) -> None:
        await mirror_policies(self._pool, policies=[_policy("planner-v2")])


def _reader(after: int, tag: str) -> str:
    """Who begins keeps a mark; one that goes on here has none, so it asks without."""
    return f"{tag}-reader" if after == 0 else ""


def _draw(run_id: str, *, unit: str | None = None) -> Draw:
    return draw(run_id, unit_id=unit)


def _run(run_id: str, *, doer: str, rollout: str | None) -> RunRow:
    return replace(row(run_id, rollout=rollout), doer=doer, policy=f"{doer}-v1")


def _told(run_id: str) -> Told:
    return Told(
        namespace=NAMESPACE,
        run_id=run_id,
        doer="shadower",
        loss=0.3,
        breakdown={"terms": {"grounding": 0.3}},
        content_hash=b"told",
    )


def _promotion(tag: str) -> Promotion:
    return Promotion(
        transition_id=f"{tag}/Canary",
        policy="planner-v2",
        digest="v1:abc",
        identity="v1:def",
        from_stage=Stage.DRAFT,
        to_stage=Stage.CANARY,
        by="operator",
        why="rollout started",
        rollout=LIVE,
    )


def _opening(rollout: str) -> OpenRollout:
    return OpenRollout(
        rollout=rollout,
        canary=rollout,
        canary_uid=rollout,
        control="planner-v1",
        candidates=(Tried(name="planner-v2", identity="v1:live.0", attempt=2),),
        percent=10,
        maturation_seconds=600,
        crl={"weights": {"grounding": "1"}},
    )


def _policy(name: str) -> Policy:
    return Policy.model_validate(
        {
            "apiVersion": "learnops.dev/v1alpha1",
            "kind": "Policy",
            "metadata": {**META, "name": name, "uid": name},
            "spec": {"doerRef": {"name": "planner"}, "version": "2.0.0"},
        }
    )
