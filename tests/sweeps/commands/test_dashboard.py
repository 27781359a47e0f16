"""``restoration dashboard``."""

from __future__ import annotations

from pathlib import Path

from sweeps.commands.dashboard import dashboard_command


def test_dashboard_listens_on_this_machine_and_sends_no_statistics() -> None:
    command = dashboard_command("sqlite:///r.db", "127.0.0.1", 8600)
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--browser.gatherUsageStats") + 1] == "false"
    assert command[-3:] == ["--", "--store", "sqlite:///r.db"]
    assert Path(command[4]).name == "app.py"
