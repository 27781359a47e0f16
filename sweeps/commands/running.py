"""``sweep run``, ``resume`` and ``replay``: what reconstructs."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from restoration_core.commands.tables import cell
from restoration_core.errors import Failure, InputError
from sweeps.commands.best_table import best_trials, print_best
from sweeps.commands.common import MOST_TRIALS, Addresses, address_options, json_option, print_json
from sweeps.commands.progress import ProgressDisplay
from sweeps.commands.verdict_table import print_verdict

if TYPE_CHECKING:
    from sweeps.lifecycle.launch import SweepOutcome

_RUNNER = click.option(
    "--runner", type=click.Choice(["ray", "inprocess"]), default="ray", show_default=True, help="Who runs the packs."
)
_NO_VERDICT = click.option(
    "--no-verdict", is_flag=True, help="Do not judge the winner on new pictures and seeds at the end."
)


@click.command(short_help="Run the sweep in a file to its end.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=str))
@_RUNNER
@click.option("--name", help="Name of the sweep, instead of the file's.")
@click.option("--again", is_flag=True, help="Where the name is taken, use the next free one: NAME-2, NAME-3, ...")
@_NO_VERDICT
@address_options
def run(file: str, runner: str, name: str | None, again: bool, no_verdict: bool, addresses: Addresses) -> None:
    """Run the sweep in FILE to its end and print the best trials."""
    from sweeps.spec.load import check_name, load_spec

    spec = load_spec(file)
    if name is not None:
        check_name(name)
    from sweeps.lifecycle.launch import start

    sweep_name = name or spec.name
    if again:
        sweep_name = _free_name(sweep_name, addresses.store)
    with ProgressDisplay(sweep_name) as progress, _resumable(sweep_name, addresses, progress):
        outcome = start(
            spec,
            runner=runner,
            store_url=addresses.store,
            mlflow_uri=addresses.mlflow,
            name=sweep_name,
            verdict=not no_verdict,
            progress=progress,
            notice=lambda line: click.echo(f"{sweep_name}: {line}", err=True),
        )
    _conclude(outcome, addresses)


@click.command(short_help="Run what is left of a sweep.")
@click.argument("name")
@_RUNNER
@_NO_VERDICT
@address_options
def resume(name: str, runner: str, no_verdict: bool, addresses: Addresses) -> None:
    """Run what is left of sweep NAME, from the store alone."""
    from sweeps.lifecycle.resume import resume as resume_sweep

    addresses = _where_it_was(name, addresses)
    with ProgressDisplay(name) as progress, _resumable(name, addresses, progress):
        outcome = resume_sweep(
            addresses.store,
            name,
            runner=runner,
            mlflow_uri=addresses.mlflow,
            verdict=not no_verdict,
            progress=progress,
        )
    _conclude(outcome, addresses)


@click.command(short_help="Run a trial again and compare its pictures.")
@click.argument("name")
@click.argument("number", type=click.IntRange(0, MOST_TRIALS))
@json_option
@address_options
def replay(name: str, number: int, as_json: bool, addresses: Addresses) -> None:
    """Run trial NUMBER of sweep NAME again and compare its pictures pixel by pixel; exit 1 where they differ."""
    import dataclasses

    from sweeps.lifecycle.replay import replay as replay_trial

    report = replay_trial(addresses.store, name, number)
    found: dict[str, Any] = dataclasses.asdict(report)
    if as_json:
        print_json(found)
    else:
        click.echo(f"trial {number} of {name}: {'identical' if report.identical else 'NOT identical'}")
        for key, value in found.items():
            if key != "identical" and value not in (None, "", [], (), {}):
                click.echo(f"  {key.replace('_', ' ')}: {_listed(value)}")
    if not report.identical:
        click.get_current_context().exit(1)


def _where_it_was(name: str, addresses: Addresses) -> Addresses:
    """Return the addresses with the sweep's own MLflow, unless the user names another."""
    from sweeps.store import open_reader
    from sweeps.tracking import tracked_at

    if addresses.mlflow_given:
        return addresses
    reader = open_reader(addresses.store)
    try:
        return replace(addresses, mlflow=tracked_at(reader.sweep(name).mlflow_uri, addresses.mlflow))
    finally:
        reader.close()


def _listed(value: Any) -> str:
    """Return a value of a report as one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(item)}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else cell(value)


def _free_name(name: str, store: str) -> str:
    """Return ``name``, or the first of NAME-2, NAME-3, ... that no sweep in the store has."""
    from sweeps.store import open_reader, open_writer

    try:
        # A store that is not there yet is made by the run itself, once all else has been found valid.
        with open_writer(store, create=False):
            reader = open_reader(store)
    except InputError:
        return name
    try:
        taken = set(reader.sweeps()["name"])
    finally:
        reader.close()
    candidates = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)


@contextlib.contextmanager
def _resumable(name: str, addresses: Addresses, progress: ProgressDisplay) -> Iterator[None]:
    """On an interruption or a failure of a sweep that has begun, say how to go on."""
    on = f"to go on: restoration sweep resume {name}{addresses.options()}"
    try:
        yield
    except Failure as error:
        progress.stop()
        if not progress.begun:
            raise
        raise Failure(f"{error}; {on}") from error
    except (KeyboardInterrupt, click.Abort):
        progress.stop()
        if progress.begun:
            click.echo(on, err=True)
        raise


def _conclude(outcome: SweepOutcome, addresses: Addresses) -> None:
    """Print what the sweep found and where it is; exit 1 when it failed."""
    from sweeps.store import SweepStatus, open_reader

    name = outcome.name
    reader = open_reader(addresses.store)
    try:
        failures = reader.trials(name, ["failed"])["failure"].dropna().value_counts().head(3).to_dict()
    finally:
        reader.close()
    best = best_trials(addresses.store, name, 5)
    if best.rows:
        print_best(best)
    for notice in outcome.run.notices if outcome.run is not None else ():
        click.echo(f"{name}: {notice}", err=True)
    for reason, count in failures.items():
        click.echo(f"{count} failed: {reason}", err=True)
    if outcome.verdict:
        print_verdict(outcome.verdict)
    click.echo(f"{name}: {_ended(outcome)}")
    if outcome.progress.get("hours_used_up") and outcome.progress["asked"] < outcome.progress["planned"]:
        click.echo(
            f"budget.hours ended the search after {outcome.progress['asked']} of {outcome.progress['planned']} trials; "
            f"to go on for as long again: restoration sweep resume {name}{addresses.options()}"
        )
    click.echo(f"store: {addresses.shown_store}")
    click.echo(f"MLflow: {addresses.shown_mlflow}")
    if outcome.tracking_error or outcome.untracked:
        why = outcome.tracking_error or f"{outcome.untracked} entries were not told in time"
        click.echo(
            f"MLflow is behind ({why}); to fill it: restoration sweep sync {name}{addresses.options()}", err=True
        )
    click.echo(f"to look at it: restoration dashboard{addresses.options()}")
    if outcome.status == SweepStatus.FAILED:
        click.get_current_context().exit(1)


def _ended(outcome: SweepOutcome) -> str:
    if outcome.run is None:
        return f"{outcome.status.value} already, no trial was left to run"
    ended = f"{outcome.status.value} after {outcome.total_s:.1f} s"
    if outcome.startup_s is None:
        return ended
    return f"{ended}, of which {outcome.startup_s:.1f} s until the first reconstruction"
