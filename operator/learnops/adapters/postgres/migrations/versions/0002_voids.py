"""Voids that overtake their registration; an index for resolution by time."""

from contextlib import closing
from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    with closing(op.get_bind().connection.cursor()) as cursor:
        cursor.execute((_SQL / "0002_voids.sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the run log is never downgraded; restore a backup instead")
