"""Calls the command in this process, as its entry point does."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from restoration_core.cli import main


@dataclass(frozen=True)
class Called:
    """How a call ended: exit status, what went to standard output and to standard error."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what went wrong."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return line.removeprefix("error: ")


def restoration(capfd: pytest.CaptureFixture[str], *arguments: str) -> Called:
    """Run ``restoration ARGUMENTS``; a traceback in place of a line fails the test."""
    sys.stdout.flush()
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    found = capfd.readouterr()
    assert "Traceback" not in found.err
    return Called(int(ended.value.code or 0), found.out, found.err)
