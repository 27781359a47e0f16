"""Starts coordinators over a real store for the tests of this folder."""

from __future__ import annotations

from sweeps.store.reader import open_reader
from tests.sweeps.sweeps_in_store import HeldCoordinator, coordinate, make_spec, make_sweep


def start(url: str, **changes: object) -> HeldCoordinator:
    spec = make_spec(**changes)
    make_sweep(url, spec)
    return coordinate(url, spec)


def states(url: str) -> dict[int, str]:
    reader = open_reader(url)
    rows = reader.trial_rows("test")
    reader.close()
    return {row["number"]: row["state"] for row in rows}
