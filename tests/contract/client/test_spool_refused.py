"""Bundles that are refused for good are kept with their reason."""

import json
from pathlib import Path

from learnops.client.waiting import in_thread
from tests.contract.client.handler import Handler
from tests.contract.client.learners import BATCH, Connect, finish, ready
from tests.contract.client.stand_in import StandInApi


def test_what_is_refused_for_good_is_kept_with_its_reason_and_not_sent_again(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    learner = ready(connect(options={"batch_seconds": 3600.0}))
    good = [finish(learner)]
    finish(learner, "bad", metrics={"toxicity": -1})
    in_thread(learner._engine.reporter.report(b'{"runId":"%s"}' % (b"x" * 2**20)))
    good.append(finish(learner))
    assert learner.flush(60)
    assert list(api.runs) == good
    learner.close()
    api.wait_for(lambda: learner.stats().get("dead_letters") == 2, "the letters")
    (file,) = spool.glob("*/refused.ndjson")
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    told = {one["body"]["runId"] if one["body"] else None: one["reason"] for one in letters}
    assert told["bad"] == "invalid: metrics.toxicity: is -1; send 0 or more"
    assert told[None] == "over the limit of 1 MiB"
    assert {one["path"] for one in letters} == {BATCH}
    assert connect().flush(60)
    assert api.batches == [3]


def test_a_batch_refused_whole_leaves_only_its_bad_one_as_a_letter(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    def picky(handler: Handler) -> None:
        if any(bundle["runId"] == "bad" for bundle in handler.body["runs"]):
            handler.answer(413, {"detail": "the body is over the limit"})
        else:
            handler.behave(BATCH)

    api.misbehave[BATCH] = picky
    learner = ready(connect(options={"batch_seconds": 3600.0}))
    for run in ("a", "b", "bad", "c"):
        finish(learner, run)
    assert learner.flush(60)
    learner.close()
    assert set(api.runs) == {"a", "b", "c"}
    api.wait_for(lambda: learner.stats().get("dead_letters"), "the letter")
    (file,) = spool.glob("*/refused.ndjson")
    (letter,) = map(json.loads, file.read_text().splitlines())
    assert (letter["body"]["runId"], letter["reason"]) == ("bad", "413 the body is over the limit")
