"""What only informs ends nothing: broken outputs, broken callbacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from restoration_core.informing import UnbreakableWriter, guarded

pytestmark = pytest.mark.slow

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
TALK = """
import logging, sys, warnings
import click
from rich.console import Console
from rich.progress import track
from restoration_core.informing import protect_output
protect_output()
for n in range(3):
    print("print", "\\u2501 \\udcff")
    click.echo("echo")
    click.echo("echo", err=True)
    sys.stderr.write("write\\n")
    sys.stdout.flush()
    warnings.warn(f"warning {n}")
    logging.error("log")
    Console().print("table")
    Console(stderr=True, force_terminal=True).print("[bold]rich")
    for _ in track(range(3), console=Console(stderr=True, force_terminal=True)):
        pass
open(sys.argv[1], "w").write("done")
"""


def restoration(redirection: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command from a shell, with its output sent somewhere."""
    code = "import sys; from restoration_core.cli import main; main(sys.argv[1:])"
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize(
    "redirection",
    [
        pytest.param("2>/dev/full", marks=needs_full),
        pytest.param(">/dev/full", marks=needs_full),
        pytest.param(">/dev/full 2>&1", marks=needs_full),
        "2>&1 | head -c 1",
        "| true",
        ">&-",
        "2>&-",
        "<&- >&- 2>&-",
    ],
)
def test_whatever_talks_goes_on_when_nobody_can_hear_it(tmp_path: Path, redirection: str) -> None:
    shell = ["bash", "-c", f'"$@" {redirection}; exit ${{PIPESTATUS[0]}}', "bash"]
    done = subprocess.run(
        [*shell, sys.executable, "-c", TALK, str(tmp_path / "result")],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert (tmp_path / "result").read_text() == "done"


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}, {"COLUMNS": "1"}]
)
def test_no_encoding_and_no_width_ends_it(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TALK, str(tmp_path / "result")],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"echo" in done.stdout


def test_a_file_opened_later_does_not_take_the_place_of_a_closed_standard_error(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from restoration_core.informing import protect_output\n"
        "protect_output()\n"
        "kept = open(sys.argv[1], 'w')\n"
        "os.write(2, b'chatter of a library')\n"
        "kept.write('data')\n"
    )
    subprocess.run(["bash", "-c", '"$@" 2>&-', "bash", sys.executable, "-c", code, str(tmp_path / "db")], check=True)
    assert (tmp_path / "db").read_text() == "data"


def test_a_command_that_only_prints_ends_quietly_when_its_reader_has_seen_enough() -> None:
    done = restoration("| true; exit ${PIPESTATUS[0]}", "networks", "alexnet")
    assert (done.returncode, done.stderr) == (0, "")


@needs_full
def test_a_command_that_only_prints_fails_in_one_line_when_its_output_is_lost() -> None:
    done = restoration(">/dev/full", "networks", "cifar_alexnet", "--json")
    assert done.returncode == 1
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"


def test_a_writer_goes_silent_after_its_first_failure_and_says_why() -> None:
    read, write = os.pipe()
    writer = UnbreakableWriter(write)
    assert writer.write(b"heard") == 5
    assert os.read(read, 10) == b"heard"
    os.close(read)
    assert writer.write(b"not heard") == 9
    assert isinstance(writer.error, BrokenPipeError)
    assert not writer.isatty()
    os.close(write)


def test_a_full_pipe_that_does_not_block_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 4096)
        except BlockingIOError:
            break
    child = subprocess.Popen(["cat"], stdin=read, stdout=subprocess.DEVNULL)
    writer = UnbreakableWriter(write)
    assert writer.write(b"late") == 4
    assert writer.error is None
    os.close(read)
    os.close(write)
    assert child.wait(10) == 0


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("closed file"), RuntimeError("a bug")])
def test_a_guarded_callback_fails_once_and_is_not_called_again(error: Exception) -> None:
    calls: list[int] = []

    def callback(number: int) -> None:
        calls.append(number)
        if number == 2:
            raise error

    call = guarded(callback)
    for number in range(1, 5):
        call(number)
    assert calls == [1, 2]


def test_a_guarded_callback_lets_an_interruption_through() -> None:
    def callback() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(callback)()
