"""Runs a sweep in a process of its own, and kills it in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from restoration_core.errors import InputError
from sweeps.store.reader import open_reader
from tests.sweeps.sweeps_in_store import make_spec, store

TRIALS = 12
ITERATIONS = 60


def run(folder: str, runner: str) -> None:
    """Run the sweep to its end; what the child process does."""
    from sweeps.lifecycle.launch import start

    spec = make_spec(
        budget={"iterations": ITERATIONS},
        method={"sampler": "tpe", "trials": TRIALS, "seed": 2},
        resources={"actors": 1, "pack": 2},
        save={"images": "all"},
    )
    start(spec, runner=runner, store_url=store(Path(folder)), mlflow_uri=None, verdict=False)


def kill_in_the_middle(folder: Path, runner: str, complete: int, timeout_s: float) -> set[int]:
    """Start the sweep, send SIGKILL once some trials are complete and others in flight; return the complete ones."""
    root = Path(__file__).parents[2]
    code = f"from tests.sweeps.killed_sweep import run; run({str(folder)!r}, {runner!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + timeout_s
    try:
        # Between a result and the next trial none may be in flight: that is not the middle.
        while len(numbers(folder, "complete")) < complete or not numbers(folder, "running"):
            assert process.poll() is None, "the sweep ended before it was killed"
            assert time.monotonic() < deadline, f"not {complete} trials after {timeout_s} s"
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return numbers(folder, "complete")


def numbers(folder: Path, state: str) -> set[int]:
    """Return the numbers of the trials in a state, none while there is no store yet."""
    try:
        reader = open_reader(store(folder))
    except InputError:
        return set()
    try:
        return {row["number"] for row in reader.trial_rows("test", [state])}
    except InputError:
        return set()
    finally:
        reader.close()
