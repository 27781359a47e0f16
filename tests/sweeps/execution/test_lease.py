"""A lease is renewed, noticed when it is lost, given back, and left alone where the store cannot be written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.execution.lease import Lease
from sweeps.store.leases import StaleLease
from sweeps.store.reader import open_reader
from sweeps.store.writer import Writer, open_writer
from tests.sweeps.sweeps_in_store import make_spec, make_sweep, store


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    make_sweep(store(tmp_path), make_spec())
    with open_writer(store(tmp_path)) as writer:
        yield writer


def holder(folder: Path) -> str | None:
    reader = open_reader(store(folder))
    try:
        return reader.sweep("test").lease_holder
    finally:
        reader.close()


def test_a_lease_is_kept_for_the_block_and_given_back_once(tmp_path: Path, writer: Writer) -> None:
    sweep_id = writer.find_sweep("test")
    with Lease(writer, sweep_id, "me", ttl_s=0.4) as lease:
        time.sleep(0.6)  # longer than it lasts unless it is renewed
        lease.check()
        assert holder(tmp_path) == "me"
        lease.release()
        assert holder(tmp_path) is None
        writer.acquire_lease(sweep_id, "somebody else", 60.0)
    assert holder(tmp_path) == "somebody else"


def test_a_lease_that_was_taken_over_is_noticed_and_not_given_back(tmp_path: Path, writer: Writer) -> None:
    sweep_id = writer.find_sweep("test")
    with Lease(writer, sweep_id, "me", ttl_s=0.2) as lease:
        writer.acquire_lease(sweep_id, "me", 60.0)
        deadline = time.monotonic() + 30
        while not lease.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(StaleLease, match="was taken over"):
            lease.check()
    assert holder(tmp_path) == "me"


def test_a_lease_that_was_given_up_runs_out_by_itself(tmp_path: Path, writer: Writer) -> None:
    with Lease(writer, writer.find_sweep("test"), "me", ttl_s=0.2) as lease:
        lease.give_up()
    assert holder(tmp_path) == "me"
    time.sleep(0.3)
    with Lease(writer, writer.find_sweep("test"), "somebody else") as other:
        assert other.token == lease.token + 1
