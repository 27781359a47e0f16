"""The store's contract on a real SQLite file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'a store, 100% #1.db'}"
