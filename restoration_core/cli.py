"""The command ``restoration``: a group whose subcommands are entry points, loaded when they are called."""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points

import click

from restoration_core.errors import Failure, InputError, InputErrors, unknown
from restoration_core.informing import protect_output
from restoration_core.interruption import Interrupted, interruptible

ENTRY_POINT_GROUP = "restoration.commands"
_COMPLETION = "_RESTORATION_COMPLETE"  # set by a shell that asks click how a command line may go on


class _EntryPointGroup(click.Group):
    """A click group over the installed ``restoration.commands`` entry points."""

    def _found(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._found())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        point = self._found().get(cmd_name)
        if point is None:
            raise InputError(unknown("command", cmd_name, self.list_commands(ctx)))
        try:
            command: click.Command = point.load()
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] in {"restoration_core", "sweeps", "dashboard"}:
                raise
            raise InputError(
                f"`restoration {cmd_name}` needs the package {error.name!r}; valid: pip install "
                "'deep-restoration[dashboard]'"
            ) from error
        return command


@click.group(cls=_EntryPointGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deep-restoration")
def restoration() -> None:
    """Reconstruct pictures from a classifier's feature maps, and search the weights of the priors."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; exit 0, 1 (failed), 2 (bad input, one line per fault) or as a shell says it of a signal.

    That is 130 for Ctrl-C, 143 for SIGTERM, 129 for a terminal that was closed.

    The status tells of the work, not of its output: where nobody can read what a run prints, it goes on in silence.
    """
    protect_output()
    # Read when torch is loaded: on a busy core, OpenMP threads that spin while they wait cost up to 40 x.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with interruptible():
            status = restoration.main(arguments, "restoration", standalone_mode=False)
    except InputErrors as error:
        for line in error.lines:
            click.echo(f"error: {line}", err=True)
        sys.exit(2)
    except InputError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except Failure as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except SystemExit as error:  # no command of ours ends so: it comes from a network of the user's, or from a library
        if _COMPLETION in os.environ:
            raise
        click.echo(f"error: the code that was called ended the program by sys.exit({error.code!r})", err=True)
        sys.exit(1)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        message = " ".join(error.format_message().split())
        click.echo(f"error: {message}", err=True)
        sys.exit(error.exit_code if error.exit_code != 1 else 2)
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error if isinstance(error, Interrupted) else error.__cause__  # click's Abort stands for both
        status = cause.exit_status if isinstance(cause, Interrupted) else 130
        click.echo("interrupted" if status == 130 else f"interrupted by signal {status - 128}", err=True)
        sys.exit(status)
    sys.exit(status if isinstance(status, int) else 0)
