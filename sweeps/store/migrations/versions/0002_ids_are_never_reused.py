"""Ids of deleted sweeps, trials and outbox entries are never handed out again, and lease tokens need 64 bits.

Before, SQLite gave the id of a deleted sweep to the next one, whose leases were counted from 1 again: a driver that
had been paused wrote into the new sweep. PostgreSQL never reuses an id. There is no way back to the former schema,
since the larger tokens do not fit it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rebuild the three tables on SQLite, which cannot change a key in place; widen the token everywhere."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in ("sweeps", "trials", "outbox"):
        with op.batch_alter_table(
            table, recreate="always" if on_sqlite else "never", table_kwargs={"sqlite_autoincrement": True}
        ) as batch:
            if table == "sweeps":
                batch.alter_column("fencing_token", existing_type=sa.Integer(), type_=sa.BigInteger())
