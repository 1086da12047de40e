"""The rest of the schema: learning's tables, daily rollups, expiry and erasure."""

from contextlib import closing
from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    # The driver's own cursor: SQLAlchemy would read a % as a placeholder.
    with closing(op.get_bind().connection.cursor()) as cursor:
        for part in ("runs", "learning", "rollups", "upkeep"):
            cursor.execute((_SQL / f"0009_{part}.sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the run log is never downgraded; restore a backup instead")
