"""How a run ends when it is told to, by real signals to a real process, and how the end says to go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from restoration_core.errors import Failure, InputError
from restoration_core.priors.library.prior_library import ROOT_VARIABLE
from sweeps.commands.common import Addresses
from sweeps.commands.ending import Ending
from sweeps.store.leases import StaleLease
from sweeps.store.reader import open_reader

SPEC = """\
name: tiny
images: [sample:coffee]
image_size: 32
match: conv1/relu
method: {sampler: random, trials: 3}
budget: {iterations: 100000}
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e1}
"""
CALIBRATED = SPEC.replace("parameters:", "units: calibrated\nparameters:").replace("100000", "10")


def begun(folder: Path, spec: str, until: str) -> subprocess.Popen[str]:
    """Start a run that takes for ever, and return once it has said what is waited for."""
    (folder / "tiny.yaml").write_text(spec)
    code = "from restoration_core.cli import main; main()"
    arguments = ["sweep", "run", "tiny.yaml", "--runner", "inprocess", "--mlflow", "off", "--store", "sqlite:///r.db"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", ROOT_VARIABLE: str(folder / "library")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if until in line:
            return process
    raise AssertionError(f"it ended with {process.wait()} before it said {until!r}")


def status(folder: Path) -> str | None:
    reader = open_reader(f"sqlite:///{folder / 'r.db'}")
    try:
        return next(iter(reader.sweeps()["status"]), None)
    finally:
        reader.close()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_told_to_stop_sets_the_status_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = begun(tmp_path, SPEC, "0/3 trials")
    time.sleep(0.5)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "to go on: restoration sweep resume tiny --store sqlite:///r.db --mlflow off" in said
    assert "Traceback" not in said
    assert status(tmp_path) == "interrupted"


@pytest.mark.slow
def test_a_run_that_is_told_to_stop_while_it_calibrates_leaves_no_sweep(tmp_path: Path) -> None:
    process = begun(tmp_path, CALIBRATED, "calibrat")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "resume" not in said
    assert "Traceback" not in said
    assert status(tmp_path) is None


ADDRESSES = Addresses("sqlite:///my results.db", None)


def test_a_failure_of_a_sweep_that_is_in_the_store_is_one_line_with_the_way_on() -> None:
    on = "a disk is full; to go on: restoration sweep resume tiny-2 --store 'sqlite:///my results.db' --mlflow off"

    def run() -> None:
        with Ending("tiny", ADDRESSES, resumable=False) as ending:
            ending.created("tiny-2")
            raise Failure("a disk is full")

    with pytest.raises(Failure, match=re.escape(on)):
        run()


def test_bad_input_names_no_command_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"^no such network$"), Ending("tiny", ADDRESSES, resumable=True):
        raise InputError("no such network")
    assert capsys.readouterr().err == ""


def test_a_sweep_that_another_run_has_taken_over_is_only_to_be_looked_at() -> None:
    said = (
        "^another run has taken sweep tiny over and goes on with it; to look at it: restoration sweep status tiny --st"
    )
    with pytest.raises(Failure, match=said), Ending("tiny", ADDRESSES, resumable=True):
        raise StaleLease(1, 2, 3)


def test_a_failure_before_the_sweep_is_in_the_store_names_none_either() -> None:
    with pytest.raises(Failure, match=r"^a disk is full$"), Ending("tiny", ADDRESSES, resumable=False):
        raise Failure("a disk is full")


def test_what_mlflow_lacks_is_said_with_the_command_that_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    Ending("tiny", ADDRESSES, resumable=True).behind(7, None)
    said = capsys.readouterr().err
    assert said.startswith(
        "MLflow is behind (7 entries were not told in time); to fill it: restoration sweep sync tiny"
    )
