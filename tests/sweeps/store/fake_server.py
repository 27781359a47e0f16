"""A PostgreSQL for tests of all that is printed: the address is a server's, the database behind it is a SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import URL

from sweeps.store import engine

PASSWORDS = ("geheim", "verborgen")
URL_WITH_PASSWORDS = "postgresql://me:geheim@127.0.0.1:1/results?sslpassword=verborgen"
SHOWN = "postgresql://me:***@127.0.0.1:1/results?sslpassword=***"


def serve(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let addresses of servers open the SQLite file at ``path``; return such an address, with two passwords."""
    create_engine = engine.create_engine

    def create(url: Any, **options: Any) -> Engine:
        if isinstance(url, URL) and url.get_backend_name() == "postgresql":
            return engine.make_engine(f"sqlite:///{path}")
        return create_engine(url, **options)

    monkeypatch.setattr(engine, "create_engine", create)
    return URL_WITH_PASSWORDS
