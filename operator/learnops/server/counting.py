"""Which runs this process has counted, also where it was not told whether it had stored them."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from learnops.adapters.postgres.runs import RunKey
from learnops.ports.clock import Clock

_REMEMBERED = 50_000
_SKEW = timedelta(seconds=5)
"""By how much the database's clock may be behind ours. Behind by more, a run whose commit was not
heard of is missing from the counters."""


class Counted:
    """Each run once. Bounded: the longest unused are forgotten, and one that was in doubt is then
    missing from the counters, as after a crash; the run log has them all.

    Twice counted is a run in doubt here that another process stored at about that time or after it,
    when it is reported here again."""

    def __init__(self, *, clock: Clock, remembered: int = _REMEMBERED) -> None:
        self._clock = clock
        self._remembered = remembered
        # When the first attempt in doubt began; None: counted.
        self._doubted: OrderedDict[RunKey, datetime | None] = OrderedDict()

    @contextmanager
    def attempt(self, keys: Iterable[RunKey]) -> Iterator[None]:
        """What is raised in here leaves them in doubt: a commit may have been under way, whose
        answer a database that froze, died or was cut off never gave."""
        began = self._clock.now()
        try:
            yield
        except BaseException:
            for key in keys:
                self._doubted.setdefault(key, began)
            self._forget()
            raise

    def now(self, *, added: Collection[RunKey], known: Mapping[RunKey, datetime]) -> set[RunKey]:
        """Those to count now: what was added, and what is stored since an attempt in doubt.

        `known` tells when each of the runs that are there was stored. One that was there before
        the attempt was counted by whoever stored it.
        """
        chosen = {*added, *(key for key, at in known.items() if self._is_ours(key, at))}
        for key in chosen:
            self._doubted[key] = None
            self._doubted.move_to_end(key)
        self._forget()
        return chosen

    def _is_ours(self, key: RunKey, stored_at: datetime) -> bool:
        began = self._doubted.get(key)
        return began is not None and stored_at >= began - _SKEW

    def _forget(self) -> None:
        while len(self._doubted) > self._remembered:
            self._doubted.popitem(last=False)
