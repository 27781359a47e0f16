"""A quiet client of MLflow with short time limits, and whether MLflow answers.

Parameters, metrics and artifacts go to one experiment, ``deep-restoration``. With ``sqlite:///mlflow.db`` the artifacts
lie beside the database file, in ``mlflow-artifacts/``; a server (``http://...``) decides for itself.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from restoration_core.errors import InputError, in_one_line
from sweeps.shown_address import hide_secrets, show_url
from sweeps.tracking.address import Address, parse_mlflow_uri
from sweeps.tracking.database import DatabaseState, UnusableDatabase, ensure, refuse_unusable
from sweeps.tracking.deadline import LimitedClient, request_limit_s, within

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "deep-restoration"
_QUICK_TIMEOUT_S = 3.0
# What is set already is the user's choice and stays. No retries inside a request: a POST that timed out may have
# been carried out, so the next attempt must look first; the outbox is the retry.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@dataclass(frozen=True)
class TrackingStatus:
    """Whether MLflow can be used now, and why (not), in one line."""

    reachable: bool
    reason: str


@contextlib.contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Within this block MLflow fails fast and keeps quiet; afterwards the process is as it was."""
    added = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    os.environ.update(added)
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "urllib3", "sqlalchemy")]
    try:
        # MLflow sets its own logger's level when it is imported, so import before silencing.
        import mlflow  # noqa: F401

        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
    finally:
        for name in added:
            os.environ.pop(name, None)


def open_client(address: Address) -> MlflowClient:
    """Return a client; a SQLite database that is not there yet is made (some seconds). Call within `quiet_mlflow`.

    Raises:
        UnusableDatabase: the file is there, but is no MLflow database that can be used.
        Exception: whatever SQLite or MLflow says when it cannot be reached.
    """
    from mlflow import MlflowClient

    if address.database is not None:
        ensure(address.database)
    client = MlflowClient(tracking_uri=address.client_uri, registry_uri=address.client_uri)
    if address.database is None:
        return cast("MlflowClient", LimitedClient(client, f"MLflow at {show_url(address.uri)}"))
    return client


def find_experiment(client: MlflowClient) -> str | None:
    """Return the id of the experiment, None when there is none (or it was deleted)."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return str(experiment.experiment_id) if experiment is not None and experiment.lifecycle_stage == "active" else None


def ensure_experiment(client: MlflowClient, address: Address) -> str:
    """Return the id of the experiment; it is made, or taken out of the trash, where it is missing."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        try:
            return str(client.create_experiment(EXPERIMENT, artifact_location=address.artifact_root))
        except Exception:
            # Another process may have made it since.
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def check(mlflow_uri: str) -> TrackingStatus:
    """Say within some seconds whether MLflow can be used; nothing is made or changed.

    Returns:
        ``reachable`` with what was found, or not with the reason: an address that is not valid, no server, a server
        that is not MLflow, wrong credentials, a file that is no MLflow database or of another version.
    """
    try:
        address = parse_mlflow_uri(mlflow_uri)
    except InputError as error:
        return TrackingStatus(False, str(error))
    if address.database is not None and (answer := _check_file(address.database)) is not None:
        return answer
    if (reason := server_fault(address)) is not None:
        return TrackingStatus(False, reason)
    with quiet_mlflow():
        import mlflow

        try:
            open_client(address).search_experiments(max_results=1)
        except Exception as error:
            return TrackingStatus(False, f"MLflow at {show_url(address.uri)} refuses: {one_line(error)}")
        return TrackingStatus(True, f"MLflow {mlflow.__version__} at {show_url(address.uri)}")


def one_line(error: BaseException) -> str:
    """Return what an exception says in one line of at most 300 characters, without passwords."""
    text = in_one_line(error) or type(error).__name__
    text = hide_secrets(text)
    return text if len(text) <= 300 else f"{text[:297]}..."


def _check_file(path: Path) -> TrackingStatus | None:
    try:
        state = refuse_unusable(path)
    except UnusableDatabase as error:
        return TrackingStatus(False, str(error))
    if not os.access(path.parent, os.W_OK):
        # SQLite writes its journal beside the file.
        return TrackingStatus(False, f"MLflow's database {path} cannot be written: its folder is not writable")
    if state == DatabaseState.MISSING:
        return TrackingStatus(True, f"MLflow's database {path} will be made by the first sweep")
    if not os.access(path, os.W_OK):
        return TrackingStatus(False, f"MLflow's database {path} is not writable")
    if state == DatabaseState.EMPTY:
        return TrackingStatus(True, f"MLflow's database {path} is empty; the first sweep fills it")
    if state == DatabaseState.OLDER:
        return TrackingStatus(
            True, f"MLflow's database {path} is an older MLflow's; the next sweep brings it up to date"
        )
    return None


def _ask_health(uri: str) -> None:
    urllib.request.urlopen(f"{uri}/health", timeout=_QUICK_TIMEOUT_S).close()


def server_fault(address: Address) -> str | None:
    """Return within some seconds and in one line why there is no MLflow server at the address.

    None when there is one, or the address is a file.
    """
    if address.database is not None:
        return None
    uri = address.uri
    try:
        return within(min(2 * _QUICK_TIMEOUT_S, request_limit_s()), "it", lambda: _ask_health(address.destination))
    except urllib.error.HTTPError as error:
        # A proxy may guard the page; whether the interface itself answers is tried next.
        return None if error.code in {401, 403} else f"{show_url(uri)} answers, but not as MLflow does: {error}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return f"no MLflow at {show_url(uri)}: {one_line(reason) if isinstance(reason, Exception) else reason}"
