"""Where a sweep is tracked, and which process is writing it there.

Before, whichever tracker ran next published every sweep of the store, also those that were run with tracking off.
Of older sweeps that are in no MLflow none is meant; the others go where the next tracker or `sync` writes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the destination and the claim to the sweeps."""
    op.add_column("sweeps", sa.Column("mlflow_uri", sa.String(), nullable=True))
    op.add_column("sweeps", sa.Column("tracked_by", sa.String(200), nullable=True))
    op.add_column("sweeps", sa.Column("tracked_until", sa.DateTime(), nullable=True))
    op.execute("UPDATE sweeps SET mlflow_uri = 'off' WHERE mlflow_run_id IS NULL")
