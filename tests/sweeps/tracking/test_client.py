"""MLflow's address, whether it answers, and that nothing of the caller's process changes."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from restoration_core.errors import InputError
from sweeps.tracking import best_from_mlflow, check, parse_mlflow_uri, sync
from sweeps.tracking.client import quiet_mlflow
from tests.sweeps.tracking.stored_sweep import new_sweep

pytestmark = pytest.mark.slow


def test_importing_tracking_does_not_import_mlflow() -> None:
    code = "import sweeps.tracking, sys; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("./mlruns", "is a folder"),
        ("file:///tmp/mlruns", "is a folder"),
        ("mlruns", "is a folder"),
        ("databricks://profile", "is not supported"),
        ("postgresql://u:p@h/db", "is not supported"),
        ("sqlite:///", "names no file"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:////nowhere/at/all/mlflow.db", "does not exist"),
        ("http://", "has no host"),
    ],
)
def test_a_bad_address_is_one_line_that_names_the_valid_ones(uri: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        parse_mlflow_uri(uri)
    message = str(caught.value)
    assert "\n" not in message
    assert "sqlite:///mlflow.db" in message
    assert "http://" in message
    assert check(uri).reachable is False


def test_the_sweeps_own_store_is_refused_as_mlflows_database(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="own store"):
        parse_mlflow_uri(f"sqlite:///{tmp_path}/a.db", store_url=f"sqlite:///{tmp_path}/x/../a.db")


def test_artifacts_of_a_database_lie_beside_it(tmp_path: Path) -> None:
    assert parse_mlflow_uri(f"sqlite:///{tmp_path}/mlflow.db").artifact_root == (tmp_path / "mlflow-artifacts").as_uri()
    assert parse_mlflow_uri("http://127.0.0.1:5000/").artifact_root is None


def test_check_says_what_is_there_and_makes_nothing(tmp_path: Path, mlflow_uri: str) -> None:
    fresh = tmp_path / "fresh.db"
    assert check(f"sqlite:///{fresh}").reachable
    assert not fresh.exists()
    assert check(mlflow_uri).reachable
    assert "MLflow 3" in check(mlflow_uri).reason
    (tmp_path / "text.db").write_text("no database at all, but long enough to look like one" * 10)
    assert "cannot be read" in check(f"sqlite:///{tmp_path / 'text.db'}").reason
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE sweeps (id INTEGER)")
    other.close()
    assert "not MLflow's" in check(f"sqlite:///{tmp_path / 'other.db'}").reason


@pytest.mark.slow
def test_check_of_a_server_that_is_not_there_or_does_not_answer_is_quick() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        refused = check(f"http://127.0.0.1:{port}")
        assert not refused.reachable
        assert "refused" in refused.reason
        silent.listen()
        start = time.monotonic()
        assert "timed out" in check(f"http://127.0.0.1:{port}").reason
        assert time.monotonic() - start < 10


def test_the_callers_environment_and_loggers_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    environment, level, uri = dict(os.environ), logging.getLogger("mlflow").level, mlflow.get_tracking_uri()
    with quiet_mlflow():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert dict(os.environ) == environment
    assert logging.getLogger("mlflow").level == level
    assert mlflow.get_tracking_uri() == uri


def test_sync_to_a_folder_is_refused_before_the_store_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        sync(f"sqlite:///{tmp_path}/none.db", "./mlruns")


@pytest.mark.parametrize("uri", ["http://ada:s3cret@127.0.0.1:9", "postgresql://ada:s3cret@h/db", "http://ada:s3cret@"])
def test_a_password_in_the_address_is_never_said(uri: str, tmp_path: Path) -> None:
    made = new_sweep(tmp_path)
    said = [check(uri).reason]
    try:
        said.append(str(sync(made.url, uri).error))
        best_from_mlflow(uri, "conv2")
    except InputError as error:
        said.append(str(error))
    assert "s3cret" not in " ".join(said)
    assert "***" in said[-1]
