"""Progress at any width: the bar moves, elapsed and remaining time stay visible."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from restoration_core.commands import progress
from restoration_core.commands.progress import WorkDisplay, duration, show_progress

WORK = """
from restoration_core.commands.progress import WorkDisplay
from restoration_core.informing import protect_output
protect_output()
with WorkDisplay() as display:
    for done in range(4):
        display.show("a-long-name-of-a-sweep" * 3, done, 3, "37/48 trials, " * 9)
print("end")
"""


class Clock:
    """A clock that the test turns."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def drawn(display: WorkDisplay, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True, legacy_windows=False)
    console.print(display.frame(width))
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_elapsed_and_remaining_time_are_in_sight_at_every_width(width: int, clock: Clock) -> None:
    display = WorkDisplay(io.StringIO())
    display.show("a-name-of-a-sweep-that-is-long" * 2, 0, 48, "0/48")
    clock.now += 100
    display.show("a-name-of-a-sweep-that-is-long" * 2, 12, 48, "12/48 trials, " * 9)
    bar, words = drawn(display, width)
    assert bar.rstrip().endswith("25%  0:01:40  0:05:00 left")
    assert words.startswith("12/48 trials, ")
    assert max(len(bar), len(words)) <= width


def test_the_time_left_runs_down_between_two_calls_and_a_resumed_run_counts_from_its_start(clock: Clock) -> None:
    display = WorkDisplay(io.StringIO())
    display.show("x", 30, 50, "")
    assert display.left_s() is None
    clock.now += 10
    display.show("x", 40, 50, "")
    assert display.left_s() == pytest.approx(10)
    clock.now += 4
    assert display.left_s() == pytest.approx(6)
    clock.now += 40
    assert display.left_s() == 0


def test_lines_come_more_seldom_the_longer_it_takes(clock: Clock) -> None:
    stream = io.StringIO()
    display = WorkDisplay(stream)
    for second in range(3601):
        clock.now = 100.0 + second
        display.show("x", second, 7200, f"step {second}")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["x: step 0, 0 s", "x: step 5, 120 min left after 5 s"]
    assert 60 < len(lines) < 100
    assert lines[-1].endswith("61 min left after 59 min")


def test_another_name_is_another_piece_of_work(clock: Clock) -> None:
    stream = io.StringIO()
    display = WorkDisplay(stream)
    display.show("search", 4, 4, "done")
    clock.now += 100
    display.show("verdict", 0, 9, "begun")
    assert stream.getvalue().splitlines() == ["search: done, 0 s", "verdict: begun, 0 s"]


def test_a_quiet_one_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(3, quiet=True) as show:
        show(3, "conv1")
    with show_progress(3, quiet=False) as show:
        show(3, "conv1")
    assert capsys.readouterr().err == "reconstructing: 3 of 3 steps, conv1, 0 s\n"


@pytest.mark.parametrize("width", [1, 24, 80])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_real_terminal_of_any_width_and_encoding_shows_it_to_the_end(
    width: int, encoding: str, tmp_path: Path
) -> None:
    parent, child = pty.openpty()
    script = tmp_path / "work.py"
    script.write_text(WORK)
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": str(width), "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, script], stdout=child, stderr=child, env=environment)
    os.close(child)
    seen = b""
    try:
        while part := os.read(parent, 4096):
            seen += part
    except OSError:  # the other end was closed
        pass
    os.close(parent)
    assert process.wait(30) == 0
    assert seen.rstrip().endswith(b"end")
    if width == 80:
        assert b"100%" in seen


def test_a_terminal_that_is_closed_in_the_middle_ends_nothing(tmp_path: Path) -> None:
    parent, child = pty.openpty()
    script = tmp_path / "work.py"
    result = tmp_path / "result"
    script.write_text(
        WORK.replace("with Work", "import time; time.sleep(0.5)\nwith Work")
        + f"open({str(result)!r}, 'w').write('done')\n"
    )
    # A session of its own: a terminal that goes also sends a hang-up to its own session.
    process = subprocess.Popen([sys.executable, script], stdout=child, stderr=child, start_new_session=True)
    os.close(child)
    os.close(parent)
    assert process.wait(30) == 0
    assert result.read_text() == "done"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (600, "10 min"), (9000, "2.5 h"), (float("nan"), "unknown")],
)
def test_durations_are_said_as_a_person_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text
