"""The processes of one session: whom they are, and ending them all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_PATIENCE_S = 5.0


def in_session(session: int) -> dict[int, str]:
    """Return the living processes of a session: process id -> name.

    A session is a process started with ``start_new_session=True`` and all that descend from it, also those whose
    parents have died.
    """
    proc = Path("/proc")
    if (proc / "self" / "stat").exists():
        found = (_from_proc(entry) for entry in proc.iterdir() if entry.name.isdigit())
    else:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,stat=,comm="], capture_output=True, text=True, check=False)
        found = (_from_ps(line) for line in listed.stdout.splitlines())
    living = {}
    for pid, name in filter(None, found):
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session:
                living[pid] = name
    return living


def end_session(session: int) -> None:
    """Kill every process of a session but the caller, and wait until they are gone."""
    deadline = time.monotonic() + _PATIENCE_S
    while others := set(in_session(session)) - {os.getpid()}:
        for pid in others:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:  # a process in uninterruptible sleep ends when its disk answers
            return
        time.sleep(0.02)


def _from_proc(entry: Path) -> tuple[int, str] | None:
    try:
        before, _, after = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
    except OSError:
        return None
    return None if after.split()[0] in "ZX" else (int(entry.name), before.partition("(")[2])


def _from_ps(line: str) -> tuple[int, str] | None:
    pid, state, name = line.split(None, 2)
    return None if state.startswith("Z") else (int(pid), Path(name).name)
