"""Alembic's entry: runs the revisions on the connection (and in the transaction) that the caller opened."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from sweeps.store.migrations import VERSION_TABLE
from sweeps.store.models import Base


def run() -> None:
    """Run the revisions; on SQLite too the DDL is part of the transaction, since BEGIN is ours."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,
        render_as_batch=True,
    )
    context.run_migrations()


run()
