"""``restoration doctor``."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from sweeps.commands.common import Addresses
from sweeps.commands.doctor import examine


@pytest.mark.slow
def test_doctor_finds_problems_with_a_remedy_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.db").write_text("this is no database" * 100)
    bad = {f.what: f for f in examine(Addresses("sqlite:///broken.db", "http://127.0.0.1:9"))}
    good = {f.what: f for f in examine(Addresses("sqlite:///new.db", None))}
    assert not bad["store"].ok
    assert not bad["MLflow"].ok
    assert good["store"].ok
    assert good["MLflow"].ok
    assert good["bundled network"].ok
    assert [path.name for path in tmp_path.iterdir()] == ["broken.db"]


def test_a_half_made_mlflow_database_is_found_with_what_to_do(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    bad = {f.what: f for f in examine(Addresses("sqlite:///new.db", f"sqlite:///{tmp_path}/mlflow.db"))}["MLflow"]
    assert "mlflow.db is half made" in bad.found
    assert bad.remedy.startswith("move it away, then `restoration sweep sync`")
