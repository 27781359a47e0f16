"""Whether the file under a store's name is still the one that was opened."""

from __future__ import annotations

import os
from pathlib import Path

from sweeps.store.errors import moved


class FileWatch:
    """Compares the file at ``path`` with the one that was there when the watch was started.

    A SQLite connection goes on writing into a file that was deleted or renamed, without a word.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: tuple[int, int] | None = None

    def start(self) -> None:
        """Remember the file that is there now, unless the watch has been started before."""
        if self._opened is None:
            self._opened = self._identity()

    def check(self) -> None:
        """Do nothing while the file is the same, or the watch has not been started.

        Raises:
            StoreMoved: it was deleted, moved or replaced.
        """
        if self._opened is not None and self._identity() != self._opened:
            raise moved(f"sqlite:///{self._path}")

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino
