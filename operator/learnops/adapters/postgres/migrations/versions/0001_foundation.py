"""Tables, views and triggers of the run log: policies, rollouts, routings, runs, losses.

The statements stand in `sql/0001_*.sql`, so that they read as SQL.
"""

from contextlib import closing
from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    # The driver's own cursor: SQLAlchemy would read a % as a placeholder.
    with closing(op.get_bind().connection.cursor()) as cursor:
        for part in ("policies", "rollouts", "runs", "views"):
            cursor.execute((_SQL / f"0001_{part}.sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the run log is never downgraded; restore a backup instead")
