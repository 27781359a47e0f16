"""Reads the store and never changes it: for the dashboard, the commands and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

import pandas as pd
from sqlalchemy import Connection, Engine, text

from restoration_core.errors import InputError, unknown
from sweeps.search.pareto import ranked
from sweeps.shown_address import show_url
from sweeps.store import frames
from sweeps.store.address import parse_url, sqlite_path
from sweeps.store.engine import make_engine
from sweeps.store.migrations import check_version
from sweeps.store.models import NOT_TRACKED, Picture, TrialState
from sweeps.store.reading import overview, pending, queries, stored_priors, sweeps
from sweeps.store.reading.difference import difference_png
from sweeps.store.records import PriorEntry
from sweeps.store.views import SweepView, TrialView

_T = TypeVar("_T")


def open_reader(url: str) -> Reader:
    """Open the store at ``url`` for reading; nothing is made, upgraded or written.

    Raises:
        InputError: no file, no store, an older or a newer schema, each with its remedy.
        StoreFailed: a damaged file, for example.
    """
    engine = make_engine(url, read_only=True)
    try:
        with engine.begin() as connection:
            check_version(connection, show_url(url))
    except BaseException:
        engine.dispose()
        raise
    return Reader(engine, url)


class Reader:
    """Answers questions about sweeps; safe to use from several threads, and while sweeps are written.

    Times are UTC without zone. Each method sees one consistent state of the store.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self._url = url

    def close(self) -> None:
        """Close the connections; the reader cannot be used afterwards."""
        self._engine.dispose()

    def sweeps(self) -> pd.DataFrame:
        """Return one row a sweep, the newest first: status, counts by state and the best complete trial.

        Sweeps with several metrics have a front instead of a best trial: see `best`.
        """
        return self._read(overview.sweeps_frame)

    def sweep(self, name: str) -> SweepView:
        """Return one sweep.

        Raises:
            InputError: no such sweep, with the nearest name.
        """
        return self._read(lambda connection: queries.sweep_view(connection, name))

    def trials(self, name: str, states: Iterable[str] | None = None) -> pd.DataFrame:
        """Return one row a trial by number, with ``params.*``, ``raw.*`` and ``metrics.*`` columns.

        Args:
            states: only trials in these states, e.g. ``["complete"]``.

        Raises:
            InputError: no such sweep.
        """
        return frames.trials_frame(self.trial_rows(name, states))

    def trial_rows(self, name: str, states: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Return the trials' rows by number, as plain dicts with nested parameters and metrics."""
        valid = [state.value for state in TrialState]
        wanted = None if states is None else [str(state) for state in states]
        for state in wanted or ():
            if state not in valid:
                raise InputError(unknown("trial state", state, valid))
        return self._read(lambda connection: queries.trial_rows(connection, sweeps.find(connection, name).id, wanted))

    def trial(self, name: str, number: int) -> TrialView:
        """Return one trial with its metrics by picture, curves and pictures.

        Raises:
            InputError: no such sweep or trial.
        """
        return self._read(lambda connection: queries.trial_view(connection, name, number))

    def best(self, name: str, k: int = 10) -> pd.DataFrame:
        """Return the ``k`` best complete trials, best first, ties by number; for several metrics the Pareto front.

        The front is sorted by the first metric and holds at most ``k`` trials.

        Raises:
            InputError: no such sweep.
        """

        def ask(connection: Connection) -> tuple[Any, list[dict[str, Any]]]:
            sweep = sweeps.find(connection, name)
            return sweep, queries.trial_rows(connection, sweep.id, [TrialState.COMPLETE.value])

        sweep, rows = self._read(ask)
        single = len(sweep.metric_names) == 1
        points = [(row["number"], (row["objective"],) if single else row["objectives"] or ()) for row in rows]
        front = [item.number for item in ranked(points, sweep.metric_goals)[:k]]
        return frames.trials_frame(rows).set_index("number", drop=False).loc[front].reset_index(drop=True)

    def picture(self, sha256: str) -> bytes:
        """Return a picture's PNG bytes; raises InputError when the store has no such picture."""
        found: bytes = self._read(lambda connection: queries.picture(connection, sha256, Picture.png))
        return found

    def thumbnail(self, sha256: str) -> bytes:
        """Return a picture's thumbnail as PNG bytes; raises InputError when the store has no such picture."""
        found: bytes = self._read(lambda connection: queries.picture(connection, sha256, Picture.thumbnail))
        return found

    def thumbnails(self, sha256: Iterable[str]) -> dict[str, bytes]:
        """Return the thumbnails of many pictures at once; those the store does not have are left out."""
        wanted = sorted(set(sha256))
        return self._read(lambda connection: queries.thumbnails(connection, wanted))

    def final_pictures(self, name: str, numbers: Iterable[int] | None = None) -> pd.DataFrame:
        """Return the trials' results: columns number, image, step, sha256, one row a trial and original.

        Raises:
            InputError: no such sweep.
        """
        wanted = None if numbers is None else sorted(set(numbers))
        return self._read(lambda connection: queries.final_pictures(connection, name, wanted))

    def difference(
        self,
        original_sha: str,
        reconstruction_sha: str,
        kind: Literal["signed", "absolute"] = "signed",
        scale: float | None = 0.5,
    ) -> bytes:
        """Return the difference view of two stored pictures as PNG bytes, derived when asked for.

        Args:
            kind: ``signed`` (grey: no error) or ``absolute`` (black: no error).
            scale: the error shown as full deflection, so that views with one scale can be compared; None for the
                largest error of this pair.

        Raises:
            InputError: no such picture, or the two differ in size.
        """
        original, reconstruction = self.picture(original_sha), self.picture(reconstruction_sha)
        return difference_png(original, reconstruction, kind, scale)

    def outbox_pending(self, name: str) -> int:
        """Return how many entries of a sweep its MLflow has yet to be told; 0 where it is not tracked."""

        def ask(connection: Connection) -> int:
            destination = sweeps.find(connection, name).mlflow_uri
            return 0 if destination == NOT_TRACKED else pending.count(connection, name, None).get(name, 0)

        return self._read(ask)

    def get_prior(self, key: str) -> bytes | None:
        """Return a stored prior's blob, None when there is none under this key."""
        return self._read(lambda connection: stored_priors.get(connection, key))

    def list_priors(self) -> list[PriorEntry]:
        """Return the stored priors without their blobs."""
        return self._read(stored_priors.entries)

    def size_bytes(self) -> int:
        """Return what the store takes on disk: the file with its write-ahead log, or the server's own figure."""
        path = sqlite_path(parse_url(self._url))
        if path is None:
            return self._read(
                lambda connection: int(
                    connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
                )
            )
        files = (path, path.with_name(path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _read(self, work: Callable[[Connection], _T]) -> _T:
        with self._engine.begin() as connection:
            return work(connection)
