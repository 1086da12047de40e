"""Several candidates in one rollout: each with its attempt, each run with the π of all."""

from contextlib import closing
from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    with closing(op.get_bind().connection.cursor()) as cursor:
        cursor.execute((_SQL / "0007_candidates.sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the run log is never downgraded; restore a backup instead")
