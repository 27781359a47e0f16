"""What ``sweep run`` and ``sweep resume`` say when they end early: why, and the command that goes on."""

from __future__ import annotations

from types import TracebackType

import click

from restoration_core.errors import Failure, InputError
from sweeps.commands.common import Addresses
from sweeps.commands.progress import ProgressDisplay


class Ending:
    """Shows a run's progress; when the block ends early and the sweep is in the store, says how to go on.

    Args:
        name: of the sweep.
        addresses: of store and MLflow.
        resumable: whether the sweep is in the store already.
    """

    def __init__(self, name: str, addresses: Addresses, resumable: bool) -> None:
        self.progress = ProgressDisplay(name)
        self._addresses, self._resumable = addresses, resumable

    def created(self, name: str) -> None:
        """Note that the sweep is in the store, under this name."""
        self.progress.name, self._resumable = name, True

    def notice(self, line: str) -> None:
        """Say something that is not progress."""
        click.echo(f"{self.progress.name}: {line}", err=True)

    def behind(self, pending: int | None, error: str | None) -> None:
        """Say that MLflow lacks something at an early end."""
        self.progress.stop()
        tell_behind(self.progress.name, self._addresses, pending, error)

    def __enter__(self) -> Ending:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from sweeps.store import StaleLease

        self.progress.stop()
        if error is None or not self._resumable or isinstance(error, InputError):
            return  # bad input says itself what would be valid
        name, options = self.progress.name, self._addresses.options()
        if isinstance(error, StaleLease):
            look = f"to look at it: restoration sweep status {name}{options}"
            raise Failure(f"another run has taken sweep {name} over and goes on with it; {look}") from error
        on = f"to go on: restoration sweep resume {name}{options}"
        if isinstance(error, Failure):
            raise Failure(f"{error}; {on}") from error
        click.echo(on, err=True)


def tell_behind(name: str, addresses: Addresses, pending: int | None, error: str | None) -> None:
    """Say what MLflow lacks, if anything, and the command that tells it."""
    if pending or error:
        why = error or f"{pending} entries were not told in time"
        click.echo(
            f"MLflow is behind ({why}); to fill it: restoration sweep sync {name}{addresses.options()}", err=True
        )
