"""Marks of what was read of a rollout's log: how a restored older database is told."""

from learnops.adapters.postgres.connection import Connection
from learnops.ports.runlog import RunLogRestoredError

PAIRS = ""  # of a shadow stage; a candidate's name otherwise

_MARK = """
SELECT upto FROM rollout_readings WHERE rollout = %(rollout)s AND what = %(what)s
  AND reader = %(reader)s
"""

_KEEP = """
INSERT INTO rollout_readings (rollout, what, reader, upto)
VALUES (%(rollout)s, %(what)s, %(reader)s, %(upto)s)
ON CONFLICT (rollout, what, reader) DO UPDATE SET upto = excluded.upto
"""

_FORGET = "DELETE FROM rollout_readings WHERE rollout = %s"


async def keep_mark(
    connection: Connection, *, rollout: str, what: str, reader: str, after: int, upto: int
) -> None:
    """Mark that `reader`, who had read up to `after`, has read up to `upto`.

    In the transaction of that read, whose snapshot sees all statements alike: whatever the mark
    is in, the rows are in. Nothing is written where nothing new was read.

    Raises:
        RunLogRestoredError: the mark of what was read before is not there.
    """
    values = {"rollout": rollout, "what": what, "reader": reader, "upto": upto}
    found = await (await connection.execute(_MARK, values)).fetchone()
    marked = 0 if found is None else int(found[0])
    if marked < after:
        raise RunLogRestoredError(
            f"rollout {rollout} was read up to run {after}, which this log does not know of: an "
            "older database was restored. What was read is void; the evidence is computed again "
            "from the runs that are there"
        )
    if upto > marked:
        await connection.execute(_KEEP, values)


async def forget_marks(connection: Connection, *, rollout: str) -> None:
    """Once nobody reads the rollout any more."""
    await connection.execute(_FORGET, (rollout,))
