"""Signals of coroutines: as in `test_signals`, and the event loop never waits for them."""

import asyncio
from datetime import UTC, datetime

from learnops.client import AsyncLearner
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.test_signals import told


async def test_signals_of_coroutines_go_behind_their_bundles(api: StandInApi) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    async with AsyncLearner("planner", api=api.url, namespace="agents") as learner:

        async def agent(place: int) -> str:
            async with learner.run() as run:
                run.signal("compile", True, key="c")
                await run.finish(metrics={"grounding": 0.5}, signals={"tests": place / 10})
            run.signal("human", False, source="thumbs", note="n", observed_at=at)
            return run.id

        ids = await asyncio.gather(*map(agent, range(10)))
        learner.signal(ids[0], "errors", 0.1, source="ci")
        assert await learner.flush(60)
        assert learner.stats()["signals_accepted"] == 21
    for place, run_id in enumerate(ids):
        assert api.runs[run_id]["signals"] == {"tests": place / 10}
        assert told(api, run_id)[:2] == [("compile", True), ("human", False)]
    assert told(api, ids[0])[2:] == [("errors", 0.1)]
    sent = [it for run, signals in api.signals if run == ids[0] for it in signals]
    assert [it["source"] for it in sent] == ["", "thumbs", "ci"]
    assert (sent[0]["key"], sent[1]["note"]) == ("c", "n")
    assert sent[1]["observedAt"] == "2026-01-01T00:00:00+00:00"


async def test_those_of_a_run_that_is_withdrawn_are_not_sent(api: StandInApi) -> None:
    async with AsyncLearner("planner", api=api.url, namespace="agents") as learner:
        run = await learner.start()
        run.signal("compile", True)
        learner.withdraw(run)
        assert await learner.flush(60)
        assert learner.stats()["signals_ignored"] == 1
    assert api.signals == []
