"""The processes below this one."""

from __future__ import annotations

from pathlib import Path


def descendants(pid: int) -> dict[int, str]:
    """Return the living processes below one, from /proc: process id -> name."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                before, _, after = (entry / "stat").read_text().rpartition(")")
            except OSError:
                continue
            state, parent = after.split()[:2]
            if int(parent) == pid and state != "Z":
                found |= {int(entry.name): before.partition("(")[2], **descendants(int(entry.name))}
    return found
