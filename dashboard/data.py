"""Cached reads of the store.

What can grow large (a sweep's trials) is cached until the sweep's stamp changes. Pictures are cached for good, because
their address is the hash of their pixels. All else is one small query, made anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd
import streamlit as st

from dashboard.pictures import enlarge
from sweeps.store import Reader, SweepView, TrialView, open_reader, store_file

_CACHED_PICTURES = 600

Stamp = tuple[str, ...]


@dataclass(frozen=True)
class Store:
    """The store at an address, as it is now.

    Attributes:
        url: the address.
        identity: changes when the file at the address is replaced by another.
    """

    url: str
    identity: str

    @property
    def reader(self) -> Reader:
        """The shared reader."""
        return _reader(self.url, self.identity)

    def sweeps(self) -> pd.DataFrame:
        """Return one row a sweep, the newest first."""
        return self.reader.sweeps()

    def stamp(self, name: str) -> Stamp:
        """Return a value that changes whenever a trial of the sweep starts or ends, or the sweep ends."""
        frame = self.sweeps()
        rows = frame[frame["name"] == name]
        if rows.empty:
            return ("absent",)
        columns = ["status", "created_at", "finished_at", "complete", "pruned", "failed", "running", "best_number"]
        return tuple(str(rows.iloc[0][column]) for column in columns)

    def sweep(self, name: str) -> SweepView:
        """Return one sweep; raises ValueError (one line) when there is none of this name."""
        return self.reader.sweep(name)

    def trials(self, name: str) -> pd.DataFrame:
        """Return one row a trial; raises ValueError when there is no such sweep."""
        return _trials(self.url, self.identity, name, self.stamp(name))

    def trial(self, name: str, number: int) -> TrialView:
        """Return one trial; raises ValueError when there is none."""
        return self.reader.trial(name, number)

    def picture(self, sha256: str) -> bytes:
        """Return a picture enlarged to a readable size, as PNG."""
        return _picture(self.url, self.identity, sha256)

    def difference(
        self, original: str, reconstruction: str, kind: Literal["signed", "absolute"], scale: float
    ) -> bytes:
        """Return the enlarged difference view of two pictures, as PNG; raises ValueError when their sizes differ."""
        return _difference(self.url, self.identity, original, reconstruction, kind, scale)


def open_store(url: str) -> Store:
    """Return the store at ``url``.

    Raises:
        ValueError: one line, when there is no store or it cannot be read.
    """
    store = Store(url, _identity(url))
    _ = store.reader
    return store


def _identity(url: str) -> str:
    path = store_file(url)
    if path is None:
        return ""
    try:
        status = path.stat()
    except OSError:
        return "absent"
    return f"{status.st_dev}:{status.st_ino}"


@st.cache_resource(max_entries=8, show_spinner=False)
def _reader(url: str, identity: str) -> Reader:
    return open_reader(url)


@st.cache_data(max_entries=32, show_spinner=False)
def _trials(url: str, identity: str, name: str, stamp: Stamp) -> pd.DataFrame:
    return _reader(url, identity).trials(name)


@st.cache_data(max_entries=_CACHED_PICTURES, show_spinner=False)
def _picture(url: str, identity: str, sha256: str) -> bytes:
    return enlarge(_reader(url, identity).picture(sha256))


@st.cache_data(max_entries=_CACHED_PICTURES, show_spinner=False)
def _difference(
    url: str, identity: str, original: str, reconstruction: str, kind: Literal["signed", "absolute"], scale: float
) -> bytes:
    return enlarge(_reader(url, identity).difference(original, reconstruction, kind, scale))
