"""A store with one sweep: eight trials, of which one runs, one failed and one was pruned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.execution.protocol import TrialRecord
from sweeps.store import FinishedTrial, Reader, TrialState, Writer, open_reader, open_writer
from tests.contracts.store_contract import finished, new_sweep, new_trials

OBJECTIVES = {0: 0.5, 1: 0.2, 2: 0.9, 3: 0.2, 4: 0.1}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def writer(url: str) -> Iterator[Writer]:
    with open_writer(url) as opened:
        yield opened


@pytest.fixture
def reader(url: str, writer: Writer) -> Iterator[Reader]:
    opened = open_reader(url)
    yield opened
    opened.close()


def fill(writer: Writer, name: str, goal: str = "minimize") -> int:
    """Trials 0 to 4 complete, 5 failed, 6 pruned with the best objective of all, 7 running."""
    sweep = writer.create_sweep(new_sweep(name, (goal,)))
    lease = writer.acquire_lease(sweep, "fill", 60)
    writer.insert_trials(sweep, lease, new_trials(*range(8)))
    done = [finished(number, objective=value) for number, value in OBJECTIVES.items()]
    failed = FinishedTrial(TrialRecord(5, 1, failure="out of memory"), TrialState.FAILED)
    pruned = FinishedTrial(TrialRecord(6, 1), TrialState.PRUNED, 0.0 if goal == "minimize" else 9.0)
    writer.finish_trials(sweep, lease, [*done, failed, pruned])
    writer.release_lease(sweep, lease)
    return sweep
