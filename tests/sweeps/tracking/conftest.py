"""A real SQLite MLflow for each test; its tables are made once a session, as that takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweeps.tracking.address import parse_mlflow_uri
from sweeps.tracking.client import open_client, quiet_mlflow


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MLflow database with its tables and nothing in them."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with quiet_mlflow():
        open_client(parse_mlflow_uri(f"sqlite:///{path}")).search_experiments(max_results=1)
    return path


@pytest.fixture
def mlflow_uri(empty_mlflow: Path, tmp_path: Path) -> str:
    """Return the address of a fresh MLflow."""
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"
