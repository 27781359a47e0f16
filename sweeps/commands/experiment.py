"""``restoration experiment``: every arm of priors searched alike, tested on other photographs, and reported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from restoration_core.informing import PrintingCommand
from sweeps.commands.common import json_option, print_json

if TYPE_CHECKING:
    from sweeps.experiment.folder import Folder
    from sweeps.experiment.models import ExperimentSpec

_FILE = click.Path(dir_okay=False, path_type=str)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_SEARCH = click.option(
    "--search-images",
    multiple=True,
    metavar="PATH",
    help="Photographs to search on, a path or glob, for the spec's own.",
)
_TEST = click.option(
    "--images",
    multiple=True,
    metavar="PATH",
    help="Photographs to test on, a path or glob, in place of the spec's own.",
)


_TRAIN = click.option(
    "--train-images", metavar="FOLDER", help="Photographs to train the spec's priors on, in place of its own."
)


@click.group(short_help="Compare arms of priors on unseen photographs.")
def experiment() -> None:
    """Compare priors as a sceptic would: equal search for every arm, other photographs to test on, random starts."""


@experiment.command(cls=PrintingCommand, short_help="Say what an experiment computes and how long it takes.")
@click.argument("file", type=_FILE)
@_SEARCH
@_TEST
@_TRAIN
@json_option
def plan(
    file: str, search_images: tuple[str, ...], images: tuple[str, ...], train_images: str | None, as_json: bool
) -> None:
    """Say what the experiment in FILE computes and how many hours it takes, from some iterations of every arm."""
    from sweeps.experiment.plan import in_words
    from sweeps.experiment.plan import plan as make_plan
    from sweeps.experiment.spec import load_experiment

    spec = load_experiment(file, search_images, images, train_images, _say)
    found = make_plan(spec, _say)
    if as_json:
        print_json(found)
        return
    for line in in_words(spec, found):
        click.echo(line)


@experiment.command(short_help="Run an experiment and write its report.")
@click.argument("file", type=_FILE)
@click.option("--out", required=True, type=_FOLDER, help="Folder of the experiment, made when missing.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes, one core each.")
@_SEARCH
@_TEST
@_TRAIN
def run(
    file: str,
    out: Path,
    workers: int,
    search_images: tuple[str, ...],
    images: tuple[str, ...],
    train_images: str | None,
) -> None:
    """Run the experiment in FILE and write its report; the same command goes on with one that was interrupted."""
    from sweeps.experiment.folder import Folder
    from sweeps.experiment.run import run as run_experiment
    from sweeps.experiment.spec import load_experiment

    spec, folder = load_experiment(file, search_images, images, train_images, _say), Folder(out)
    folder.begin(spec)
    _announce(spec, folder)
    reports = run_experiment(spec, folder, workers, _say)
    _report(folder)
    if any(item.failure for item in reports):
        click.get_current_context().exit(1)


@experiment.command(short_help="Write the report of what is done so far.")
@click.argument("out", type=_FOLDER)
def report(out: Path) -> None:
    """Write the report of what is done so far in the experiment's folder OUT."""
    from sweeps.experiment.folder import Folder

    _report(Folder(out))


def _announce(spec: ExperimentSpec, folder: Folder) -> None:
    """Show the plan before anything starts. It is measured only once."""
    from sweeps.experiment.plan import in_words
    from sweeps.experiment.plan import plan as make_plan

    found = folder.plan()
    if found is None:
        found = make_plan(spec, _say)
        folder.keep_plan(found)
    for line in in_words(spec, found):
        _say(line)


def _report(folder: Folder) -> None:
    from sweeps.experiment.report import report as write_report

    text, page, verdict = write_report(folder)
    for line in verdict:
        click.echo(line)
    click.echo(str(text))
    click.echo(str(page))
    click.echo(f"to look at the searches: restoration dashboard --store {folder.store_url}")


def _say(line: str) -> None:
    click.echo(line, err=True)
