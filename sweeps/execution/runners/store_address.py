"""Handing the store's address, which may hold a password, to a process of Ray on this machine.

Ray keeps what an actor is made with in its metadata, which every node can read; a file would outlive a driver that is
killed. So the actor is given the path of a Unix socket in a folder that only this user can enter, and asks the driver:
at its start and, should Ray restart it, again.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from restoration_core.errors import Failure

_TIMEOUT_S = 30.0
_LONGEST_PATH = 100  # of a Unix socket: 107 bytes on Linux, 103 on macOS


@contextlib.contextmanager
def serve_address(store_url: str) -> Iterator[str]:
    """Tell the address to whoever of this user asks, until the block ends; yields where to ask."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="restoration-", dir=_short_folder()))
        path = str(Path(folder) / "ask")
        server = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        server.bind(path)
        server.listen()
        threading.Thread(target=_answer, args=(server, store_url.encode()), name="store address", daemon=True).start()
        stack.callback(_wake, server)
        yield path


def ask_address(path: str) -> str:
    """Return the address that `serve_address` tells at ``path``.

    Raises:
        Failure: nobody answers there any more.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_TIMEOUT_S)
            client.connect(path)
            parts = []
            while part := client.recv(4096):
                parts.append(part)
    except OSError as error:
        raise Failure(f"the run that started this coordinator does not answer ({error.strerror or error})") from error
    return b"".join(parts).decode()


def _answer(server: socket.socket, address: bytes) -> None:
    while True:
        try:
            asking, _ = server.accept()
        except OSError:  # it was shut down
            return
        with contextlib.suppress(OSError), asking:
            asking.settimeout(_TIMEOUT_S)
            asking.sendall(address)


def _wake(server: socket.socket) -> None:
    with contextlib.suppress(OSError):  # some systems do not shut down what nobody is connected to
        server.shutdown(socket.SHUT_RDWR)


def _short_folder() -> str | None:
    """Return where the socket's folder goes: the usual place for temporary files, unless its path is too long."""
    return None if len(tempfile.gettempdir()) < _LONGEST_PATH - 40 else "/tmp"
