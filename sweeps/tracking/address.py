"""Where MLflow is: its address checked, and how the store names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from restoration_core.errors import InputError
from sweeps.shown_address import show_url
from sweeps.store.address import file_url, sqlite_path
from sweeps.store.models import NOT_TRACKED

_VALID = "valid: sqlite:///mlflow.db (a file) or http://HOST:PORT, https://HOST (an MLflow server)"


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
        if self.database is not None:
            return self.uri
        parts = urlsplit(self.uri)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

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


def parse_mlflow_uri(uri: str, store_url: str | None = None) -> Address:
    """Return the address with an absolute path; MLflow is neither imported nor called.

    Raises:
        InputError: a folder (MLflow has given up its file store), another scheme, SQLite without a file or in a
            folder that is not there, a server without a host, or the file of the sweeps' own store.
    """
    scheme = urlsplit(uri).scheme.lower() if "://" in uri else ""
    if scheme in {"http", "https"}:
        if not _has_host(uri):
            raise InputError(f"MLflow address {show_url(uri)!r} has no host, or a port that is no number; {_VALID}")
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


def _has_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite address, its quoted characters read once; None when it names none."""
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    if not url.database or url.database.startswith((":memory:", "file:")) or "?" in uri or url.host:
        return None
    return sqlite_path(url)
