"""Tables, views and triggers of the run log: policies, rollouts, routings, runs, losses.

The statements stand in `sql/0001_*.sql`, so that they read as SQL.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    for part in ("policies", "rollouts", "runs", "views"):
        op.get_bind().exec_driver_sql((_SQL / f"0001_{part}.sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the run log is never downgraded; restore a backup instead")
