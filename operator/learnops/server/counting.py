"""Which runs this process has counted, also where it was not told whether it had stored them."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from learnops.adapters.postgres.runs import RunKey

_REMEMBERED = 50_000


class Counted:
    """Each run once. Bounded: the longest unused are forgotten, and one that was in doubt is then
    missing from the counters, as after a crash; the run log has them all."""

    def __init__(self, *, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._sure: OrderedDict[RunKey, bool] = OrderedDict()  # False: in doubt

    @contextmanager
    def attempt(self, keys: Iterable[RunKey]) -> Iterator[None]:
        """What is raised in here leaves them in doubt: a commit may have been under way, whose
        answer a database that froze, died or was cut off never gave."""
        try:
            yield
        except BaseException:
            for key in keys:
                self._sure.setdefault(key, False)
            self._forget()
            raise

    def now(self, *, added: Collection[RunKey], known: Iterable[RunKey]) -> set[RunKey]:
        """Those to count now: what was added, and what is stored since an attempt in doubt."""
        chosen = {*added, *(key for key in known if self._sure.get(key) is False)}
        for key in chosen:
            self._sure[key] = True
            self._sure.move_to_end(key)
        self._forget()
        return chosen

    def _forget(self) -> None:
        while len(self._sure) > self._remembered:
            self._sure.popitem(last=False)
