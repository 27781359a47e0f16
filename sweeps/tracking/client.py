"""Where MLflow is: its address checked, a quiet client with short time limits, and whether it answers.

Parameters, metrics and artifacts go to one experiment, ``deep-restoration``. With ``sqlite:///mlflow.db`` the artifacts
lie beside the database file, in ``mlflow-artifacts/``; a server (``http://...``) decides for itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from restoration_core.errors import InputError
from sweeps.shown_address import show_url
from sweeps.store.address import file_url, sqlite_path
from sweeps.store.models import NOT_TRACKED
from sweeps.tracking.database import DatabaseState, UnusableDatabase, ensure, refuse_unusable

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "deep-restoration"
_VALID = "valid: sqlite:///mlflow.db (a file) or http://HOST:PORT, https://HOST (an MLflow server)"
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
class Address:
    """A checked MLflow address; ``database`` is the SQLite file, None for a server.

    ``uri`` is what a user or MLflow may be given: in a path, characters with a meaning in addresses are quoted.
    """

    uri: str
    database: Path | None

    @property
    def destination(self) -> str:
        """The address as the store keeps it with a sweep: without user and password."""
        parts = urlsplit(self.uri)
        return self.uri if self.database is not None else parts._replace(netloc=_host(parts.netloc)).geturl()

    @property
    def client_uri(self) -> str:
        """The address for MLflow's client.

        With the driver named MLflow opens the same file, but does not make the folders that the quoted path spells.
        """
        return self.uri if self.database is None else file_url(self.database, "sqlite+pysqlite")

    @property
    def artifact_root(self) -> str | None:
        """Where the artifacts of a new experiment go; None leaves it to the server."""
        if self.database is None:
            return None
        return (self.database.parent / f"{self.database.stem}-artifacts").as_uri()


@dataclass(frozen=True)
class TrackingStatus:
    """Whether MLflow can be used now, and why (not), in one line."""

    reachable: bool
    reason: str


def parse_mlflow_uri(uri: str, store_url: str | None = None) -> Address:
    """Return the address with an absolute path; MLflow is neither imported nor called.

    Raises:
        InputError: a folder (MLflow has given up its file store), another scheme, SQLite without a file or in a
            folder that is not there, a server without a host, or the file of the sweeps' own store.
    """
    scheme = urlsplit(uri).scheme.lower() if "://" in uri else ""
    if scheme in {"http", "https"}:
        if not urlsplit(uri).hostname:
            raise InputError(f"MLflow address {show_url(uri)!r} has no host; {_VALID}")
        return Address(uri.rstrip("/"), None)
    if scheme != "sqlite":
        what = "is a folder, which MLflow no longer writes to" if scheme in {"", "file"} else "is not supported"
        raise InputError(f"MLflow address {show_url(uri)!r} {what}; {_VALID}")
    path = _sqlite_file(uri)
    if path is None:
        raise InputError(
            f"MLflow address {show_url(uri)!r} names no file (three slashes, no options; a ? in a name is written %3F, "
            f"a % is written %25); {_VALID}"
        )
    if path.is_dir() or not path.parent.is_dir():
        why = "is a directory" if path.is_dir() else f"lies in a folder that does not exist ({path.parent})"
        raise InputError(f"MLflow address {show_url(uri)!r}: the file {why}; {_VALID}")
    own = _sqlite_file(store_url) if store_url is not None and store_url.startswith("sqlite:") else None
    if own is not None and own.resolve() == path.resolve():
        raise InputError(
            f"MLflow address {show_url(uri)!r} is the sweeps' own store; MLflow needs its own file; {_VALID}"
        )
    return Address(file_url(path), path)


def destination(mlflow_uri: str | None) -> str:
    """Return how the store names where a sweep is tracked; None is `NOT_TRACKED`.

    Raises:
        InputError: see `parse_mlflow_uri`.
    """
    return NOT_TRACKED if mlflow_uri is None else parse_mlflow_uri(mlflow_uri).destination


def tracked_at(stored: str | None, default: str | None) -> str | None:
    """Return where a sweep goes on being tracked when nobody names a place: where it was, None for nowhere.

    Args:
        stored: what the store says, see `destination`.
        default: the address that holds without a word; it may carry a password that the store does not keep.

    Raises:
        InputError: the default is needed and not valid.
    """
    if stored == NOT_TRACKED:
        return None
    if stored is None or (default is not None and parse_mlflow_uri(default).destination == stored):
        return default
    return stored


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
    return MlflowClient(tracking_uri=address.client_uri, registry_uri=address.client_uri)


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
    if address.database is None and (reason := server_fault(address.uri)) is not None:
        return TrackingStatus(False, reason)
    with quiet_mlflow():
        import mlflow

        try:
            open_client(address).search_experiments(max_results=1)
        except Exception as error:
            return TrackingStatus(False, f"MLflow at {show_url(address.uri)} refuses: {one_line(error)}")
        return TrackingStatus(True, f"MLflow {mlflow.__version__} at {show_url(address.uri)}")


def one_line(error: BaseException) -> str:
    """Return what an exception says in one line of at most 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite address, its quoted characters read once; None when it names none."""
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    if not url.database or url.database.startswith((":memory:", "file:")) or "?" in uri or url.host:
        return None
    return sqlite_path(url)


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


def server_fault(uri: str) -> str | None:
    """Return in one line why there is no MLflow server at the address, None when there is one."""
    parts = urlsplit(uri)
    bare = parts._replace(netloc=_host(parts.netloc)).geturl()
    try:
        with urllib.request.urlopen(f"{bare}/health", timeout=_QUICK_TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        # A proxy may guard the page; whether the interface itself answers is tried next.
        return None if error.code in {401, 403} else f"{show_url(uri)} answers, but not as MLflow does: {error}"
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return f"no MLflow at {show_url(uri)}: {one_line(reason) if isinstance(reason, Exception) else reason}"
