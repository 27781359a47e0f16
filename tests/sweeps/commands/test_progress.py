"""How a sweep shows itself: its search, its verdict, with the work of running trials counted."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from sweeps.commands.progress import ProgressDisplay, describe


def test_elsewhere_than_on_a_terminal_it_is_plain_lines_with_the_last_word() -> None:
    stream = io.StringIO()
    states: list[Mapping[str, Any]] = [
        {"planned": 3, "complete": number, "running": 3 - number, "best": {"psnr": 20.123456}, "best_number": 1}
        for number in range(4)
    ]
    with ProgressDisplay("x", stream, line_every_s=1000) as display:
        assert not display.begun
        for state in [*states, states[-1]]:
            display(state)
        assert display.begun
    first, last = stream.getvalue().splitlines()
    assert first == "x: 0/3 trials, 3 running, best psnr 20.12 (trial 1), 0 s"
    assert last.startswith("x: 3/3 trials, 0 running")


def test_failures_are_part_of_the_progress() -> None:
    assert describe({"planned": 4, "complete": 1, "failed": 2, "running": 1}) == "3/4 trials, 1 running, 2 failed"


def test_work_on_running_trials_counts_before_any_of_them_ends() -> None:
    assert describe({"planned": 4, "running": 4, "in_flight_share": 1.0}) == "0/4 trials (25%), 4 running"
    stream = io.StringIO()
    with ProgressDisplay("x", stream, line_every_s=0.0) as display:
        display({"planned": 4, "running": 4, "in_flight_share": 0.0})
        display({"planned": 4, "running": 4, "in_flight_share": 1.0})
    assert " left after " in stream.getvalue().splitlines()[1]


def test_several_metrics_have_a_front() -> None:
    state = {"planned": 2, "complete": 2, "best": {"psnr": 20.0, "ssim": 0.5}, "best_number": 1, "front": 2}
    assert describe(state) == "2/2 trials, 0 running, best psnr 20, ssim 0.5 (trial 1), 2 on the Pareto front"


def test_the_verdict_has_progress_of_its_own() -> None:
    stream = io.StringIO()
    with ProgressDisplay("x", stream) as display:
        display({"planned": 2, "complete": 2, "running": 0})
        display({"stage": "verdict", "planned": 36, "complete": 0, "running": 16, "in_flight_share": 4.0})
        display({"stage": "verdict", "planned": 36, "complete": 36, "running": 0})
    search, first, last = stream.getvalue().splitlines()
    assert search.startswith("x: 2/2 trials")
    assert first.startswith("x: verdict: 0/36 reconstructions (11%) of pictures that were not searched on")
    assert last.startswith("x: verdict: 36/36 reconstructions")


def test_a_stream_that_cannot_be_written_ends_nothing() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        with ProgressDisplay("x", stream, line_every_s=0.0) as display:
            for number in range(3):
                display({"planned": 2, "complete": number})


@pytest.mark.slow
def test_a_display_on_protected_output_can_be_handed_to_another_process() -> None:
    """As Ray Tune does with all that is called while it runs; the display is then one on the standard error there."""
    code = (
        "import sys\n"
        "from ray import cloudpickle\n"
        "from restoration_core.informing import protect_output\n"
        "from sweeps.commands.progress import ProgressDisplay\n"
        "protect_output()\n"
        "cloudpickle.loads(cloudpickle.dumps(ProgressDisplay('tiny')))({'planned': 3, 'complete': 1})\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tiny: 1/3 trials" in shown.stderr
