"""Losses over time: one look-up by key a run, whatever plan was kept."""

from contextlib import closing
from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    with closing(op.get_bind().connection.cursor()) as cursor:
        cursor.execute((_SQL / "0008_progress.sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the run log is never downgraded; restore a backup instead")
