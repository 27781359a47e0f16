"""``restoration dashboard``."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.commands.dashboard import dashboard_command
from sweeps.execution.runners.processes import end_session, in_session


def test_dashboard_listens_on_this_machine_and_sends_no_statistics() -> None:
    command = dashboard_command("sqlite:///r.db", "127.0.0.1", 8600)
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--browser.gatherUsageStats") + 1] == "false"
    assert command[-3:] == ["--", "--store", "sqlite:///r.db"]
    assert Path(command[4]).name == "app.py"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_dashboard_that_is_told_to_stop_leaves_no_server_behind(tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = f"from restoration_core.cli import main; main(['dashboard', '--port', '{port}'])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            until_answered(port, process)
            process.send_signal(number)
            process.wait(30)
            assert in_session(process.pid) == {}
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
        finally:
            end_session(process.pid)


def until_answered(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended by itself"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("it does not answer")
