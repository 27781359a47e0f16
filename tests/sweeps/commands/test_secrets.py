"""Passwords in addresses reach no line and no command line, in good times and in bad."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sweeps.commands.called import Called, restoration
from tests.sweeps.commands.tiny import SPEC
from tests.sweeps.store.fake_server import PASSWORDS, SHOWN, URL_WITH_PASSWORDS, serve

pytestmark = pytest.mark.slow

MLFLOW = "http://me:geheim@127.0.0.1:1"
# In this order, so that each finds what it asks for.
COMMANDS = (
    ("sweep", "status"),
    ("sweep", "run", "tiny.yaml", "--runner", "inprocess"),
    ("sweep", "run", "tiny.yaml", "--runner", "inprocess"),
    ("sweep", "run", "tiny.yaml", "--runner", "inprocess", "--again", "--no-verdict"),
    ("sweep", "status"),
    ("sweep", "status", "tiny"),
    ("sweep", "status", "tiny", "--json"),
    ("sweep", "best", "tiny"),
    ("sweep", "best", "nobody"),
    ("sweep", "export", "tiny", "--to", "trials.csv"),
    ("sweep", "resume", "tiny", "--runner", "inprocess"),
    ("sweep", "replay", "tiny", "1"),
    ("sweep", "delete", "tiny"),
    ("sweep", "delete", "tiny", "--yes"),
    ("sweep", "sync"),
    ("doctor",),
)


def without_passwords(called: Called, command: object) -> Called:
    for password in PASSWORDS:
        assert password not in called.out, command
        assert password not in called.err, command
    return called


def test_no_command_shows_a_password(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    url = serve(tmp_path / "server.db", monkeypatch)
    seen = {}
    for command in COMMANDS:
        mlflow = ("--mlflow", "off")
        seen[command] = without_passwords(restoration(capfd, *command, "--store", url, *mlflow), command)
    run = seen["sweep", "run", "tiny.yaml", "--runner", "inprocess", "--again", "--no-verdict"]
    assert run.status == 0
    assert f"store: {SHOWN}" in run.out
    assert f"restoration dashboard --store '{SHOWN}' --mlflow off" in run.out
    assert f"Sweeps in {SHOWN}" in seen["sweep", "status"].out
    assert seen["sweep", "delete", "tiny", "--yes"].status == 0
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert not any(password.encode() in content for password in PASSWORDS), file


@pytest.mark.parametrize(
    "url",
    [
        URL_WITH_PASSWORDS,
        "postgresql://me:geheim@127.0.0.1:port/results",
        "postgresql:/me:geheim@127.0.0.1/results",
        "postgresql//me:geheim@127.0.0.1/results",
        "me:geheim@127.0.0.1",
        "mysql://me:geheim@127.0.0.1/results",
        "oracle+nothing://me:geheim@127.0.0.1/results",
        "postgresql://me:geheim@verborgen@127.0.0.1/results",
        "postgresql://me:geheim/verborgen@127.0.0.1/results",
        "postgresql://127.0.0.1:1/results?user=me&password=geheim",
        "postgresql://127.0.0.1:1/results?options=-c%20search_path=a&PASSWORD=geheim",
        "postgresql://127.0.0.1:1/results?user=me&pasword=geheim",
        "postgresql://127.0.0.1:1/results?sslmode=require;password=geheim",
        "sqlite://me:geheim@host/store.db",
    ],
)
def test_an_address_that_cannot_be_opened_is_told_without_its_password(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    for command in (("status",), ("delete", "tiny", "--yes"), ("sync",), ("run", "tiny.yaml", "--runner", "inprocess")):
        called = restoration(capfd, "sweep", *command, "--store", url)
        without_passwords(called, command)
        assert called.status == 2
        assert "store " in called.error


def test_the_doctor_names_an_address_that_cannot_be_opened_without_its_password(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called = restoration(capfd, "doctor", "--store", URL_WITH_PASSWORDS, "--mlflow", MLFLOW)
    without_passwords(called, "doctor")
    assert called.status == 1


def command_lines(session: int) -> list[str]:
    """Return the command lines of all processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == session:
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


@pytest.mark.slow
def test_no_process_of_the_dashboard_has_a_password_in_its_command_line(tmp_path: Path) -> None:
    code = "from restoration_core.cli import main; main(['dashboard', '--port', '8977'])"
    environment = {**os.environ, "RESTORATION_STORE": URL_WITH_PASSWORDS}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not any("streamlit" in line for line in command_lines(process.pid)):
                assert process.poll() is None, "the dashboard has ended"
                assert time.monotonic() < deadline, "Streamlit was not started"
                time.sleep(0.05)
            lines = command_lines(process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout is not None
        printed = process.stdout.read()
    assert f"dashboard of {SHOWN} on http://127.0.0.1:8977" in printed
    assert not any(password in text for password in PASSWORDS for text in (*lines, printed))
