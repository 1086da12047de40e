"""One warning when the database goes away, one when it is back, whoever finds out."""

import logging

log = logging.getLogger(__name__)


class Outage:
    """What is known of an outage by several parts of one process. Over once all of them say so."""

    def __init__(self) -> None:
        self._missed_by: set[str] = set()

    def away(self, part: str, reason: str) -> None:
        """This part could not use the database; logged if nobody said so before."""
        if not self._missed_by:
            log.warning("Postgres is away: %s (%s); tried again until it is back", reason, part)
        self._missed_by.add(part)

    def back(self, part: str) -> None:
        """This part could; logged if it was the last that could not."""
        if part in self._missed_by:
            self._missed_by.remove(part)
            if not self._missed_by:
                log.warning("Postgres is back")
