"""Who holds a lease: a name that tells one process from every other, and whether that process is known to be dead."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

_HOLDER = re.compile(r".+@(?P<host>[^ ]+) pid (?P<pid>\d+) \([0-9a-f]+ (?P<place>[0-9a-f]+) (?P<started>\d+)\)$")
_LONGEST_USER = 60


def user_name() -> str:
    """Return the name of the user who runs this process, the user's number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that nothing names
        return f"uid{os.getuid()}"


def new_holder() -> str:
    """Return a name for this process as a lease holder, e.g. ``user@host pid 123 (5f0c23d1 9b1f0a77 88123)``.

    In the brackets: a random part, which makes the name unique; where the process number counts (one boot of one
    machine, and one container on it); and when the process started, in ticks since the boot. The last two are left out
    where the system does not tell them.
    """
    parts = [uuid.uuid4().hex[:8]]
    place, seen = _place(), _seen(os.getpid())
    if place is not None and seen is not None:
        parts += [place, str(seen.started)]
    return f"{user_name()[:_LONGEST_USER]}@{socket.gethostname()} pid {os.getpid()} ({' '.join(parts)})"


def is_dead(holder: str) -> bool:
    """Return whether the holder is known to have died: it ran where we run, and its process is gone.

    Whoever ran elsewhere may be alive under a process number that here is nobody's or somebody else's: on another
    machine, or in another container on this one, whatever its host name. When in doubt the answer is False, and the
    lease runs out.
    """
    match = _HOLDER.match(holder)
    if match is None or match["host"] != socket.gethostname() or match["place"] != _place():
        return False
    pid = int(match["pid"])
    seen = _seen(pid)
    if seen is None:
        return not _exists(pid)
    # Ended but not yet waited for by its parent, or another process that was given the number.
    return seen.state in "ZX" or seen.started != int(match["started"])


@dataclass(frozen=True)
class _Seen:
    """A process: its state as ``ps`` shows it, and when it started, in ticks since the boot."""

    state: str
    started: int


def _place() -> str | None:
    """Return a short name of this boot of this machine and of the space in which process numbers count."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = os.stat("/proc/self/ns/pid")
    except OSError:
        return None
    return hashlib.sha256(f"{boot} {space.st_dev} {space.st_ino}".encode()).hexdigest()[:8]


def _seen(pid: int) -> _Seen | None:
    """Return what the system tells of a process, None where it is gone or not ours to see."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return _Seen(fields[0], int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
