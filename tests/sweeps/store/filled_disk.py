"""A disk without room, for SQLite: databases that may not grow beyond some pages."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy import Engine, event


@contextlib.contextmanager
def pages_at_most(count: int) -> Iterator[None]:
    """While this holds, every connection that is opened fails as on a full disk once its file has ``count`` pages."""

    def limit(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {count}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)
