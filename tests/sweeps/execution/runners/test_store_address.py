"""The store's address reaches the coordinator's process and nothing else."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from restoration_core.errors import Failure
from sweeps.execution.runners.store_address import ask_address, serve_address

URL = "postgresql://me:geheim@host/db?sslpassword=auch" + "x" * 10_000


def test_whoever_asks_is_told_and_may_ask_again() -> None:
    with serve_address(URL) as path:
        assert [ask_address(path) for _ in range(3)] == [URL] * 3
        assert "geheim" not in path


def test_only_this_user_may_ask_and_nothing_is_left_afterwards() -> None:
    with serve_address(URL) as path:
        assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
        assert stat.S_ISSOCK(Path(path).stat().st_mode)
    assert not Path(path).parent.exists()
    with pytest.raises(Failure, match=r"the run that started this coordinator does not answer \(No such file"):
        ask_address(path)


def test_a_folder_for_temporary_files_with_a_long_name_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with serve_address(URL) as path:
        assert ask_address(path) == URL


def test_a_run_that_was_killed_leaves_no_file_with_the_address(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from sweeps.execution.runners.store_address import serve_address\n"
        "with serve_address(sys.stdin.readline().strip()) as path:\n"
        "    print(path, flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(URL + "\n")
        process.stdin.flush()
        path = process.stdout.readline().strip()
        assert ask_address(path) == URL
        process.send_signal(signal.SIGKILL)
    for folder in {tmp_path, Path(path).parent}:
        for file in folder.rglob("*"):
            assert not file.is_file() or "geheim" not in file.read_text(errors="replace")
    with pytest.raises(Failure, match="does not answer"):
        ask_address(path)
