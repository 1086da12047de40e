"""What lets rows go that hang on a run that never comes."""

from contextlib import closing
from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    with closing(op.get_bind().connection.cursor()) as cursor:
        cursor.execute((_SQL / "0012_expiry.sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the run log is never downgraded; restore a backup instead")
