"""A sweep in a real SQLite store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps.sweeps_in_store import store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return store(tmp_path)
